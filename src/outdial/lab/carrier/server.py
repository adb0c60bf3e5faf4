"""The network's HTTP side: the addresses of the package's docstring, and the main of the process."""

import argparse
import asyncio
import math
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from aiohttp import web

from outdial.lab.carrier.endings import RETRY_AFTER_SECS, Quirk
from outdial.lab.carrier.journal import Journal
from outdial.lab.carrier.network import Network, Placing
from outdial.lab.carrier.report import Reporter

HOST = "127.0.0.1"
NO_REPLY_SECS = 60.0
"""How long a caller who gets no reply is kept, at most."""
RING_SECS = 1.0
TALK_SECS = 2.0

_NUMBER = re.compile(r"\+[1-9][0-9]{3,14}")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACING = msgspec.json.Decoder(Placing)


class HangUp(msgspec.Struct):
    """The body of `hang_up`."""

    even_if_answered: bool = False


_HANG_UP = msgspec.json.Decoder(HangUp)


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
        placed = self._network.place(order)
        if placed is None:
            return _answer(429, {"error": "too many calls"}, {"Retry-After": str(RETRY_AFTER_SECS)})
        if placed.quirk is Quirk.NO_REPLY:
            await asyncio.sleep(NO_REPLY_SECS)  # cancelled when the caller leaves
            if request.transport is not None:
                request.transport.abort()
        if placed.quirk is Quirk.ERROR_REPLY:
            return _answer(500, {"error": "internal error"})
        return _answer(201, {"call_id": placed.call_id})

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


async def serve(*, port: int, log: Path | None, ring_secs: float, talk_secs: float) -> None:
    """Be the network until SIGTERM or SIGINT; says on stdout where it listens."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    journal, reporter = Journal(log), Reporter()
    network = Network(journal, reporter, ring_secs=ring_secs, talk_secs=talk_secs)
    app = web.Application(client_max_size=65_536)
    app.add_routes(Front(network, reporter).routes())
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    try:
        await runner.setup()
        await web.TCPSite(runner, HOST, port, backlog=1024).start()
        listening = f"http://{HOST}:{runner.addresses[0][1]}"
        sys.stdout.write(msgspec.json.encode({"listening": listening}).decode() + "\n")
        sys.stdout.flush()
        await stopped.wait()
    finally:
        reporter.close()
        await runner.cleanup()
        journal.close()


def run(port: int = 0, log: Path | None = None, ring_secs: float | None = None, talk_secs: float | None = None) -> int:
    """Run the network in this process until it is told to stop; what is not given comes from the environment.

    The exit code is 1 where the port or the log can't be used, 2 where a setting is wrong.
    """
    try:
        ring = _secs("OUTDIAL_CARRIER_RING_SECS", ring_secs, RING_SECS)
        talk = _secs("OUTDIAL_CARRIER_TALK_SECS", talk_secs, TALK_SECS)
    except ValueError as wrong:
        return _complain(str(wrong), 2)
    if log is None and (named := os.environ.get("OUTDIAL_CARRIER_LOG")):
        log = Path(named)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(port=port, log=log, ring_secs=ring, talk_secs=talk))
    except OSError as wrong:
        return _complain(str(wrong), 1)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `outdial carrier`, `python -m outdial.lab.carrier`."""
    asked = argparse.ArgumentParser(
        prog="outdial carrier", description="The network in a box: a phone network to try things on."
    )
    asked.add_argument("--port", type=int, default=0, help="0, the default, takes a free one and prints it")
    asked.add_argument(
        "--log", type=Path, help="append what was dialled, answered and ended here [OUTDIAL_CARRIER_LOG]"
    )
    asked.add_argument("--ring-secs", type=float, help="how long phones ring [OUTDIAL_CARRIER_RING_SECS, 1]")
    asked.add_argument("--talk-secs", type=float, help="how long people talk [OUTDIAL_CARRIER_TALK_SECS, 2]")
    args = asked.parse_args(argv)
    return run(args.port, args.log, args.ring_secs, args.talk_secs)


def _secs(name: str, given: float | None, default: float) -> float:
    """Seconds as given, else from the environment, else the default; 0 is allowed."""
    told: str | float = given if given is not None else os.environ.get(name) or default
    try:
        secs = float(told)
    except ValueError:
        secs = math.nan
    if not (math.isfinite(secs) and secs >= 0):
        raise ValueError(f"{name}={told!r}: seconds from 0 on")
    return secs


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where it is installed: half the processor time."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


def _complain(words: str, code: int) -> int:
    sys.stderr.write(f"outdial carrier: {words}\n")
    return code
