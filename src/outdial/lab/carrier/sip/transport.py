"""How messages come and go: datagrams, and connections that carry one message after the other."""

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable
from typing import Protocol, cast

from outdial.lab.carrier.weather import Weather

HOST = "127.0.0.1"
LONGEST_HEAD = 65_536
"""Bytes; who sends more is hung up on."""
LONGEST_BODY = 65_536
BUFFER = 4 * 1024 * 1024
"""Bytes that we ask the kernel to keep for us while we are busy; it may give less."""
CONNECT_SECS = 2.0
TRIES = 50

Place = tuple[str, int]
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)


class Path(Protocol):
    """A way to somebody."""

    @property
    def name(self) -> str:
        """As in Via: UDP or TCP."""
        ...

    @property
    def reliable(self) -> bool:
        """Whether nothing needs to be said twice."""
        ...

    @property
    def place(self) -> Place:
        """Where it leads."""
        ...

    def send(self, data: bytes) -> None:
        """One message."""
        ...


Receive = Callable[[bytes, Path], None]


class Datagrams(asyncio.DatagramProtocol):
    """Our end of UDP."""

    def __init__(self, receive: Receive, weather: Weather) -> None:
        self._receive = receive
        self._weather = weather
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Place) -> None:
        if not self._weather.loses():
            self._receive(data, DatagramPath(self, addr))

    def error_received(self, exc: Exception) -> None:
        """Nobody was there: whoever waits for an answer finds out by himself."""

    def send(self, data: bytes, place: Place) -> None:
        """One datagram."""
        if self._transport is not None and not self._weather.loses():
            self._transport.sendto(data, place)

    def close(self) -> None:
        """May be called twice."""
        if self._transport is not None:
            self._transport.close()


class DatagramPath:
    """Over UDP to one place."""

    name = "UDP"
    reliable = False

    def __init__(self, datagrams: Datagrams, place: Place) -> None:
        self._datagrams = datagrams
        self.place = place

    def send(self, data: bytes) -> None:
        self._datagrams.send(data, self.place)

    def to(self, place: Place) -> "DatagramPath":
        """The same, to another place."""
        return self if place == self.place else DatagramPath(self._datagrams, place)


class Connection(asyncio.Protocol):
    """One connection, whoever opened it; messages are told apart by Content-Length (RFC 3261 18.3)."""

    name = "TCP"
    reliable = True

    def __init__(self, receive: Receive, opened: set["Connection"]) -> None:
        self._receive = receive
        self._opened = opened
        self._transport: asyncio.Transport | None = None
        self._got = bytearray()
        self.place: Place = (HOST, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.place = self._transport.get_extra_info("peername")[:2]
        self._opened.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._opened.discard(self)

    @property
    def up(self) -> bool:
        """Whether something can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """May be called twice."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._got += data
        while self.up and (message := self._next()) is not None:
            self._receive(message, self)

    def _next(self) -> bytes | None:
        """The next whole message; closes a connection on which none can be told any more."""
        while self._got[:2] == b"\r\n":  # RFC 5626 4.4.1: a sign of life, answered by half of it
            if self._got[:4] == b"\r\n\r\n":
                self.send(b"\r\n")
            del self._got[:2]
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            if len(self._got) > LONGEST_HEAD:
                self.close()
            return None
        told = _LENGTH.search(self._got, 0, end + 2)
        length = int(told[1]) if told else 0
        if length > LONGEST_BODY or end > LONGEST_HEAD:
            self.close()
            return None
        whole = end + 4 + length
        if len(self._got) < whole:
            return None
        message = bytes(self._got[:whole])
        del self._got[:whole]
        return message


class Doors:
    """UDP and TCP on one port."""

    def __init__(self, receive: Receive, weather: Weather) -> None:
        self._receive = receive
        self._datagrams = Datagrams(receive, weather)
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._calls_back: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self, port: int) -> None:
        """Listen; 0 takes a port that is free for both. Raises OSError."""
        for left in reversed(range(TRIES if port == 0 else 1)):
            try:
                await self._open(port)
            except OSError:
                self._datagrams.close()
                if not left:
                    raise
            else:
                return

    async def _open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        place = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        place.setblocking(False)  # noqa: FBT003 - the socket's own
        place.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        try:
            place.bind((HOST, port))
            self.port = place.getsockname()[1]
            self._server = await loop.create_server(
                lambda: Connection(self._receive, self._connections), HOST, self.port, backlog=1024
            )
        except OSError:
            place.close()
            raise
        await loop.create_datagram_endpoint(lambda: self._datagrams, sock=place)

    def path(self, known: Path, place: Place | None) -> Path:
        """The way to a place of which nothing came yet, by the transport of one that is known."""
        if isinstance(known, DatagramPath):
            return known if place is None else known.to(place)
        if isinstance(known, Connection) and known.up:
            return known
        return CallBack(self, place or known.place)

    def connect(self, place: Place, data: bytes) -> None:
        """Open a connection and send; where nobody listens, nothing happens."""
        task = asyncio.get_running_loop().create_task(self._connect(place, data))
        self._calls_back.add(task)
        task.add_done_callback(self._calls_back.discard)

    async def _connect(self, place: Place, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._receive, self._connections), *place
                )
            connection.send(data)

    def close(self) -> None:
        """May be called twice."""
        self._datagrams.close()
        if self._server is not None:
            self._server.close()
        for task in self._calls_back:
            task.cancel()
        for connection in list(self._connections):
            connection.close()


class CallBack:
    """Over a TCP connection that is opened when something is sent: the one that a call came by is gone."""

    name = "TCP"
    reliable = True

    def __init__(self, doors: Doors, place: Place) -> None:
        self._doors = doors
        self.place = place

    def send(self, data: bytes) -> None:
        self._doors.connect(self.place, data)
