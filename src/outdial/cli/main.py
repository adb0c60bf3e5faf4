"""`outdial`: the server, and the commands that talk to it."""

import errno
import importlib
import io
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outdial import __version__
from outdial.cli import agents, batch, dnc, keys, numbers, operating, submitting
from outdial.cli.client import Failed
from outdial.cli.options import INTERRUPTED, REFUSED, Database
from outdial.domain.errors import OutdialError

if TYPE_CHECKING:
    from outdial.app.pool import WorkerPool

HELP = """Batch calling for voice agents.

OUTDIAL_URL (http://127.0.0.1:8080 unless set) and OUTDIAL_API_KEY name the server and its key.

Exit codes: 0 all well, 1 refused or failed, 2 wrong usage, 3 a batch ended with people not reached, 130 Ctrl-C.
"""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)


def main() -> None:
    """Run one command; the exit code is 1 when it was refused or failed, 2 for wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to fail
    try:
        app()
    except (Failed, OutdialError) as error:
        sys.stderr.write(f"outdial: {error}\n")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}:
            raise
        sys.stderr.write(f"outdial: what there is to say can't be written: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter tries once more on its way out
        sys.exit(REFUSED)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer's callback
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _outdial(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which")] = False
) -> None: ...


@app.command()
def serve(
    *,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one [OUTDIAL_PORT, 8080]")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [OUTDIAL_HOST, 127.0.0.1]")] = None,
    database: Database = None,
    role: Annotated[str | None, typer.Option(help="all, api or dialer; the latter two need PostgreSQL")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one line of JSON")] = False,
) -> None:
    """Run the server until it is told to stop."""
    from outdial.app.server import run
    from outdial.app.settings import load

    settings = load(port=port, host=host, database=database, role=role)
    raise typer.Exit(run(settings, as_json=as_json))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def carrier(context: typer.Context) -> None:
    """Run the network in a box: a phone network to try things on, over HTTP and as a SIP trunk (`--help` tells how)."""
    from outdial.lab.carrier.server import main as carrier_main

    raise typer.Exit(carrier_main(context.args))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def bench(context: typer.Context) -> None:
    """Measure this machine."""
    try:
        bench_main = importlib.import_module("outdial.lab.bench").main
    except ModuleNotFoundError as error:
        raise Failed(f"this installation has no bench: {error}") from None
    raise typer.Exit(bench_main(context.args, hire=_hire))


def _hire(provider: str, settings: Mapping[str, Any], *, workers: int, cap: int) -> "WorkerPool":
    """Call workers as a server has them: the bench is beside `app`, and can't ask it."""
    from outdial.app.pool import PoolSettings, WorkerPool
    from outdial.runtime.clock import SystemClock

    return WorkerPool(PoolSettings(provider, settings, workers, cap, log_level="warning"), clock=SystemClock())


@app.command()
def demo() -> None:
    """See it at work: a list, dialled, some fail, retried, everyone reachable reached."""
    from outdial.cli.demo import run

    raise typer.Exit(run())


submitting.register(app)
batch.register(app)
operating.register(app)
app.add_typer(agents.app, name="agents")
app.add_typer(numbers.app, name="numbers")
app.add_typer(dnc.app, name="dnc")
app.add_typer(keys.app, name="keys")


if __name__ == "__main__":
    main()
