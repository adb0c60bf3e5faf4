"""RTP of one call both ways, 20 ms a packet (RFC 3550, 3551), and keys as events (RFC 4733)."""

import asyncio
import contextlib
import logging
import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable

from outdial.lab.carrier.g711 import FRAME
from outdial.lab.carrier.weather import Weather

HOST = "127.0.0.1"
FRAME_SECS = 0.02
STALL_FRAMES = 25
"""After a stall of half a second the missed packets are left out: nobody wants them any more."""
AT_ONCE = 32
"""Packets that are read before somebody else has his turn."""
TRIES = 50
KEYS = "0123456789*#ABCD"
KEY_FRAMES = 5
"""How long a key is held: 100 ms."""
LAST_TIMES = 3
"""The end of a key is said so often, for packets get lost (RFC 4733 2.5.1.4)."""

Place = tuple[str, int]
_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_VERSION = 0x80
_MARKER = 0x80

log = logging.getLogger(__name__)


class Pacer:
    """Calls everybody who talks 50 times a second, by absolute deadline: one clock for all calls."""

    def __init__(self) -> None:
        self._ticks: dict[object, Callable[[], None]] = {}
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def join(self, who: object, tick: Callable[[], None]) -> None:
        """`tick` is called every 20 ms from now on."""
        self._ticks[who] = tick
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._due = loop.time()
            self._handle = loop.call_soon(self._run)  # type: ignore[assignment]  # both can be cancelled

    def leave(self, who: object) -> None:
        """Not any more; also for who never was on it."""
        self._ticks.pop(who, None)

    def _run(self) -> None:
        for who, tick in list(self._ticks.items()):
            try:
                tick()
            except Exception:
                # the edge of one call's audio: the others go on
                log.exception("audio of a call failed")
                self.leave(who)
        loop = asyncio.get_running_loop()
        self._due += FRAME_SECS
        if loop.time() - self._due > STALL_FRAMES * FRAME_SECS:
            self._due = loop.time()
        self._handle = loop.call_at(self._due, self._run) if self._ticks else None


class Rtp:
    """Our side of one call's audio: sends silence while there is nothing to say."""

    def __init__(self, pacer: Pacer, weather: Weather, hear: Callable[[int, int, bytes], None]) -> None:
        """Take a port; `hear` is told payload type, timestamp and payload of every packet that comes."""
        self._pacer = pacer
        self._weather = weather
        self._hear = hear
        self._socket = _on_an_even_port()
        self.port: int = self._socket.getsockname()[1]
        self._to: Place | None = None
        self._from: Place | None = None
        """Who was heard first: nobody else is."""
        self._type = 0
        self._events: int | None = None
        self._silence = b""
        self._speech: deque[bytes] = deque()
        self._key: deque[bytes] = deque()
        """Payloads of a key that is being pressed."""
        self._key_at = 0
        self._played: asyncio.Event = asyncio.Event()
        self._played.set()
        self._sequence = secrets.randbits(16)
        self._timestamp = secrets.randbits(32)
        self._source = secrets.randbits(32)
        self._first = True
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def agree(self, place: Place, kind: int, silence: bytes, events: int | None) -> None:
        """Where to send, and in which payload types."""
        self._to, self._type, self._silence, self._events = place, kind, silence, events

    def start(self) -> None:
        """Send from now on."""
        self._pacer.join(self, self._tick)

    def close(self) -> None:
        """Give the port back; may be called twice."""
        self._pacer.leave(self)
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    def play(self, coded: bytes) -> None:
        """Say this, after what is being said."""
        padded = coded + self._silence[: -len(coded) % FRAME]
        self._speech.extend(padded[at : at + FRAME] for at in range(0, len(padded), FRAME))
        self._played.clear()

    async def say(self, coded: bytes) -> None:
        """Say this, and return when it has been said."""
        self.play(coded)
        await self._played.wait()

    def hush(self) -> None:
        """Leave the rest unsaid."""
        self._speech.clear()

    async def press(self, key: str) -> None:
        """Press a key, where the other side knows keys."""
        if self._events is None:
            return
        number = KEYS.index(key)
        held = [_EVENT.pack(number, 10, FRAME * n) for n in range(1, KEY_FRAMES + 1)]
        self._key.extend(held + [_EVENT.pack(number, 0x80 | 10, FRAME * KEY_FRAMES)] * LAST_TIMES)
        self._key_at = self._timestamp
        self._played.clear()
        await self._played.wait()

    def _tick(self) -> None:
        if self._key and self._events is not None:
            first = len(self._key) == KEY_FRAMES + LAST_TIMES
            self._send(self._events, self._key.popleft(), self._key_at, marked=first)
        else:
            self._send(self._type, self._speech.popleft() if self._speech else self._silence, self._timestamp)
        self._timestamp = (self._timestamp + FRAME) & 0xFFFF_FFFF
        if not self._speech and not self._key:
            self._played.set()

    def _send(self, kind: int, payload: bytes, timestamp: int, *, marked: bool = False) -> None:
        marked, self._first = marked or self._first, False
        head = _HEADER.pack(_VERSION, kind | (_MARKER if marked else 0), self._sequence, timestamp, self._source)
        self._sequence = (self._sequence + 1) & 0xFFFF
        if not self._weather.loses():
            self._weather.carry(lambda: self._leave(head + payload))

    def _leave(self, packet: bytes) -> None:
        if self._to is not None and self._socket.fileno() >= 0:
            with contextlib.suppress(OSError):  # a full buffer loses a packet, as any network does
                self._socket.sendto(packet, self._to)

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            try:
                packet, source = self._socket.recvfrom(2_048)
            except OSError:
                return
            if len(packet) > _HEADER.size and packet[0] & 0xC0 == _VERSION and not self._weather.loses():
                self._take(packet, source)

    def _take(self, packet: bytes, source: Place) -> None:
        kind = packet[1] & 0x7F
        if 64 <= kind < 96 or source != (self._from or source):  # RTCP on our port, or a stranger
            return
        self._from = source
        start = _HEADER.size + 4 * (packet[0] & 0x0F)
        if packet[0] & 0x10 and len(packet) >= start + 4:  # an extension
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4])
        end = len(packet) - (packet[-1] if packet[0] & 0x20 else 0)  # padding
        self._hear(kind, int.from_bytes(packet[4:8]), packet[start:end])


def _on_an_even_port() -> socket.socket:
    """RTP's ports are even; the next one is left to RTCP, which nobody here speaks (RFC 3550 11)."""
    for _ in range(TRIES):
        place = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        place.setblocking(False)  # noqa: FBT003 - the socket's own
        try:
            place.bind((HOST, 0))
        except OSError:
            place.close()
            raise
        if place.getsockname()[1] % 2 == 0:
            return place
        place.close()
    raise OSError("no even port is free")
