"""Commands on batches that are there: list, watch, retry, cancel, pause, resume, export."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from outdial.cli import tell
from outdial.cli.client import Client, Failed, NoAnswer, from_environment, new_key, segment
from outdial.cli.options import INTERRUPTED, NOT_ALL_REACHED, AsJson, BatchId, Once
from outdial.cli.watching import follow

NAMED = 20
"""People of each outcome that a dry run names unless it is asked for all."""
_PAGE = 1_000

IncludeAlso = Annotated[list[str] | None, typer.Option("--include", help="voicemail, cancelled: take them too")]


def list_batches(
    *,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many")] = 20,
    agent: Annotated[str | None, typer.Option(help="Only of this agent: its id or name")] = None,
    as_json: AsJson = False,
) -> None:
    """The batches, newest first."""
    from outdial.cli.desk import agent_id

    client = from_environment()
    of = None if agent is None else agent_id(client, agent)
    rows = list(islice(_batches(client, limit, of), limit))
    if as_json:
        tell.as_json(rows)
    elif rows:
        tell.batch_list(rows)
    else:
        tell.out.print("There are no batches yet; `outdial submit` makes one.")


def watch(batch_id: BatchId, *, as_json: AsJson = False) -> None:
    """Follow a batch to its end; exit code 3 where people were not reached. Ctrl-C leaves it running."""
    watched(from_environment(), batch_id, as_json=as_json)


def retry(
    batch_id: BatchId,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say who would be called, who not and why")] = False,
    every: Annotated[bool, typer.Option("--all", help="With --dry-run: name everyone")] = False,
    include: IncludeAlso = None,
    once: Once = None,
    as_json: AsJson = False,
) -> None:
    """Call again exactly those who were not reached."""
    client = from_environment()
    path = f"/batch-calling/{segment(batch_id)}"
    if dry_run:
        seen = _preview(client, path, include)
        if as_json:
            tell.as_json({**seen, "recipients": list(_everyone(client, batch_id, seen))} if every else seen)
        else:
            _name(client, batch_id, seen, every=every)
        return
    once = once or new_key()
    with safely_again("retry", once):
        row = client.post(f"{path}/retry", {"include": include} if include else None, once=once)
    _told(row, as_json=as_json)
    if row["status"] in tell.OVER:  # had it called anybody, the batch would be open again
        seen = _preview(client, path, include)
        tell.aside(tell.nobody(seen)) if as_json else tell.out.print(tell.nobody(seen), markup=False, soft_wrap=True)


def cancel(
    batch_id: BatchId,
    *,
    hang_up: Annotated[bool, typer.Option("--hang-up", help="End the conversations too")] = False,
    as_json: AsJson = False,
) -> None:
    """Call nobody new."""
    path = f"/batch-calling/{segment(batch_id)}/cancel"
    _told(from_environment().post(path, hang_up="true" if hang_up else None), as_json=as_json)


def pause(batch_id: BatchId, *, as_json: AsJson = False) -> None:
    """Call nobody until resume; calls under way go on."""
    _told(from_environment().post(f"/batch-calling/{segment(batch_id)}/pause"), as_json=as_json)


def resume(batch_id: BatchId, *, as_json: AsJson = False) -> None:
    """Go on."""
    _told(from_environment().post(f"/batch-calling/{segment(batch_id)}/resume"), as_json=as_json)


def export(
    batch_id: BatchId,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; absent: standard output")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many people")] = None,
) -> None:
    """The batch as CSV, a row a person."""
    chunks = from_environment().stream(f"/batch-calling/{segment(batch_id)}/export", limit=limit)
    if output is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    try:
        _write_whole(output, chunks)
    except OSError as error:
        raise Failed(f"{output} can't be written: {error.strerror or error}") from None


def register(app: typer.Typer) -> None:
    """Put these commands into the application."""
    app.command("list")(list_batches)
    for command in (watch, retry, cancel, pause, resume, export):
        app.command()(command)


def watched(client: Client, batch_id: str, *, as_json: bool) -> None:
    """Follow it to its end and leave with the exit code of how it ended."""
    try:
        over = follow(client, batch_id, quiet=as_json)
    except KeyboardInterrupt:
        tell.aside(
            f"\nNo longer watched, and still running: `outdial watch {batch_id}` looks again, "
            f"`outdial cancel {batch_id}` calls nobody new."
        )
        raise typer.Exit(INTERRUPTED) from None
    seen = client.get(f"/batch-calling/{segment(batch_id)}/retry-preview")
    if as_json:
        tell.as_json(client.get(f"/batch-calling/{segment(batch_id)}"))  # with its people, whom following leaves out
    else:
        tell.batch(over)
        tell.preview(seen)
    raise typer.Exit(NOT_ALL_REACHED if tell.not_reached(seen) else 0)


@contextmanager
def safely_again(what: str, once: str) -> Iterator[None]:
    """Where nobody answered, say how to send it again without ringing anybody twice."""
    doubt = (
        f"Nobody knows whether the {what} was accepted. The same command with --idempotency-key {once} sends it again "
        "and rings nobody twice."
    )
    try:
        yield
    except NoAnswer as error:
        raise NoAnswer(f"{error}\n{doubt}") from None
    except KeyboardInterrupt:
        tell.aside(f"\n{doubt}")
        raise typer.Exit(INTERRUPTED) from None


def _preview(client: Client, path: str, include: list[str] | None) -> dict[str, Any]:
    seen: dict[str, Any] = client.get(f"{path}/retry-preview", include=",".join(include) if include else None)
    return seen


def _told(row: dict[str, Any], *, as_json: bool) -> None:
    tell.as_json(row) if as_json else tell.batch(row)


def _batches(client: Client, limit: int, agent: str | None) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = client.get("/batch-calling/workspace", limit=min(limit, 100), last_doc=cursor, agent_id=agent)
        yield from page["batch_calls"]
        cursor = page["next_doc"]
        if not page["has_more"] or cursor is None:
            return


def _name(client: Client, batch_id: str, seen: dict[str, Any], *, every: bool) -> None:
    """Whom a retry would call, by outcome and name; whom not, and why."""
    table = Table.grid(padding=(0, 2))
    for outcome, count in seen["by_outcome"].items():
        table.add_row(f"[bold]{tell.in_words(outcome)}[/]", tell.people(count), "calls again")
        _add_people(table, client, batch_id, outcome, count, every=every)
    for one in seen["would_not"]:
        table.add_row(f"[bold]{tell.in_words(one['outcome'])}[/]", tell.people(one["count"]), tell.why_not(one))
        if every:
            _add_people(table, client, batch_id, one["outcome"], one["count"], every=True)
    if table.row_count:
        tell.out.print(table)
    tell.out.print(f"A retry would call {seen['would_call']}. Nobody was called now.")


def _everyone(client: Client, batch_id: str, seen: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each person of a preview, and whether a retry would call them."""
    for outcome in (*seen["by_outcome"], *(one["outcome"] for one in seen["would_not"])):
        for one in _people(client, batch_id, outcome, _PAGE):
            named = {"id": one["id"], "phone_number": one["phone_number"], "outcome": outcome}
            yield {**named, "would_call": outcome in seen["by_outcome"]}


def _add_people(table: Table, client: Client, batch_id: str, outcome: str, count: int, *, every: bool) -> None:
    shown = 0
    for one in islice(_people(client, batch_id, outcome, NAMED if not every else _PAGE), None if every else NAMED):
        table.add_row("", escape(one["phone_number"] or ""), escape(one["id"]))
        shown += 1
    if count > shown:
        table.add_row("", f"… and {count - shown:,} more (--all names them)", "")


def _people(client: Client, batch_id: str, outcome: str, page_size: int) -> Iterator[dict[str, Any]]:
    path, cursor = f"/batch-calling/{segment(batch_id)}/recipients", None
    while True:
        page = client.get(path, outcome=outcome, page_size=page_size, cursor=cursor)
        yield from page["recipients"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """A file that is there is whole: it gets its name at the end."""
    if path.exists() and not path.is_file():  # a device, a pipe
        with path.open("wb") as file:
            file.writelines(chunks)
        return
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(chunks)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
