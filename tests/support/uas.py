"""A far end of our own for what sipp can't say: when ACK and first voiced packet came, and how regular all are.

The times are the kernel's, of the moment in which a packet came: how busy this process is does not count.
"""

import asyncio
import audioop
import random
import re
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

VOICED_RMS = 200
SILENCE = b"\xff" * 160
HEADER = struct.Struct("!BBHII")
EVENT = struct.Struct("!BBH")
HELD_PACKETS = 5
SO_TIMESTAMPNS = 35
"""Linux; Python has no name for it."""
TIMESPEC = struct.Struct("qq")

Address = tuple[str, int]


@dataclass
class Heard:
    """One call, as this end saw it; times in seconds."""

    rang_at: float = 0.0
    acked_at: float = 0.0
    voiced_at: float = 0.0
    came: list[tuple[float, int]] = field(default_factory=list)
    """When each packet came, and its sequence number."""
    said: bytearray = field(default_factory=bytearray)
    """What came, as PCMU."""
    silent_first: int = 0
    """Packets without a voice that came between the ACK and the first voice."""
    cancelled: bool = False
    ended: bool = False
    ended_at: float = 0.0

    def spoken(self) -> list[tuple[float, float]]:
        """When something was said, from and to; what is not further apart than a second is one."""
        found: list[tuple[float, float]] = []
        for n, (at, _) in enumerate(self.came):
            if rms(self.said[n * 160 : (n + 1) * 160]) <= VOICED_RMS:
                continue
            if found and at - found[-1][1] < 1.0:
                found[-1] = (found[-1][0], at)
            else:
                found.append((at, at))
        return found

    @property
    def late(self) -> int:
        """Packets that came more than 20 ms later than they should after the one before."""
        return sum(after - before > 0.04 for (before, _), (after, _) in pairwise(self.came))

    @property
    def lost(self) -> int:
        first, last = self.came[0][1], self.came[-1][1]
        return ((last - first) & 0xFFFF) + 1 - len(self.came)


class Port:
    """A UDP port whose packets carry the time at which they came."""

    def __init__(self, take: Callable[[bytes, Address, float], None]) -> None:
        self._take = take
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    @property
    def address(self) -> Address:
        host, port = self._socket.getsockname()
        return host, port

    def send(self, data: bytes, to: Address) -> None:
        self._socket.sendto(data, to)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def _read(self) -> None:
        while self._socket.fileno() >= 0:
            try:
                data, extra, _, addr = self._socket.recvmsg(65_536, 256)
            except BlockingIOError:
                return
            seconds, nanos = next(
                TIMESPEC.unpack_from(what) for level, kind, what in extra if (level, kind) == (socket.SOL_SOCKET, 35)
            )
            self._take(data, addr, seconds + nanos / 1e9)


class Uas:
    """Answers every INVITE after a short ring, and speaks silence; or refuses it, given a status line for that."""

    def __init__(self, ring_secs: float, *, early: bool = False, refuses: str = "", options: str = "200 OK") -> None:
        self.calls: dict[str, Heard] = {}
        self.requests: list[str] = []
        """The methods that came, in order."""
        self._ring_secs = ring_secs
        self._early = early
        """Whether it has audio while it rings."""
        self._refuses = refuses
        self._options = options
        self._port = Port(self._came)
        self._rtp: dict[str, _Rtp] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._chance = random.Random(1)

    @property
    def address(self) -> str:
        host, port = self._port.address
        return f"{host}:{port}"

    def _came(self, data: bytes, addr: Address, at: float) -> None:
        text = data.decode(errors="replace")
        call_id = _header(text, "Call-ID")
        method = text.partition(" ")[0]
        self.requests.append(method)
        if method == "INVITE" and call_id not in self.calls:
            self.calls[call_id] = Heard(rang_at=at)
            task = asyncio.create_task(self._answer(text, call_id, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif method == "ACK":
            heard = self.calls[call_id]
            heard.acked_at = heard.acked_at or at
        elif method == "BYE":
            self.calls[call_id].ended, self.calls[call_id].ended_at = True, at
            self._reply(text, "200 OK", addr)
            if (rtp := self._rtp.pop(call_id, None)) is not None:
                rtp.close()

        elif method == "OPTIONS" and self._options:
            self._reply(text, self._options, addr)

    async def _answer(self, text: str, call_id: str, addr: Address) -> None:
        if self._refuses:
            self._reply(text, self._refuses, addr)
            return
        rtp = self._rtp[call_id] = _Rtp(self.calls[call_id])
        port = re.search(r"m=audio ([0-9]+)", text)
        assert port is not None
        rtp.speak_to(("127.0.0.1", int(port[1])))
        sdp = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {rtp.port} RTP/AVP 0 101\r\n"
            "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
        )
        self._reply(text, *(("183 Session Progress", addr, sdp) if self._early else ("180 Ringing", addr)))
        await asyncio.sleep(self._ring_secs * self._chance.uniform(0.5, 1.5))
        self._reply(text, "200 OK", addr, sdp)

    def _reply(self, text: str, line: str, addr: Address, sdp: str = "") -> None:
        to = _header(text, "To")
        lines = [f"SIP/2.0 {line}", *(f"{name}: {_header(text, name)}" for name in ("Via", "From", "Call-ID", "CSeq"))]
        lines += [f"To: {to}" if "tag=" in to else f"To: {to};tag=uas", f"Contact: <sip:{self.address}>"]
        lines += ["Content-Type: application/sdp"] if sdp else []
        lines += [f"Content-Length: {len(sdp)}", "", sdp]
        self._port.send("\r\n".join(lines).encode(), addr)

    async def press(self, digits: str) -> None:
        """Keys in the call that is up."""
        (rtp,) = self._rtp.values()
        await rtp.press(digits)

    def close(self) -> None:
        for rtp in self._rtp.values():
            rtp.close()
        for task in self._tasks:
            task.cancel()
        self._port.close()


class _Rtp:
    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._port = Port(self._came)
        self._speaking: asyncio.Task[None] | None = None
        self._pressed: int | None = None
        """The key that is held, by its number (RFC 4733 3.2)."""
        self._held = 0
        """For how many packets."""

    @property
    def port(self) -> int:
        return self._port.address[1]

    def _came(self, data: bytes, _addr: Address, at: float) -> None:
        _, kind, seq, _, _ = HEADER.unpack_from(data)
        if kind & 0x7F != 0:
            return
        self._heard.came.append((at, seq))
        self._heard.said += data[12:]
        if self._heard.voiced_at:
            return
        if rms(data[12:]) > VOICED_RMS:
            self._heard.voiced_at = at
        else:
            self._heard.silent_first += 1

    async def press(self, digits: str) -> None:
        """Keys as events (RFC 4733), each held for 100 ms."""
        for digit in digits:
            self._pressed = "0123456789*#ABCD".index(digit)
            self._held = 0
            while self._pressed is not None:  # noqa: ASYNC110 - it goes with the packets of `_speak`
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.06)

    def speak_to(self, addr: Address) -> None:
        self._speaking = asyncio.create_task(self._speak(addr))

    async def _speak(self, addr: Address) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n in range(1 << 16):
            self._port.send(self._packet(n), addr)
            await asyncio.sleep(max(0.0, began + (n + 1) * 0.02 - loop.time()))

    def _packet(self, n: int) -> bytes:
        """Silence, or the key that is held: since when, and in the last three packets that it is let go."""
        if self._pressed is None:
            return HEADER.pack(0x80, 0, n, n * 160, 1) + SILENCE
        self._held += 1
        begun = (n - self._held + 1) * 160
        let_go = 0x80 if self._held > HELD_PACKETS else 0
        event = EVENT.pack(self._pressed, let_go | 10, min(self._held, HELD_PACKETS) * 160)
        if self._held == HELD_PACKETS + 3:
            self._pressed = None
        return HEADER.pack(0x80, 101 | (0x80 if self._held == 1 else 0), n, begun, 1) + event

    def close(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
        self._port.close()


def rms(pcmu: bytes) -> int:
    """How loud it is."""
    return audioop.rms(audioop.ulaw2lin(pcmu, 2), 2)


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}:[ \t]*(.*?)\r?$", text, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""


@asynccontextmanager
async def uas(
    ring_secs: float = 0.2, *, early: bool = False, refuses: str = "", options: str = "200 OK"
) -> AsyncIterator[Uas]:
    """A running one."""
    far = Uas(ring_secs, early=early, refuses=refuses, options=options)
    try:
        yield far
    finally:
        far.close()


@contextmanager
def uas_aside(ring_secs: float = 0.2, *, refuses: str = "", options: str = "200 OK") -> Iterator[Uas]:
    """A running one in a thread of its own, for tests that do not run on a loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="uas", daemon=True)
    thread.start()

    async def make() -> Uas:
        return Uas(ring_secs, refuses=refuses, options=options)

    async def close() -> None:
        far.close()

    far = asyncio.run_coroutine_threadsafe(make(), loop).result(5)
    try:
        yield far
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
