"""The process: both fronts of one network, and where they listen."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from outdial.lab.carrier.http import Front
from outdial.lab.carrier.journal import Journal
from outdial.lab.carrier.network import Network
from outdial.lab.carrier.options import Options, read
from outdial.lab.carrier.person import Manners
from outdial.lab.carrier.report import Reporter
from outdial.lab.carrier.sip.dialog import Trunk
from outdial.lab.carrier.sip.digest import Digest
from outdial.lab.carrier.sip.front import SipFront
from outdial.lab.carrier.sip.transport import Doors
from outdial.lab.carrier.voices import prepare
from outdial.lab.carrier.weather import Weather

HOST = "127.0.0.1"


async def serve(options: Options) -> None:
    """Be the network until SIGTERM or SIGINT; says on stdout where it listens."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    journal = Journal(options.log)
    network = Network(journal, ring_secs=options.ring_secs, talk_secs=options.talk_secs)
    try:
        async with _http(network, options) as http, _sip(network, options) as sip:
            listening = {"listening": http, **({"sip": sip} if sip else {})}
            sys.stdout.write(msgspec.json.encode(listening).decode() + "\n")
            sys.stdout.flush()
            await stopped.wait()
    finally:
        journal.close()


@asynccontextmanager
async def _http(network: Network, options: Options) -> AsyncIterator[str]:
    """The HTTP front, and its URL."""
    reporter = Reporter()
    app = web.Application(client_max_size=65_536)
    app.add_routes(Front(network, reporter).routes())
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    try:
        await runner.setup()
        await web.TCPSite(runner, HOST, options.port, backlog=1024).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        reporter.close()
        await runner.cleanup()


@asynccontextmanager
async def _sip(network: Network, options: Options) -> AsyncIterator[str]:
    """The SIP front, if one is wanted, and where it listens."""
    if options.sip_port is None:
        yield ""
        return
    weather = Weather(options.loss, options.jitter, options.seed)
    front = SipFront(Digest(options.sip_user, options.sip_password) if options.sip_user else None)
    doors = Doors(front.receive, weather)
    manners = Manners(options.talk_secs, options.listen_secs)
    voices = await prepare() if manners.talk_secs > 0 else {}
    front.trunk = Trunk(network, doors, weather, manners, voices=voices, audio=options.audio)
    try:
        await doors.open(options.sip_port)
        yield f"{HOST}:{doors.port}"
    finally:
        doors.close()
        front.close()


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `outdial carrier`, `python -m outdial.lab.carrier`.

    The exit code is 1 where a port or a file can't be used, 2 where a setting is wrong.
    """
    try:
        options = read(argv)
    except ValueError as wrong:
        return _complain(str(wrong), 2)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(options))
    except OSError as wrong:
        return _complain(str(wrong), 1)
    return 0


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
