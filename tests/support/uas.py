"""A far end of our own for what sipp can't say: when ACK and first voiced packet came, and how regular all are."""

import asyncio
import audioop
import random
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from outdial.runtime.clock import SystemClock

CLOCK = SystemClock()
VOICED_RMS = 200
SILENCE = b"\xff" * 160
HEADER = struct.Struct("!BBHII")


@dataclass
class Heard:
    """One call, as this end saw it; times are boottime."""

    acked_at: float = 0.0
    voiced_at: float = 0.0
    came: list[tuple[float, int]] = field(default_factory=list)
    """When each packet came, and its sequence number."""
    ended: bool = False

    @property
    def late(self) -> int:
        """Packets that came more than 20 ms later than they should after the one before."""
        return sum(after - before > 0.04 for (before, _), (after, _) in pairwise(self.came))

    @property
    def lost(self) -> int:
        first, last = self.came[0][1], self.came[-1][1]
        return ((last - first) & 0xFFFF) + 1 - len(self.came)


class Uas(asyncio.DatagramProtocol):
    """Answers every INVITE after a short ring, and speaks silence."""

    def __init__(self, ring_secs: float) -> None:
        self.calls: dict[str, Heard] = {}
        self._ring_secs = ring_secs
        self._transport: asyncio.DatagramTransport | None = None
        self._rtp: dict[str, _Rtp] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._chance = random.Random(1)

    @property
    def address(self) -> str:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode(errors="replace")
        call_id = _header(text, "Call-ID")
        method = text.partition(" ")[0]
        if method == "INVITE" and call_id not in self.calls:
            self.calls[call_id] = Heard()
            task = asyncio.create_task(self._answer(text, call_id, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif method == "ACK":
            heard = self.calls[call_id]
            heard.acked_at = heard.acked_at or CLOCK.boottime()
        elif method == "BYE":
            self.calls[call_id].ended = True
            self._reply(text, "200 OK", addr)
            if (rtp := self._rtp.pop(call_id, None)) is not None:
                rtp.close()

    async def _answer(self, text: str, call_id: str, addr: tuple[str, int]) -> None:
        self._reply(text, "180 Ringing", addr)
        await asyncio.sleep(self._ring_secs * self._chance.uniform(0.5, 1.5))
        rtp = self._rtp[call_id] = await _Rtp.open(self.calls[call_id])
        port = re.search(r"m=audio ([0-9]+)", text)
        assert port is not None
        rtp.speak_to(("127.0.0.1", int(port[1])))
        sdp = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {rtp.port} RTP/AVP 0 101\r\n"
            "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
        )
        self._reply(text, "200 OK", addr, sdp)

    def _reply(self, text: str, line: str, addr: tuple[str, int], sdp: str = "") -> None:
        assert self._transport is not None
        to = _header(text, "To")
        lines = [f"SIP/2.0 {line}", *(f"{name}: {_header(text, name)}" for name in ("Via", "From", "Call-ID", "CSeq"))]
        lines += [f"To: {to}" if "tag=" in to else f"To: {to};tag=uas", f"Contact: <sip:{self.address}>"]
        lines += ["Content-Type: application/sdp"] if sdp else []
        lines += [f"Content-Length: {len(sdp)}", "", sdp]
        self._transport.sendto("\r\n".join(lines).encode(), addr)

    def close(self) -> None:
        for rtp in self._rtp.values():
            rtp.close()
        for task in self._tasks:
            task.cancel()
        if self._transport is not None:
            self._transport.close()


class _Rtp(asyncio.DatagramProtocol):
    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._transport: asyncio.DatagramTransport | None = None
        self._speaking: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, heard: Heard) -> "_Rtp":
        _, rtp = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: cls(heard), ("127.0.0.1", 0), family=socket.AF_INET
        )
        return rtp

    @property
    def port(self) -> int:
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        now = CLOCK.boottime()
        _, kind, seq, _, _ = HEADER.unpack_from(data)
        if kind & 0x7F != 0:
            return
        self._heard.came.append((now, seq))
        if not self._heard.voiced_at and audioop.rms(audioop.ulaw2lin(data[12:], 2), 2) > VOICED_RMS:
            self._heard.voiced_at = now

    def speak_to(self, addr: tuple[str, int]) -> None:
        self._speaking = asyncio.create_task(self._speak(addr))

    async def _speak(self, addr: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n in range(1 << 16):
            if self._transport is not None:
                self._transport.sendto(HEADER.pack(0x80, 0, n, n * 160, 1) + SILENCE, addr)
            await asyncio.sleep(max(0.0, began + (n + 1) * 0.02 - loop.time()))

    def close(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
        if self._transport is not None:
            self._transport.close()


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}:[ \t]*(.*?)\r?$", text, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""


@asynccontextmanager
async def uas(ring_secs: float = 0.2) -> AsyncIterator[Uas]:
    """A running one."""
    _, far = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Uas(ring_secs), ("127.0.0.1", 0), family=socket.AF_INET
    )
    try:
        yield far
    finally:
        far.close()
