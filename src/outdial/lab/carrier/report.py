"""Sending reports: signed POSTs over kept-alive connections, repeated when they are not answered 2xx.

An HTTP client of its own, because it may send thousands of reports a second beside the server that is being measured;
a client of aiohttp takes about six times the processor time for each (docs/decisions/carrier-callback-client.md).
"""

import asyncio
import hashlib
import hmac
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

MAX_CONNECTIONS = 128
"""To one origin; more reports wait their turn."""
REPEATS_AFTER_SECS = (0.5, 1.0, 1.5)
"""Since the first try: so the last of the three repeats is over, or given up, within 2 s."""
TRY_SECS = 0.5
MAX_HEAD = 65_536
"""Bytes of an answer's head that are put up with."""


def signature(secret: bytes, body: bytes, *, at: int) -> str:
    """The value of X-Carrier-Signature."""
    digest = hmac.digest(secret, b"%d." % at + body, hashlib.sha256).hex()
    return f"t={at},v1={digest}"


class Delivery:
    """One report on its way."""

    __slots__ = ("body", "done", "first_at", "path", "secret", "tries")

    def __init__(self, path: str, secret: bytes, body: bytes, done: Callable[[], None] | None) -> None:
        self.path = path
        self.secret = secret
        self.body = body
        self.done = done
        self.tries = 0
        self.first_at = 0.0
        """Of the loop's clock, when the first try began."""


class Reporter:
    """Every report of the network goes through here."""

    def __init__(self) -> None:
        self._origins: dict[tuple[str, str], _Origin] = {}
        self.sent = 0
        """Reports that were answered 2xx."""
        self.lost = 0
        """Reports that were given up after the last repeat."""
        self.waiting = 0
        """Reports that are neither."""

    def post(self, url: str, secret: str, body: bytes, *, done: Callable[[], None] | None = None) -> None:
        """Send a report, at once where a connection is free; `done` is called when it was delivered or given up."""
        parts = urlsplit(url)
        place = (parts.scheme, parts.netloc)
        origin = self._origins.get(place)
        if origin is None:
            origin = self._origins[place] = _Origin(self, *place)
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        self.waiting += 1
        origin.take(Delivery(path, secret.encode(), body, done))

    def over(self, delivery: Delivery, *, delivered: bool) -> None:
        """Count a report that is off our hands."""
        self.waiting -= 1
        if delivered:
            self.sent += 1
        else:
            self.lost += 1
        if delivery.done is not None:
            delivery.done()

    def close(self) -> None:
        """Drop every connection; what still waits is lost."""
        for origin in self._origins.values():
            origin.close()
        self._origins.clear()


class _Origin:
    """One server that is reported to: its connections and who waits for one."""

    def __init__(self, reporter: Reporter, scheme: str, netloc: str) -> None:
        parts = urlsplit(f"{scheme}://{netloc}")
        self.reporter = reporter
        self.head = f"Host: {netloc}\r\nContent-Type: application/json\r\n"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if scheme == "https" else 80)
        self._tls = ssl.create_default_context() if scheme == "https" else None
        self._idle: list[_Wire] = []
        self._open: set[_Wire] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._queue: deque[Delivery] = deque()
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def take(self, delivery: Delivery) -> None:
        """Send it over a free connection, or queue it and open one."""
        if self._closed:
            return
        if self._idle:
            self._idle.pop().send(delivery)
            return
        self._queue.append(delivery)
        self._widen()

    def _widen(self) -> None:
        """Open connections for those who wait, as far as they may be opened."""
        room = MAX_CONNECTIONS - len(self._open) - len(self._connecting)
        for _ in range(min(room, len(self._queue) - len(self._connecting))):
            task = self._loop.create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        if not self._closed:
            self._widen()

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(TRY_SECS):
                await self._loop.create_connection(lambda: _Wire(self), self._host, self._port, ssl=self._tls)
        except (OSError, TimeoutError):
            if self._queue:  # this try was for the one that waited longest
                delivery = self._queue.popleft()
                _begin(delivery, self._loop.time())
                self.failed(delivery)

    def ready(self, wire: "_Wire") -> None:
        """A connection is free: the next in the queue has it."""
        self._open.add(wire)
        if self._queue:
            wire.send(self._queue.popleft())
        else:
            self._idle.append(wire)

    def gone(self, wire: "_Wire") -> None:
        """A connection is closed."""
        self._open.discard(wire)
        if wire in self._idle:
            self._idle.remove(wire)
        if not self._closed:
            self._widen()

    def succeeded(self, delivery: Delivery) -> None:
        """It was answered 2xx."""
        self.reporter.over(delivery, delivered=True)

    def failed(self, delivery: Delivery) -> None:
        """A try is over without a 2xx: repeat it at its time, or give it up."""
        if self._closed:
            return
        if delivery.tries > len(REPEATS_AFTER_SECS):
            self.reporter.over(delivery, delivered=False)
            return
        again_at = delivery.first_at + REPEATS_AFTER_SECS[delivery.tries - 1]
        self._loop.call_at(again_at, self.take, delivery)

    def close(self) -> None:
        """Drop everything; may be called twice."""
        self._closed = True
        self._queue.clear()
        for task in self._connecting:
            task.cancel()
        for wire in list(self._open):
            wire.abort()


def _begin(delivery: Delivery, now: float) -> None:
    delivery.tries += 1
    delivery.first_at = delivery.first_at or now


class _Wire(asyncio.Protocol):
    """One connection: one request at a time (HTTP/1.1, RFC 9112)."""

    def __init__(self, origin: _Origin) -> None:
        self._origin = origin
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._delivery: Delivery | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._got = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._origin.ready(self)

    def send(self, delivery: Delivery) -> None:
        """Write the request; this connection is free, so nothing of an earlier answer is left."""
        _begin(delivery, self._loop.time())
        self._delivery = delivery
        self._timer = self._loop.call_later(TRY_SECS, self.abort)
        signed = signature(delivery.secret, delivery.body, at=int(time.time()))
        head = (
            f"POST {delivery.path} HTTP/1.1\r\n{self._origin.head}"
            f"X-Carrier-Signature: {signed}\r\nContent-Length: {len(delivery.body)}\r\n\r\n"
        )
        if self._transport is not None:
            self._transport.write(head.encode() + delivery.body)

    def data_received(self, data: bytes) -> None:
        self._got += data
        answer = _answer(self._got)
        if answer is None:
            if len(self._got) > MAX_HEAD:
                self.abort()
            return
        status, reusable = answer
        self._got.clear()
        delivery = self._free()
        if not reusable:
            self.abort()
        if delivery is not None:
            (self._origin.succeeded if 200 <= status < 300 else self._origin.failed)(delivery)
        if reusable:
            self._origin.ready(self)

    def connection_lost(self, exc: Exception | None) -> None:
        delivery = self._free()
        self._origin.gone(self)
        if delivery is not None:
            self._origin.failed(delivery)

    def abort(self) -> None:
        """Close without ceremony; an unanswered try fails."""
        if self._transport is not None:
            self._transport.abort()

    def _free(self) -> Delivery | None:
        delivery, self._delivery = self._delivery, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return delivery


def _answer(got: bytearray) -> tuple[int, bool] | None:
    """Status of a complete answer, and whether the connection can carry another; None while more must come.

    An answer without a length (chunked, or until close) is taken as soon as its head is there; then it hangs up.
    """
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(got[:end]).lower()
    at = head.find(b"\r\ncontent-length:")
    try:
        status = int(head[9:12])
        length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else None
    except ValueError:
        return 0, False
    if length is None:
        return status, status == 204
    if len(got) - end - 4 < length:
        return None if length < MAX_HEAD else (status, False)
    return status, b"\r\nconnection: close" not in head
