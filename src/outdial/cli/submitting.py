"""`outdial submit`."""

from pathlib import Path
from typing import Annotated

import typer

from outdial.cli import desk, tell
from outdial.cli.client import from_environment
from outdial.cli.options import AsJson
from outdial.cli.people import read_people


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
        "agent_id": desk.agent_id(client, agent),
        "agent_phone_number_id": desk.number_id(client, from_),
        "recipients": read_people(file),
    }
    row = client.post("/batch-calling/submit", order)
    tell.as_json(row) if as_json else tell.batch(row)


def register(app: typer.Typer) -> None:
    """Put the command into the application."""
    app.command()(submit)
