"""Far ends and strangers that break the rules: SIP messages with bytes changed, cut or doubled, and lines that lie."""

import asyncio
import random
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from tests.support.sipp import Sipp

MOST_BYTES = 60_000
_ODD = (b"-1", b"99999999999", b"", b"%s%n", b"\x00", b"\xff" * 300)
_LIES: Sequence[Callable[[random.Random, bytes], bytes]] = (
    lambda chance, line: line + b", " + line * chance.randint(1, 40),
    lambda chance, line: line.partition(b":")[0] + b": " + chance.choice(_ODD),
    lambda chance, line: line + b";" + b"x=" * chance.randint(1, 2_000),
    lambda _, line: line + b"\r\n\t folded",
    lambda _, line: line.upper() + b"\r\n" + line,
    lambda chance, line: bytes(chance.randrange(256) for _ in range(len(line))),
    lambda _chance, _line: b"Content-Length: 2147483648",
    lambda chance, _: b"Reason: " + b'Q.850;text="' * chance.randint(1, 500),
    lambda _chance, _line: b"Retry-After: 99999999999999999999 (now);duration=-1",
    lambda chance, _: b"Record-Route: " + b",".join(b"<sip:%d.test;lr>" % n for n in range(chance.randint(1, 90))),
)


def captured(far: Sipp) -> list[bytes]:
    """Every message so far, either way, as it was on the wire."""
    parts = re.split(r"^-{10,} .*\n(?:UDP|TCP) message (?:sent|received) .*\n\n", far.said(), flags=re.MULTILINE)
    return [part.strip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n" for part in parts if "SIP/2.0" in part]


def media() -> list[bytes]:
    """Packets that a call's audio ports may well get: speech, a key, a report of a sender and one of its name."""
    rtp, report = struct.Struct("!BBHII"), struct.Struct("!BBHIIIIII")
    return [
        rtp.pack(0x80, 0, 1, 160, 7) + b"\xd5" * 160,
        rtp.pack(0x80, 101, 2, 160, 7) + struct.pack("!BBH", 5, 0x8A, 800),
        report.pack(0x80, 200, 6, 7, 1, 2, 160, 1, 160),
        struct.pack("!BBHIBB", 0x81, 202, 3, 7, 1, 4) + b"name\x00\x00",
    ]


def broken(chance: random.Random, message: bytes) -> bytes:
    """The message with some bytes changed, cut, put in or doubled, or with a header that lies."""
    if chance.random() < 0.4:
        lines = message.split(b"\r\n")
        at = chance.randrange(len(lines))
        lines[at] = chance.choice(_LIES)(chance, lines[at])
        return b"\r\n".join(lines)[:MOST_BYTES]
    data = bytearray(message)
    for _ in range(chance.randint(1, 20)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randint(1, 40)]
            case 2:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 40)))
            case _:
                data[at:at] = data[max(0, at - 30) : at] * chance.randint(1, 5)
        data = data or bytearray(b"\r\n")
    return bytes(data[:MOST_BYTES])


class HostileEnd(asyncio.DatagramProtocol):
    """Answers each INVITE with broken messages of its own dialog, and then, if that was not the end of it, with 486."""

    def __init__(self, chance: random.Random, each: int) -> None:
        self._chance = chance
        self._each = each
        self._transport: asyncio.DatagramTransport | None = None
        self._seen: set[str] = set()
        self.sent = 0
        """Broken ones."""

    @property
    def address(self) -> str:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode(errors="replace")
        call_id, method = _header(text, "Call-ID"), text.partition(" ")[0]
        if method == "INVITE" and call_id not in self._seen:
            self._seen.add(call_id)
            for _ in range(self._each):
                self._say(broken(self._chance, self._chance.choice(self._repertoire(text))), addr)
                self.sent += 1
        if method == "INVITE":
            self._say(self._answer(text, "486 Busy Here"), addr)
        elif method in {"BYE", "CANCEL"}:
            self._say(self._answer(text, "200 OK"), addr)
            if method == "BYE":
                return
            self._say(self._answer(text.replace("CANCEL", "INVITE"), "487 Request Terminated"), addr)

    def _say(self, message: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(message, addr)

    def _repertoire(self, invite: str) -> list[bytes]:
        """What a far end may well say at this moment, whole."""
        challenge = 'Digest realm="trunk.test", nonce="47ebe028cda119c35d48", algorithm=MD5, qop="auth"'
        sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
        return [
            self._answer(invite, "100 Trying"),
            self._answer(invite, "180 Ringing"),
            self._answer(invite, "183 Session Progress", sdp=sdp),
            self._answer(invite, "200 OK", sdp=sdp),
            self._answer(invite, "302 Moved", "Contact: <sip:elsewhere@127.0.0.1:9>"),
            self._answer(invite, "401 Unauthorized", f"WWW-Authenticate: {challenge}"),
            self._answer(invite, "407 Proxy Authentication Required", f"Proxy-Authenticate: {challenge}"),
            self._answer(invite, "480 Gone", 'Reason: Q.850;cause=19;text="No answer"'),
            self._answer(invite, "503 Service Unavailable", "Retry-After: 7"),
            *(self._asks(invite, method) for method in ("BYE", "INFO", "UPDATE", "NOTIFY", "REFER", "OPTIONS")),
        ]

    def _answer(self, request: str, line: str, *headers: str, sdp: str = "") -> bytes:
        to = _header(request, "To")
        same = (f"{name}: {_header(request, name)}" for name in ("Via", "From", "Call-ID", "CSeq"))
        lines = [f"SIP/2.0 {line}", *same, f"To: {to}" if "tag=" in to else f"To: {to};tag=hostile"]
        lines += [f"Contact: <sip:{self.address}>", *headers]
        lines += ["Content-Type: application/sdp"] if sdp else []
        return "\r\n".join([*lines, f"Content-Length: {len(sdp)}", "", sdp]).encode()

    def _asks(self, invite: str, method: str) -> bytes:
        contact = re.search(r"<(sip:[^>]+)>", _header(invite, "Contact"))
        lines = [
            f"{method} {contact[1] if contact else 'sip:x'} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address};branch=z9hG4bK{self._chance.randrange(1 << 30)}",
            f"From: {_header(invite, 'To')};tag=hostile",
            f"To: {_header(invite, 'From')}",
            f"Call-ID: {_header(invite, 'Call-ID')}",
            f"CSeq: 1 {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:{self.address}>",
            "Refer-To: <sip:elsewhere@127.0.0.1:9>",
            "Event: refer",
            "Content-Length: 0",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


async def pelt(messages: Sequence[bytes], port: int, *, packets: int, chance: random.Random) -> None:
    """So many broken copies of these, sent to a port by a stranger, no faster than they are read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for n in range(packets):
            stranger.sendto(broken(chance, chance.choice(messages)), ("127.0.0.1", port))
            while n % 5 == 0 and unread(port) > 0:  # noqa: ASYNC110 - a socket's queue rings no bell
                await asyncio.sleep(0.001)


def unread(port: int) -> int:
    """Bytes that wait there to be read."""
    return sum(int(row[4].partition(":")[2], 16) for row in _sockets(port))


def dropped(port: int) -> int:
    """Datagrams that came there and that nobody read in time."""
    return sum(int(row[-1]) for row in _sockets(port))


def _sockets(port: int) -> list[list[str]]:
    rows = (line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:])
    return [row for row in rows if row[1].endswith(f":{port:04X}")]


async def pelt_over_tcp(messages: Sequence[bytes], port: int, *, connections: int, chance: random.Random) -> None:
    """So many connections of strangers, each with a few broken copies of these in pieces of any size."""
    for _ in range(connections):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for _ in range(3):
                data = broken(chance, chance.choice(messages))
                at = chance.randrange(len(data))
                writer.writelines((data[:at], data[at:]))
                await writer.drain()
            writer.write_eof()
            async with asyncio.timeout(0.02):
                await reader.read()
        except (OSError, TimeoutError):
            pass  # thrown out, or left waiting: either will do
        finally:
            writer.close()


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}:[ \t]*(.*?)\r?$", text, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""


@asynccontextmanager
async def hostile_end(chance: random.Random, *, each: int = 10) -> AsyncIterator[HostileEnd]:
    """A running one, that sends so many broken messages a call."""
    transport, far = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: HostileEnd(chance, each), ("127.0.0.1", 0), family=socket.AF_INET
    )
    try:
        yield far
    finally:
        transport.close()
