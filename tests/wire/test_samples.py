"""The published samples of one call, `retry`, in every language that the two pages show: each one's request, sent anew.

Where the runtime is at hand it sends the request itself; for the others stands what their libraries put on the wire.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.support import javascript
from tests.support.server import Desk, Server, answered, open_desk
from tests.wire.golden import check, published

HERE = Path(__file__).parent
PROGRAMS = HERE / "samples"
SAMPLE_SECS = 60
PAIRS = {prefix: published(HERE / prefix / "retry.published.json") for prefix in ("convai", "voiceai")}

pytestmark = pytest.mark.timeout(javascript.TIMEOUT)

Sample = Callable[[Desk, str, str], str]
"""Sends a batch's retry to this address, with this batch's id; the answer's body."""


def run(*command: str | Path, key: str = "") -> str:
    """A program; what it printed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here to send its sample")
    keyed = {"ELEVENLABS_API_KEY": key} if key else {}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ELEVENLABS_", "NODE_"))}
    done = subprocess.run(
        command, env=environment | keyed, capture_output=True, text=True, timeout=SAMPLE_SECS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- what is run ---------------------------------------------------------------------------------------------------


def by_curl(desk: Desk, url: str, _batch: str, *more: str, header: str = "xi-api-key") -> str:
    return run("curl", "-sS", *more, "--request", "POST", "--url", url, "--header", f"{header}: {desk.server.key}")


def by_python(desk: Desk, _url: str, batch: str) -> str:
    return run(sys.executable, PROGRAMS / "retry.py", desk.server.url, batch, key=desk.server.key)


def by_requests(desk: Desk, url: str, _batch: str) -> str:
    answer = requests.post(url, headers={"xi-api-key": desk.server.key}, timeout=30)
    assert answer.status_code == 200
    return answer.text


def by_typescript(desk: Desk, _url: str, batch: str) -> str:
    """Its client answers in names of its own: they are put back."""
    command = (javascript.node(), PROGRAMS / "retry.mjs", javascript.client(), desk.server.url, batch)
    told = json.loads(run(*command, key=desk.server.key))
    assert told["retryCount"] == 1
    # it drops what is null, and what it read has been judged by itself: strictly
    return json.dumps(
        {**desk.get(batch), "id": told["id"], "status": told["status"], "retry_count": told["retryCount"]}
    )


def by_node(desk: Desk, url: str, _batch: str) -> str:
    return only(run(javascript.node(), PROGRAMS / "requests.mjs", "xi-api-key", desk.server.key, "POST", url, ""))


def by_java(desk: Desk, url: str, _batch: str) -> str:
    return only(run("java", PROGRAMS / "Requests.java", "xi-api-key", desk.server.key, "POST", url, ""))


def only(printed: str) -> str:
    """The body of the one answer."""
    status, _, body = printed.partition(" ")
    assert status == "200", printed
    return body


# --- what is replayed ----------------------------------------------------------------------------------------------

REPLAYED: dict[str, tuple[str, ...]] = {
    # net/http writes names in its own capitals, Host and User-Agent first
    "go": (
        "Host: {host}",
        "User-Agent: Go-http-client/1.1",
        "Content-Length: 0",
        "Xi-Api-Key: {key}",
        "Accept-Encoding: gzip",
    ),
    # Net::HTTP names a form, though there is none
    "ruby": (
        "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
        "Accept: */*",
        "User-Agent: Ruby",
        "Host: {host}",
        "Xi-Api-Key: {key}",
        "Connection: close",
        "Content-Length: 0",
        "Content-Type: application/x-www-form-urlencoded",
    ),
    "java, Unirest": (
        "xi-api-key: {key}",
        "User-Agent: unirest-java/3.1.00",
        "Accept-Encoding: gzip",
        "Content-Length: 0",
        "Host: {host}",
        "Connection: Keep-Alive",
    ),
    "php": ("Host: {host}", "User-Agent: GuzzleHttp/7", "xi-api-key: {key}", "Content-Length: 0"),
    "c#": (
        "xi-api-key: {key}",
        "Accept: application/json, text/json, text/x-json, text/javascript, application/xml, text/xml",
        "User-Agent: RestSharp/106.15.0.0",
        "Host: {host}",
        "Accept-Encoding: gzip, deflate",
        "Content-Length: 0",
        "Connection: Keep-Alive",
    ),
    "swift": (
        "Host: {host}",
        "Accept: */*",
        "Connection: keep-alive",
        "xi-api-key: {key}",
        "Accept-Language: en-GB,en;q=0.9",
        "Accept-Encoding: gzip, deflate",
        "User-Agent: sample (unknown version) CFNetwork/1496.0.7 Darwin/23.5.0",
        "Content-Length: 0",
    ),
    # what says that there is no body in other ways
    "an empty body in chunks": (
        "Host: {host}",
        "xi-api-key: {key}",
        "Transfer-Encoding: chunked",
        "Connection: close",
        "",
        "0",
    ),
    "nothing said of a body": ("Host: {host}", "xi-api-key: {key}", "Connection: close"),
    "JSON said, none sent": (
        "Host: {host}",
        "xi-api-key: {key}",
        "Content-Type: application/json",
        "Content-Length: 0",
    ),
    "HTTP/1.0": ("xi-api-key: {key}", "Content-Length: 0"),
}
"""The header lines behind the request line, in their order."""


def replayed(name: str, desk: Desk, url: str, _batch: str) -> str:
    where = urlsplit(url)
    version = name if name == "HTTP/1.0" else "HTTP/1.1"
    lines = [f"POST {where.path} {version}", *REPLAYED[name], "", ""]
    text = "\r\n".join(lines).replace("{host}", where.netloc).replace("{key}", desk.server.key)
    with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
        connection.sendall(text.encode())
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        body = answer.read()
    assert answer.status == 200, body
    return body.decode()


SAMPLES: dict[str, tuple[str, Sample]] = {
    "curl": ("convai", by_curl),
    "curl of ThreeTone's page": ("voiceai", partial(by_curl, header="x-api-key")),
    "curl that offers HTTP/2": ("convai", lambda desk, url, batch: by_curl(desk, url, batch, "--http2")),
    "python": ("convai", by_python),
    "python, requests": ("convai", by_requests),
    "typescript": ("convai", by_typescript),
    "node's fetch": ("convai", by_node),
    "java": ("convai", by_java),
    **{name: ("convai", partial(replayed, name)) for name in REPLAYED},
}


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    desk = open_desk(server)
    yield desk
    desk.http.close()


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_retries_a_batch(here: Desk, name: str) -> None:
    prefix, sample = SAMPLES[name]
    here.prefix = f"/v1/{prefix}"
    number = f"+49306641{list(SAMPLES).index(name):02}1486"
    made = here.submit([number])
    assert here.until_over(made["id"])["recipients"][0]["status"] == "failed"
    answer = json.loads(sample(here, f"{here.server.url}{here.path(made['id'], '/retry')}", made["id"]))
    check(PAIRS[prefix], answer)
    assert (answer["id"], answer["retry_count"]) == (made["id"], 1)
    assert here.until_over(made["id"])["recipients"][0]["status"] == "completed"
    assert here.server.rang(number) == 2


@pytest.mark.parametrize("language", ["java", "node"])
def test_one_client_sends_bodies_and_none_in_turn(here: Desk, language: str) -> None:
    """Over one connection, if it likes: Java's offers to change to HTTP/2 each time, also beside a body."""
    numbers = [f"+493066{42 if language == 'java' else 43}{n:03}5000" for n in range(200)]
    base = f"{here.server.url}{here.prefix}"
    batch = here.submit(numbers[:1], scheduled_time_unix=4_000_000_000)
    order = json.dumps(here.order(numbers, call_name=f"by {language}", scheduled_time_unix=4_000_000_000))
    small = json.dumps({"name": f"by {language}", "conversation_config": {}})
    orders = [
        ("GET", f"{base}/batch-calling/workspace?limit=1", ""),
        ("POST", f"{base}/agents/create", small),
        ("POST", f"{base}/batch-calling/submit", order),
        ("POST", f"{base}/batch-calling/{batch['id']}/cancel", ""),
        ("GET", f"{base}/batch-calling/{batch['id']}", ""),
        ("DELETE", f"{base}/batch-calling/{batch['id']}", ""),
        ("GET", f"{base}/batch-calling/{batch['id']}", ""),
    ]
    program = (
        ("java", PROGRAMS / "Requests.java") if language == "java" else (javascript.node(), PROGRAMS / "requests.mjs")
    )
    printed = run(*program, "xi-api-key", here.server.key, *(word for one in orders for word in one)).splitlines()
    assert [line[:3] for line in printed] == ["200", "200", "200", "200", "200", "204", "404"]
    made: Any = json.loads(printed[2][4:])
    assert len(here.get(made["id"])["recipients"]) == len(numbers)
    answered(here.http.post(here.path(made["id"], "/cancel")))
