"""Commands for whoever runs a server: they work on the database itself, beside the server or without one."""

import os
from pathlib import Path
from typing import Annotated

import typer

from outdial.cli import tell
from outdial.cli.options import REFUSED, AsJson, Database


def register(app: typer.Typer) -> None:
    """Add them."""
    for command in (doctor, backup, restore):
        app.command()(command)


def doctor(*, database: Database = None, as_json: AsJson = False) -> None:
    """Check the installation, beside a server or without one; exit code 1 if something has failed."""
    from outdial.app.doctor import State, examine
    from outdial.app.settings import load

    found = []
    for finding in examine(lambda: load(database=database), server_url=os.environ.get("OUTDIAL_URL")):
        found.append(finding)
        if not as_json:
            tell.finding(finding.as_dict())
    all_well = all(finding.state is not State.FAILED for finding in found)
    if as_json:
        tell.as_json({"ok": all_well, "checks": [finding.as_dict() for finding in found]})
    raise typer.Exit(0 if all_well else REFUSED)


def backup(
    file: Annotated[Path, typer.Argument(help="A new file")],
    *,
    with_key: Annotated[bool, typer.Option("--with-key", help="Copy the database's key too, to FILE.key")] = False,
    database: Database = None,
) -> None:
    """Copy the SQLite database into one file, as it is at one instant; the server may run."""
    from outdial.app.backup import make
    from outdial.app.settings import load

    made = make(load(database=database), file, with_key=with_key)
    tell.line(f"{made.file}: {made.size} bytes, whole and checked")
    if made.key is not None:
        tell.line(f"{made.key}: the key; whoever has both has everything")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that outdial backup made")],
    *,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Pause nothing: people called since the backup are called again")
    ] = False,
    database: Database = None,
) -> None:
    """Put a backup in the place of the SQLite database; the server must not run. Open batches are paused."""
    from outdial.app.backup import restore as put_back
    from outdial.app.settings import load

    done = put_back(load(database=database), file, keep_going=keep_going)
    tell.line(f"{done.database} is as it was in {file}")
    if done.before is not None:
        tell.line(f"What was there is now {done.before}")
    if done.key_missing:
        tell.line("There is no key beside it: put it back too, or set OUTDIAL_SECRET_KEY")
    if done.paused:
        tell.line("Paused, because people called since then wait in it again; look, then outdial resume:")
    for batch_id in done.paused:
        tell.line(f"  {batch_id}")
