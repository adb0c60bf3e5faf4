"""A proxy that loses an answer: what a client sees when the network between drops our 200."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

KEPT = ("content-type", "idempotent-replayed", "x-request-id", "retry-after")


@dataclass
class Proxy:
    """Forwards everything; the first `lose` answers with 200 to a POST reach the client as 502."""

    target: str
    lose: int = 1
    url: str = ""
    answers: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    """(method, status, headers) as the server gave them."""


@contextmanager
def losing_proxy(target: str, *, lose: int = 1) -> Iterator[Proxy]:
    proxy = Proxy(target, lose)
    upstream = httpx.Client(base_url=target, timeout=30)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}
            }
            answer = upstream.request(self.command, self.path, content=body, headers=headers)
            proxy.answers.append((self.command, answer.status_code, dict(answer.headers)))
            lost = self.command == "POST" and answer.status_code == 200 and proxy.lose > 0
            proxy.lose -= lost
            content = b'{"detail":"bad gateway"}' if lost else answer.content
            self.send_response(502 if lost else answer.status_code)
            for name in () if lost else KEPT:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = forward  # noqa: N815 - http.server looks for these names

        def log_message(self, *_: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
        upstream.close()
