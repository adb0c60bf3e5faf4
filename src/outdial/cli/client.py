"""The commands' way to the server: small, synchronous, standard library only.

Each POST that can ring a phone carries an Idempotency-Key of its own, so that it may be sent again when no answer came.
"""

import http.client
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

TRIES = 4
"""For what may be sent again."""
WITHIN_SECS = 60.0


class Failed(Exception):
    """The server refused, or could not be reached; the message is for people."""


@dataclass(frozen=True, slots=True)
class Client:
    """One server and one key."""

    url: str
    key: str
    prefix: str = "/v1/convai"

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        """What is at this path below the prefix."""
        return self._ask("GET", path, query)

    def post(self, path: str, body: object = None, **query: object) -> Any:  # noqa: ANN401 - JSON
        """Do one act, once, however often it must be sent."""
        return self._ask("POST", path, query, body)

    def delete(self, path: str) -> None:
        """Remove it."""
        self._ask("DELETE", path, {})

    def stream(self, path: str) -> Iterator[bytes]:
        """The bytes of an answer, as they come."""
        with self._open("GET", path, {}, None, None) as answer:
            while chunk := answer.read(64 * 1024):
                yield chunk

    def _ask(self, method: str, path: str, query: dict[str, object], body: object = None) -> Any:  # noqa: ANN401 - JSON
        once = uuid.uuid4().hex if method == "POST" else None
        with self._open(method, path, query, body, once) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def _open(self, method: str, path: str, query: dict[str, object], body: object, once: str | None) -> BinaryIO:
        request = self._request(method, path, query, body, once)
        for left in range(TRIES - 1, -1, -1):
            try:
                return urlopen(request, timeout=WITHIN_SECS)  # type: ignore[no-any-return] # noqa: S310 - http only, see _request
            except HTTPError as error:
                if error.code < 500 or not left:
                    raise Failed(_words(error)) from None
                time.sleep(float(error.headers.get("retry-after") or 1))
            except (URLError, ConnectionError, TimeoutError, http.client.HTTPException) as error:
                if not left:
                    reason = getattr(error, "reason", error)
                    raise Failed(f"no answer from {self.url}: {reason}; does `outdial serve` run there?") from None
                time.sleep(0.5)
        raise AssertionError("unreachable")

    def _request(self, method: str, path: str, query: dict[str, object], body: object, once: str | None) -> Request:
        if not self.url.startswith(("http://", "https://")):
            raise Failed(f"OUTDIAL_URL={self.url!r} can't be used: it is a URL such as http://127.0.0.1:8080")
        given = {name: value for name, value in query.items() if value is not None}
        url = f"{self.url.rstrip('/')}{self.prefix}{path}" + (f"?{urlencode(given)}" if given else "")
        headers = {"xi-api-key": self.key}
        if once is not None:
            headers["idempotency-key"] = once
        data = None
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body).encode()
        elif method == "POST":
            data = b""
        return Request(url, data=data, headers=headers, method=method)  # noqa: S310 - http only, checked above


def from_environment() -> Client:
    """The server and the key that the environment names."""
    host = os.environ.get("OUTDIAL_HOST") or "127.0.0.1"
    host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - nothing is bound here
    url = os.environ.get("OUTDIAL_URL") or f"http://{host}:{os.environ.get('OUTDIAL_PORT') or 8080}"
    key = os.environ.get("OUTDIAL_API_KEY")
    if not key:
        raise Failed("OUTDIAL_API_KEY is not set; `outdial keys create` makes one")
    return Client(url, key)


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def _words(error: HTTPError) -> str:
    """What the server said, for people."""
    try:
        detail = json.loads(error.read())["detail"]
    except (ValueError, KeyError, TypeError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(detail, list):
        lines = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in detail]
        return "\n".join(lines[:20] + ([f"… and {len(lines) - 20} more"] if len(lines) > 20 else []))
    return str(detail.get("message", detail))
