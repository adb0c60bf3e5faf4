"""The commands' client against real sockets: what is sent again, what is not, and the words for each."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from outdial.cli.client import Client, Failed, NoAnswer, Refused, from_environment

Answer = Callable[[BaseHTTPRequestHandler], None]


class Fake:
    """An HTTP server with prepared answers, the last of them for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                fake.seen.append((self.command, self.path, headers, body))
                turn = fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0]
                turn(self)

            do_POST = do_GET  # noqa: N815 - the base class names it so

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.client = Client(f"http://127.0.0.1:{self.server.server_port}", "a-key", pause_secs=0.01)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def keys(self) -> list[str]:
        return [headers["idempotency-key"] for _, _, headers, _ in self.seen]


def says(status: int, content: Any, **headers: str) -> Answer:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def hangs_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.close()


def breaks_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("content-length", "1000")
    request.end_headers()
    request.wfile.write(b'{"half": ')
    request.wfile.flush()
    hangs_up(request)


def breaks_a_chunk(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("transfer-encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"5\r\nhello\r\n")
    request.wfile.flush()
    hangs_up(request)


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_an_act_without_an_answer_is_sent_again_by_the_same_name(fake: Fake) -> None:
    fake.answers = [
        hangs_up,
        breaks_off,
        says(503, {"detail": {"message": "not now"}}, retry_after="0"),
        says(200, {"id": 1}),
    ]
    assert fake.client.post("/batch-calling/submit", {"a": 1}) == {"id": 1}
    assert len(fake.seen) == 4
    assert len(set(fake.keys())) == 1
    assert {body for *_, body in fake.seen} == {b'{"a": 1}'}


def test_two_acts_have_two_names_unless_they_are_given_one(fake: Fake) -> None:
    fake.answers = [says(200, {})]
    fake.client.post("/x")
    fake.client.post("/x")
    fake.client.post("/x", once="mine")
    first, second, third = fake.keys()
    assert first != second
    assert third == "mine"


def test_an_act_that_is_no_act_of_ours_to_repeat_is_sent_once(fake: Fake) -> None:
    fake.answers = [hangs_up]
    with pytest.raises(NoAnswer):
        fake.client.post("/agents/create", {}, again=False)
    assert len(fake.seen) == 1


def test_what_is_not_ours_to_repeat_is_sent_again_only_where_nothing_was_done(fake: Fake) -> None:
    fake.answers = [says(503, {"detail": {"message": "not now"}}, retry_after="0"), says(200, {"id": 1})]
    assert fake.client.post("/agents/create", {}, again=False) == {"id": 1}
    fake.answers = [says(503, {"detail": {"message": "nobody can say"}})]
    with pytest.raises(NoAnswer, match="nobody can say"):
        fake.client.post("/agents/create", {}, again=False)
    assert len(fake.seen) == 3


def test_what_a_proxy_says_for_a_server_leaves_it_open(fake: Fake) -> None:
    fake.answers = [says(504, b"<html>Gateway Time-out</html>")]
    with pytest.raises(NoAnswer, match="504"):
        fake.client.post("/agents/create", {}, again=False)
    fake.answers = [says(503, {"detail": {"message": "not now"}}, retry_after="0")]
    with pytest.raises(Refused, match="not now"):
        fake.client.post("/agents/create", {}, again=False)


def test_after_four_tries_nobody_knows(fake: Fake) -> None:
    fake.answers = [hangs_up]
    with pytest.raises(NoAnswer, match="does `outdial serve` run there"):
        fake.client.post("/batch-calling/submit", {})
    assert len(fake.seen) == 4


def test_a_refusal_is_final(fake: Fake) -> None:
    fake.answers = [says(400, {"detail": {"message": "no such agent"}})]
    with pytest.raises(Refused, match=r"^no such agent$"):
        fake.client.post("/batch-calling/submit", {})
    assert len(fake.seen) == 1


def test_a_422_is_told_place_by_place(fake: Fake) -> None:
    detail = [{"loc": ["body", "recipients", n, "id"], "msg": "twice", "type": "x"} for n in range(22)]
    fake.answers = [says(422, {"detail": detail})]
    with pytest.raises(Refused) as refused:
        fake.client.post("/batch-calling/submit", {})
    assert str(refused.value).splitlines()[0] == "body.recipients.0.id: twice"
    assert str(refused.value).splitlines()[-1] == "… and 2 more"
    assert refused.value.complaints[1] == (("body", "recipients", 1, "id"), "twice")


def test_a_wrong_key_is_told_by_its_variable(fake: Fake) -> None:
    fake.answers = [says(401, {"detail": {"message": "this API key is not known here"}})]
    with pytest.raises(Refused) as refused:
        fake.client.get("/batch-calling/workspace")
    assert "OUTDIAL_API_KEY" in str(refused.value)
    assert "outdial keys create" in str(refused.value)
    assert "a-key" not in str(refused.value)


def test_somebody_else_s_server_is_told(fake: Fake) -> None:
    fake.answers = [says(200, b"<html>hello</html>")]
    with pytest.raises(Failed, match="is not Outdial"):
        fake.client.get("/agents")
    fake.answers = [says(404, b"<html>nothing here</html>")]
    with pytest.raises(Refused, match="is it Outdial"):
        fake.client.get("/agents")
    for detail in ("Not Found", {"code": "route_not_found", "message": "Not Found"}):
        fake.answers = [says(404, {"detail": detail})]
        with pytest.raises(Refused, match="is OUTDIAL_URL right"):
            fake.client.get("/agents")
    fake.answers = [says(404, {"detail": {"code": "agent_not_found", "message": "there is no agent 'x'"}})]
    with pytest.raises(Refused, match=r"^there is no agent 'x'$"):
        fake.client.get("/agents/x")


def test_a_redirect_is_told_and_not_followed(fake: Fake) -> None:
    fake.answers = [says(301, b"", location="https://example.invalid/")]
    with pytest.raises(Refused, match="OUTDIAL_URL"):
        fake.client.post("/batch-calling/submit", {})
    assert len(fake.seen) == 1


def test_a_stream_that_breaks_off_is_no_whole_file(fake: Fake) -> None:
    for way in (breaks_off, breaks_a_chunk):
        fake.answers = [way]
        with pytest.raises(Failed, match="broke off"):
            list(fake.client.stream("/batch-calling/b/export"))


def test_nobody_there() -> None:
    client = Client("http://127.0.0.1:9", "k", pause_secs=0.01)
    with pytest.raises(NoAnswer, match=r"no answer from http://127\.0\.0\.1:9: Connection refused"):
        client.get("/agents")


@pytest.mark.parametrize("url", ["foo", "ftp://x", "http://", "127.0.0.1:8080"])
def test_a_url_that_is_none_is_told(url: str) -> None:
    with pytest.raises(Failed, match="OUTDIAL_URL"):
        Client(url, "k")


def test_the_environment_names_server_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "HOST", "PORT", "API_KEY"):
        monkeypatch.delenv(f"OUTDIAL_{name}", raising=False)
    with pytest.raises(Failed, match="OUTDIAL_API_KEY is not set"):
        from_environment()
    monkeypatch.setenv("OUTDIAL_API_KEY", "k")
    assert from_environment().url == "http://127.0.0.1:8080"
    monkeypatch.setenv("OUTDIAL_HOST", "::")
    monkeypatch.setenv("OUTDIAL_PORT", "99")
    assert from_environment().url == "http://127.0.0.1:99"
    monkeypatch.setenv("OUTDIAL_URL", "https://calls.example.org/x/")
    assert from_environment()._url("/agents", {"a": 1, "b": None}) == "https://calls.example.org/x/v1/convai/agents?a=1"
    monkeypatch.setenv("OUTDIAL_API_KEY", "schlüssel")
    with pytest.raises(Failed, match="ASCII"):
        from_environment()


def test_a_proxy_is_not_asked_for_this_machine_s_own_addresses(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    fake.answers = [says(200, {"here": True})]
    assert Client(fake.client.url, "k").get("/agents") == {"here": True}
