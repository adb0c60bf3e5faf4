"""The network's HTTP side: the addresses of the package's docstring."""

import asyncio
import math
import re
from collections.abc import Callable

import msgspec
from aiohttp import web

from outdial.lab.carrier.course import Report
from outdial.lab.carrier.endings import RETRY_AFTER_SECS, Quirk, quirk
from outdial.lab.carrier.network import Network, Order
from outdial.lab.carrier.report import Reporter

NO_REPLY_SECS = 60.0
"""How long a caller who gets no reply is kept, at most."""

_NUMBER = re.compile(r"\+[1-9][0-9]{3,14}")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Placing(msgspec.Struct):
    """The body of `place`."""

    call_key: str
    number: str
    callback_url: str
    callback_secret: str
    caller: str = ""
    ring_secs: float = 60.0
    talk_secs: float = 600.0
    greeting: str = ""

    def order(self) -> Order:
        """As the network has it."""
        return Order(self.call_key, self.number, self.greeting, self.ring_secs, self.talk_secs)


class HangUp(msgspec.Struct):
    """The body of `hang_up`."""

    even_if_answered: bool = False


_PLACING = msgspec.json.Decoder(Placing)
_HANG_UP = msgspec.json.Decoder(HangUp)
_encode = msgspec.json.Encoder().encode


class _Told:
    """Who placed a call over HTTP: hears of it by reports."""

    def __init__(self, order: Placing, reporter: Reporter) -> None:
        self._order = order
        self._reporter = reporter
        self._quirk = quirk(order.number)
        self._answered = False
        self._held: list[Report] = []
        """Reports that wait for the end (0902)."""

    def tell(self, report: Report) -> None:
        silent, self._answered = self._answered, self._answered or report.event == "answered"
        match self._quirk:
            case Quirk.SILENT if silent:
                return
            case Quirk.REVERSED:
                self._held.append(report)
                if report.event == "ended":
                    self._send_in_turn([again for held in reversed(self._held) for again in (held, held)])
            case _:
                self._send(report)

    def _send_in_turn(self, reports: list[Report]) -> None:
        """Each after the one before was delivered or given up, so that they arrive in this order."""
        if reports:
            first, *rest = reports
            self._send(first, done=lambda: self._send_in_turn(rest))

    def _send(self, report: Report, *, done: Callable[[], None] | None = None) -> None:
        self._reporter.post(self._order.callback_url, self._order.callback_secret, _encode(report), done=done)


class Front:
    """Thin handlers: read, ask the network, answer."""

    def __init__(self, network: Network, reporter: Reporter) -> None:
        self._network = network
        self._reporter = reporter

    def routes(self) -> list[web.RouteDef]:
        """Every address."""
        return [
            web.get("/", self.tell),
            web.post("/calls", self.place),
            web.get("/calls/{call_key}", self.look_up),
            web.post("/calls/{call_key}/hang_up", self.hang_up),
        ]

    async def tell(self, _request: web.Request) -> web.Response:
        return _answer(
            200,
            {
                "placed": self._network.placed,
                "live": self._network.live,
                "reports_sent": self._reporter.sent,
                "reports_lost": self._reporter.lost,
                "reports_waiting": self._reporter.waiting,
            },
        )

    async def place(self, request: web.Request) -> web.Response:
        try:
            order = _PLACING.decode(await request.read())
        except msgspec.DecodeError as wrong:
            return _answer(400, {"error": str(wrong)})
        if complaint := _complaint(order):
            return _answer(400, {"error": complaint})
        placed = self._network.place(order.order(), _Told(order, self._reporter))
        if placed is None:
            return _answer(429, {"error": "too many calls"}, {"Retry-After": str(RETRY_AFTER_SECS)})
        if placed.quirk is Quirk.NO_REPLY:
            await asyncio.sleep(NO_REPLY_SECS)  # cancelled when the caller leaves
            if request.transport is not None:
                request.transport.abort()
        if placed.quirk is Quirk.ERROR_REPLY:
            return _answer(500, {"error": "internal error"})
        return _answer(201, {"call_id": placed.call.call_id})

    async def hang_up(self, request: web.Request) -> web.Response:
        try:
            wish = _HANG_UP.decode(await request.read() or b"{}")
        except msgspec.DecodeError as wrong:
            return _answer(400, {"error": str(wrong)})
        done = self._network.hang_up(request.match_info["call_key"], even_if_answered=wish.even_if_answered)
        return _answer(200, done) if done else _answer(404, {"error": "unknown call_key"})

    async def look_up(self, request: web.Request) -> web.Response:
        calls = self._network.look_up(request.match_info["call_key"])
        return _answer(200, {"calls": calls}) if calls else _answer(404, {"error": "unknown call_key"})


def _answer(status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)


def _complaint(order: Placing) -> str:
    """What is wrong with an order; nothing: ""."""
    if not _NUMBER.fullmatch(order.number):
        return "number: not E.164"
    if not _KEY.fullmatch(order.call_key):
        return "call_key: 1 to 64 of [A-Za-z0-9_-]"
    if not order.callback_url.startswith(("http://", "https://")) or re.search(r"[\s\x00-\x1f]", order.callback_url):
        return "callback_url: an http or https URL"
    if not all(math.isfinite(secs) and secs >= 0 for secs in (order.ring_secs, order.talk_secs)):
        return "ring_secs, talk_secs: seconds, not negative"
    return ""
