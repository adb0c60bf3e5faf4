"""`outdial dnc`: numbers that are not called, whoever lists them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from outdial.cli import tell
from outdial.cli.client import Client, Failed, Refused, from_environment, in_lines
from outdial.cli.options import REFUSED, AsJson
from outdial.workspace.suppression_file import Row, SuppressionFile

AT_ONCE = 5_000
"""Numbers in one request."""
READ_BYTES = 64 * 1024
MOST_SHOWN = 20
LISTED = 3
"""Exit code of `check` where a number is on the list."""

app = typer.Typer(no_args_is_help=True, help="The do-not-call list: numbers that nobody is to call.")

Numbers = Annotated[list[str], typer.Argument(metavar="NUMBER…", help="In E.164, +…")]
Reason = Annotated[str | None, typer.Option(help="Why, for people")]


@app.command()
def add(numbers: Numbers, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Put numbers on the list: none of them is dialled any more."""
    body = {"phone_numbers": numbers, "reason": reason, "source": "command"}
    with _named(numbers):
        told = from_environment().post("/do-not-call", body)
    if as_json:
        tell.as_json(told)
    else:
        tell.out.print(f"{told['added']} added, {told['already_listed']} on the list already")


@app.command()
def remove(numbers: Numbers, *, as_json: AsJson = False) -> None:
    """Take numbers off the list."""
    with _named(numbers):
        told = from_environment().post("/do-not-call/remove", {"phone_numbers": numbers})
    tell.as_json(told) if as_json else tell.out.print(f"{told['removed']} removed")


@app.command()
def check(numbers: Numbers, *, as_json: AsJson = False) -> None:
    """Say which of these numbers are on the list; exit code 3 where one is."""
    with _named(numbers):
        told = from_environment().post("/do-not-call/check", {"phone_numbers": numbers})
    if as_json:
        tell.as_json(told)
    else:
        _table(told["suppressed"])
        tell.out.print(f"{told['suppressed_count']} of {told['checked']} are on the list")
    raise typer.Exit(LISTED if told["suppressed_count"] else 0)


@app.command("list")
def list_numbers(
    *,
    limit: Annotated[int | None, typer.Option(min=1, help="No more than so many; absent: all")] = None,
    as_json: AsJson = False,
) -> None:
    """The numbers on the list, by number."""
    entries = islice(_entries(from_environment()), limit)
    if as_json:
        tell.as_json(list(entries))
    else:
        _table(list(entries))


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV with a column phone_number, and reason if there is one")],
    *,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Put every number of a file on the list; lines that can't be used are told, and the exit code is 1."""
    told: dict[str, Any] = {"rows": 0, "added": 0, "already_listed": 0, "rejected": 0, "errors": []}
    client, rows = from_environment(), _rows(file)
    while step := list(islice(rows, AT_ONCE)):
        _write(client, step, reason, told)
    if as_json:
        tell.as_json(told)
    else:
        for error in told["errors"][:MOST_SHOWN]:
            tell.out.print(f"{file}:{error['line']}: {error['message']}", markup=False)
        tell.out.print(
            f"{told['rows']} lines: {told['added']} added, {told['already_listed']} on the list already, "
            f"{told['rejected']} can't be used"
        )
    raise typer.Exit(REFUSED if told["rejected"] else 0)


@contextmanager
def _named(numbers: Sequence[str]) -> Iterator[None]:
    """A refusal of one of these numbers says which, as it was typed."""
    try:
        yield
    except Refused as error:
        if not error.complaints:
            raise
        told = tuple((_typed(loc, numbers), message) for loc, message in error.complaints)
        raise Failed(in_lines(told)) from None


def _typed(loc: tuple[str | int, ...], numbers: Sequence[str]) -> tuple[str | int, ...]:
    match loc:
        case ("body", "phone_numbers", int() as index, *_) if index < len(numbers):
            return (f"number {index + 1}, {numbers[index]!r}",)
    return loc


def _write(client: Client, step: Sequence[Row], reason: str | None, told: dict[str, Any]) -> None:
    good = [row for row in step if not row.problem]
    bad = [row for row in step if row.problem]
    numbers = {row.number: {"phone_number": row.number, "reason": row.reason or None} for row in reversed(good)}
    added = 0
    if numbers:
        body = {"phone_numbers": list(numbers.values()), "reason": reason, "source": "import"}
        added = client.post("/do-not-call", body)["added"]
    told["rows"] += len(step)
    told["added"] += added
    told["already_listed"] += len(good) - added
    told["rejected"] += len(bad)
    told["errors"] += [{"line": row.line, "message": row.problem} for row in bad][: 100 - len(told["errors"])]


def _rows(path: Path) -> Iterator[Row]:
    reader = SuppressionFile()
    try:
        with path.open("rb") as file:
            while chunk := file.read(READ_BYTES):
                yield from reader.feed(chunk)
        yield from reader.end()
    except OSError as error:
        raise Failed(f"{path} can't be read: {error}") from None


def _entries(client: Client) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = client.get("/do-not-call", page_size=1_000, cursor=cursor)
        yield from page["do_not_call"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _table(entries: Sequence[dict[str, Any]]) -> None:
    table = Table("number", "since", "source", "reason", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for entry in entries:
        since = datetime.fromtimestamp(entry["created_at_unix"], UTC)
        table.add_row(
            entry["phone_number"], f"{since:%Y-%m-%d %H:%M} UTC", escape(entry["source"]), escape(entry["reason"])
        )
    tell.out.print(table if entries else "Nobody is on the list.")
