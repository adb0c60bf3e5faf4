"""Requests that offer to change to another protocol are answered as if they had not: with their body, and on and on."""

import http.client
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.server import Server

OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
BODY = json.dumps({"name": "by an offer", "conversation_config": {}})
PLAIN = f"Content-Length: {len(BODY)}\r\n\r\n{BODY}"
CHUNKED = f"Transfer-Encoding: chunked\r\n\r\n5\r\n{BODY[:5]}\r\n{len(BODY) - 5:x}\r\n{BODY[5:]}\r\n0\r\n\r\n"


@pytest.fixture
def line(server: Server) -> Iterator[socket.socket]:
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port), timeout=20) as connection:
        yield connection


def request(server: Server, method: str, path: str, rest: str, *, offer: str = OFFER) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nxi-api-key: {server.key}\r\n{offer}{rest}".encode()


def make(server: Server, rest: str = PLAIN, *, offer: str = OFFER) -> bytes:
    return request(server, "POST", "/v1/convai/agents/create", rest, offer=offer)


def answers(line: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """So many, one after the other; each has a length, so nothing of the next is read with it."""
    told: list[tuple[int, bytes]] = []
    with line.makefile("rb") as stream:
        for _ in range(count):
            status = int(stream.readline().split()[1])
            headers = http.client.parse_headers(stream)
            told.append((status, stream.read(int(headers["content-length"]))))
    return told


@pytest.mark.parametrize("rest", [PLAIN, CHUNKED])
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_the_body_is_read_however_it_comes(server: Server, line: socket.socket, rest: str, size: int) -> None:
    sent = make(server, rest)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(sent), size):
        line.sendall(sent[at : at + size])
    [(status, told)] = answers(line, 1)
    assert (status, list(json.loads(told))) == (200, ["agent_id"])


def test_a_line_goes_on_behind_an_offer(server: Server, line: socket.socket) -> None:
    for sent in (make(server), make(server, CHUNKED), make(server, offer=""), make(server)):
        line.sendall(sent)
        [(status, told)] = answers(line, 1)
        assert (status, list(json.loads(told))) == (200, ["agent_id"])


def test_requests_sent_in_one_go_are_all_answered(server: Server, line: socket.socket) -> None:
    listed = request(server, "GET", "/v1/convai/agents?page_size=1", "\r\n")
    line.sendall(make(server) + listed + make(server, CHUNKED) + make(server, offer="") + listed)
    told = answers(line, 5)
    assert [status for status, _ in told] == [200] * 5
    assert [next(iter(json.loads(body))) for _, body in told] == [
        "agent_id",
        "agents",
        "agent_id",
        "agent_id",
        "agents",
    ]


def test_a_line_is_closed_for_who_asks(server: Server, line: socket.socket) -> None:
    line.sendall(make(server, offer=OFFER.replace("Upgrade,", "Upgrade, close,", 1)))
    assert answers(line, 1)[0][0] == 200
    assert line.recv(1) == b""


def test_a_websocket_is_not_spoken_here(server: Server, line: socket.socket) -> None:
    handshake = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AA==\r\n"
    line.sendall(request(server, "GET", "/v1/convai/agents?page_size=1", "\r\n", offer=handshake))
    assert line.recv(12)[:9] == b"HTTP/1.1 "


@pytest.mark.parametrize(
    "rest", ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length: x\r\n\r\n"]
)
def test_a_body_without_a_clear_end_is_refused(server: Server, line: socket.socket, rest: str) -> None:
    line.sendall(make(server, rest))
    assert line.recv(12) == b"HTTP/1.1 400"


def test_connect_is_no_offer(server: Server, line: socket.socket) -> None:
    line.sendall(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
    assert line.recv(12)[:10] in {b"HTTP/1.1 4", b""}
