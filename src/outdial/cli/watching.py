"""Following a batch to its end: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from outdial.cli import tell
from outdial.cli.client import Client, Failed, segment

EVERY_SECS = 0.25
LINE_EVERY_SECS = 2.0


def follow(client: Client, batch_id: str, *, quiet: bool = False, within_secs: float | None = None) -> dict[str, Any]:
    """The batch when it is over."""
    if quiet or not sys.stdout.isatty():
        return _in_lines(client, batch_id, quiet=quiet, within_secs=within_secs)
    return _in_a_bar(client, batch_id, within_secs)


def look(client: Client, batch_id: str) -> dict[str, Any]:
    """The batch as it is, without its people."""
    seen: dict[str, Any] = client.get(f"/batch-calling/{segment(batch_id)}", recipients=0)
    return seen


def _in_lines(client: Client, batch_id: str, *, quiet: bool, within_secs: float | None) -> dict[str, Any]:
    began = said_at = time.monotonic()
    last = ""
    while True:
        seen = look(client, batch_id)
        over = seen["status"] in tell.OVER
        line = tell.one_line(seen)
        if not quiet and line != last and (over or not last or time.monotonic() - said_at >= LINE_EVERY_SECS):
            tell.out.print(f"  {line}")
            last, said_at = line, time.monotonic()
        if over:
            return seen
        _wait(began, within_secs)


def _in_a_bar(client: Client, batch_id: str, within_secs: float | None) -> dict[str, Any]:
    began = time.monotonic()
    columns = (BarColumn(), TextColumn("{task.completed}/{task.total} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=tell.out) as progress:
        task = progress.add_task("", total=None)
        while True:
            seen = look(client, batch_id)
            finished, people = seen["total_calls_finished"], seen["total_calls_scheduled"]
            under_way = seen["total_calls_dispatched"] - finished
            progress.update(
                task, completed=finished, total=people, description=f"{seen['status']}, {under_way} under way"
            )
            if seen["status"] in tell.OVER:
                return seen
            _wait(began, within_secs)


def _wait(began: float, within_secs: float | None) -> None:
    if within_secs is not None and time.monotonic() - began > within_secs:
        raise Failed(f"the batch was not over within {within_secs:.0f} s")
    time.sleep(EVERY_SECS)
