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
from outdial.lab.carrier.report import Reporter

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
    from outdial.lab.carrier.sip.opening import opened  # tables and grammar that HTTP alone does not need

    async with opened(network, options) as where:
        yield where


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
