"""Following a batch to its end: a live view on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from outdial.cli import tell
from outdial.cli.client import Client, Failed, NoAnswer, Refused, segment

EVERY_SECS = 0.25
LINE_EVERY_SECS = 2.0
OUTAGE_SECS = 300.0
"""So long a server may be away while it is watched; it goes on by itself when it is back."""

Saying = Callable[[dict[str, Any]], None]


def follow(client: Client, batch_id: str, *, quiet: bool = False, within_secs: float | None = None) -> dict[str, Any]:
    """The batch when it is over. Quiet: nothing on standard output, lines on standard error."""
    if not quiet and tell.out.is_terminal:
        with Live(console=tell.out, refresh_per_second=8, transient=True) as live:
            began = time.monotonic()

            def show(seen: dict[str, Any]) -> None:
                ends = _ends(client, batch_id)
                live.update(view(seen, ends, time.monotonic() - began))

            return _until_over(client, batch_id, show, within_secs)
    return _until_over(client, batch_id, _Lines(tell.err if quiet else tell.out), within_secs)


def look(client: Client, batch_id: str) -> dict[str, Any]:
    """The batch as it is, without its people."""
    seen: dict[str, Any] = client.get(f"/batch-calling/{segment(batch_id)}", recipients=0)
    return seen


def view(seen: Mapping[str, Any], ends: Mapping[str, int], secs: float) -> RenderableType:
    """What stands on the terminal while a batch runs."""
    people, finished = seen["total_calls_scheduled"], seen["total_calls_finished"]
    under_way = seen["total_calls_dispatched"] - finished
    again = f", retry {seen['retry_count']}" if seen["retry_count"] else ""
    head = f"[bold]{seen['id']}[/] {escape(repr(seen['name']))}{again}: {seen['status']}"
    why = f"  [yellow]{escape(seen['status_reason'])}[/]" if seen["status_reason"] else ""
    bar = Table.grid(padding=(0, 2))
    counts = f"{finished:,} of {people:,} finished, {under_way:,} under way, {_span(secs)}"
    bar.add_row(ProgressBar(total=max(people, 1), completed=finished, width=40), counts)
    table = Table.grid(padding=(0, 2))
    for outcome, n in sorted(ends.items(), key=lambda one: -one[1]):
        table.add_row(f"{n:,}", tell.in_words(outcome))
    return Group(head, *([why] if why else []), bar, *([table] if ends else []), "[dim]Ctrl-C leaves it running[/]")


def _until_over(client: Client, batch_id: str, say: Saying, within_secs: float | None) -> dict[str, Any]:
    began = heard = time.monotonic()
    while True:
        try:
            seen = look(client, batch_id)
            say(seen)
            heard = time.monotonic()
        except (NoAnswer, Refused) as error:
            if isinstance(error, Refused) and error.status != 503:
                raise
            if heard == began or time.monotonic() - heard > OUTAGE_SECS:
                raise
            tell.aside(f"{error}; trying again")
        else:
            if seen["status"] in tell.OVER:
                return seen
        if within_secs is not None and time.monotonic() - began > within_secs:
            raise Failed(f"the batch was not over within {within_secs:.0f} s")
        time.sleep(EVERY_SECS)


class _Lines:
    """A line when something changed, but not too often."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""
        self._said_at = 0.0

    def __call__(self, seen: dict[str, Any]) -> None:
        line = tell.one_line(seen)
        over = seen["status"] in tell.OVER
        due = over or not self._last or time.monotonic() - self._said_at >= LINE_EVERY_SECS
        if line != self._last and due:
            self._console.print(f"  {line}", markup=False, soft_wrap=True)
            self._last, self._said_at = line, time.monotonic()


def _ends(client: Client, batch_id: str) -> dict[str, int]:
    """How many ended how."""
    seen = client.get(f"/batch-calling/{segment(batch_id)}/retry-preview")
    return {**{one["outcome"]: one["count"] for one in seen["would_not"]}, **seen["by_outcome"]}


def _span(secs: float) -> str:
    minutes, rest = divmod(int(secs), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
