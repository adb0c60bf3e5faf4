"""`outdial`: the server, and the commands that talk to it."""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from outdial import __version__
from outdial.cli import tell
from outdial.cli.client import Client, Failed, from_environment, segment
from outdial.cli.people import read_people
from outdial.cli.watching import follow
from outdial.domain.errors import OutdialError

REFUSED = 1
NOT_ALL_REACHED = 3

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Batch calling for voice agents."
)
keys = typer.Typer(no_args_is_help=True, help="API keys.")
app.add_typer(keys, name="keys")

AsJson = Annotated[bool, typer.Option("--json", help="JSON alone on standard output")]
BatchId = Annotated[str, typer.Argument(metavar="ID", help="The batch, btcal_…")]
Database = Annotated[str | None, typer.Option(help="sqlite:///PATH or postgresql://… [OUTDIAL_DATABASE]")]
IncludeAlso = Annotated[list[str] | None, typer.Option("--include", help="voicemail, cancelled: take them too")]


def main() -> None:
    """Run one command; the exit code is 1 when it was refused or failed, 2 for wrong usage."""
    try:
        app()
    except (Failed, OutdialError) as error:
        sys.stderr.write(f"outdial: {error}\n")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        sys.exit(130)


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
    """Run the network in a box: a phone network to try things on."""
    from outdial.lab.carrier.server import main as carrier_main

    raise typer.Exit(carrier_main(context.args))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def bench(context: typer.Context) -> None:
    """Measure this machine."""
    try:
        bench_main = importlib.import_module("outdial.lab.bench").main
    except ModuleNotFoundError as error:
        raise Failed(f"this installation has no bench: {error}") from None
    raise typer.Exit(bench_main(context.args))


@app.command()
def demo() -> None:
    """See it at work: a list, dialled, some fail, retried, everyone reachable reached."""
    from outdial.cli.demo import run

    raise typer.Exit(run())


@keys.command("create")
def create_key(
    *,
    workspace: Annotated[str, typer.Option(help="Its name; made if it is new")] = "default",
    name: Annotated[str, typer.Option(help="What the key is for")] = "made by outdial keys create",
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key, in the database itself: the server need not run. It is shown this once."""
    from outdial.app.keys import make_key
    from outdial.app.settings import load

    key, of = make_key(load(database=database), workspace=workspace, name=name)
    if as_json:
        tell.as_json({"key": key, "workspace": workspace, "workspace_id": of})
    else:
        tell.out.print(f"{key}\n\nA key of workspace {workspace!r}. It is not shown again.", soft_wrap=True)


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="CSV with a column phone_number; the others are dynamic variables")],
    *,
    agent: Annotated[str, typer.Option(help="Who talks: an agent's id")],
    from_: Annotated[str, typer.Option("--from", help="Which number to call from: its id or the number itself")],
    name: Annotated[str | None, typer.Option(help="The batch's name; the file's unless given")] = None,
    as_json: AsJson = False,
) -> None:
    """Call everyone on a list once."""
    client = from_environment()
    order = {
        "call_name": name or file.stem,
        "agent_id": agent,
        "agent_phone_number_id": _number_id(client, from_),
        "recipients": read_people(file),
    }
    _told(client.post("/batch-calling/submit", order), as_json=as_json)


@app.command()
def watch(batch_id: BatchId, *, as_json: AsJson = False) -> None:
    """Follow a batch to its end; exit code 3 where people were not reached."""
    client = from_environment()
    over = follow(client, batch_id, quiet=as_json)
    seen = client.get(f"/batch-calling/{segment(batch_id)}/retry-preview")
    if as_json:
        tell.as_json(over)
    else:
        tell.batch(over)
        tell.preview(seen)
    raise typer.Exit(NOT_ALL_REACHED if tell.not_reached(seen) else 0)


@app.command()
def retry(
    batch_id: BatchId,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say who would be called")] = False,
    include: IncludeAlso = None,
    as_json: AsJson = False,
) -> None:
    """Call again exactly those who were not reached."""
    client = from_environment()
    path = f"/batch-calling/{segment(batch_id)}"
    if dry_run:
        seen = client.get(f"{path}/retry-preview", include=",".join(include) if include else None)
        tell.as_json(seen) if as_json else tell.preview(seen)
        return
    _told(client.post(f"{path}/retry", {"include": include} if include else None), as_json=as_json)


@app.command()
def cancel(
    batch_id: BatchId,
    *,
    hang_up: Annotated[bool, typer.Option("--hang-up", help="End the conversations too")] = False,
    as_json: AsJson = False,
) -> None:
    """Call nobody new."""
    path = f"/batch-calling/{segment(batch_id)}/cancel"
    _told(from_environment().post(path, hang_up="true" if hang_up else None), as_json=as_json)


@app.command()
def pause(batch_id: BatchId, *, as_json: AsJson = False) -> None:
    """Call nobody until resume; calls under way go on."""
    _told(from_environment().post(f"/batch-calling/{segment(batch_id)}/pause"), as_json=as_json)


@app.command()
def resume(batch_id: BatchId, *, as_json: AsJson = False) -> None:
    """Go on."""
    _told(from_environment().post(f"/batch-calling/{segment(batch_id)}/resume"), as_json=as_json)


@app.command()
def export(
    batch_id: BatchId,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; absent: standard output")] = None,
) -> None:
    """The batch as CSV."""
    chunks = from_environment().stream(f"/batch-calling/{segment(batch_id)}/export")
    if output is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return
    with output.open("wb") as file:
        file.writelines(chunks)


def _told(batch: dict[str, Any], *, as_json: bool) -> None:
    tell.as_json(batch) if as_json else tell.batch(batch)


def _number_id(client: Client, given: str) -> str:
    """A number's id, also when the number itself was given."""
    if not given.startswith("+"):
        return given
    ids = [one["phone_number_id"] for one in client.get("/phone-numbers") if one["phone_number"] == given]
    if len(ids) == 1:
        return str(ids[0])
    raise Failed(f"{len(ids) or 'no'} numbers here are {given}; give the id, phnum_…")


if __name__ == "__main__":
    main()
