"""What commands say: JSON alone on standard output where it is asked for, else words and tables for people."""

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WORDS = {
    "no_answer": "nobody answered",
    "provider_rejected": "refused by the network",
    "network_error": "a fault in the network",
    "invalid_number": "no such number",
    "unknown": "nobody can tell",
}
"""Outcomes whose own word is not plain enough."""
_LEFT = {
    "completed": ("was reached", "were reached"),
    "voicemail": ("was answered by a machine", "were answered by a machine"),
    "blocked": ("is blocked by the network or the person", "are blocked by the network or the person"),
    "invalid_number": ("number does not exist", "numbers do not exist"),
    "suppressed": ("is on the do-not-call list", "are on the do-not-call list"),
    "cancelled": ("was cancelled", "were cancelled"),
}
"""What is said of one whom a retry leaves alone, and of several."""
OVER = frozenset({"completed", "failed", "cancelled"})


class _Stderr:
    """Standard error as it is now: tests and callers may have put another in its place."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


out = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 120)
"""Where it is no terminal, a table needs its columns all the same."""
err = Console(highlight=False, emoji=False, file=_Stderr(), soft_wrap=True)  # type: ignore[arg-type] # all that rich asks of a file
"""Progress and complaints."""


def as_json(content: object) -> None:
    """The content and nothing else on standard output."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(content, ensure_ascii=plain) + "\n")
    sys.stdout.flush()


def aside(text: str) -> None:
    """Something beside the answer, in words as they are."""
    err.print(text, markup=False)


def line(text: str) -> None:
    """One line, as it is."""
    sys.stdout.write(text + "\n")


def finding(found: Mapping[str, Any]) -> None:
    """One check of the doctor."""
    line(f"{found['state']:<8} {found['check']:<12} {found['says']}")
    for detail in found["details"]:
        line(f"{'':22} - {detail}")
    if found["do"]:
        line(f"{'':21} → {found['do']}")


def in_words(outcome: str) -> str:
    """An outcome for people."""
    return WORDS.get(outcome, outcome.replace("_", " "))


def safe(text: str) -> str:
    """Somebody's text for a table: without what could steer a terminal."""
    return escape("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text))


def people(n: int) -> str:
    """So many of them."""
    return "1 person" if n == 1 else f"{n:,} people"


def one_line(batch: Mapping[str, Any]) -> str:
    """How far a batch is."""
    why = f" ({batch['status_reason']})" if batch["status_reason"] else ""
    return (
        f"{batch['status']}{why}: {batch['total_calls_finished']} of {batch['total_calls_scheduled']} finished, "
        f"{batch['total_calls_dispatched'] - batch['total_calls_finished']} under way"
    )


def batch(row: Mapping[str, Any]) -> None:
    """One batch for people."""
    again = f", retry {row['retry_count']}" if row["retry_count"] else ""
    out.print(f"[bold]{row['id']}[/] {escape(repr(row['name']))}{again}", soft_wrap=True)
    out.print(f"  {escape(one_line(row))}", soft_wrap=True)
    if never := row.get("suppressed_count"):
        out.print(f"  {people(never)} on the do-not-call list: not called")


def batch_list(rows: Iterable[Mapping[str, Any]]) -> None:
    """Batches, a line each."""
    table = Table("batch", "name", "status", "people", "finished", "retries", "made", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for row in rows:
        counts = (row["total_calls_scheduled"], row["total_calls_finished"], row["retry_count"])
        status = row["status"] + (", paused" if row.get("paused") and row["status"] not in OVER else "")
        table.add_row(row["id"], safe(row["name"]), status, *map(str, counts), minute(row["created_at_unix"]))
    out.print(table)


def minute(at_unix: float) -> str:
    """An instant for people, in UTC."""
    return datetime.fromtimestamp(at_unix, UTC).strftime("%Y-%m-%d %H:%M")


def why_not(left: Mapping[str, Any]) -> str:
    """Why a retry leaves these people alone, with the option that takes them, if there is one."""
    why, asked, _ = str(left["reason"]).partition("; ask with include")
    return escape(f"{why}; --include {left['outcome']} takes them too" if asked else why)


def preview(seen: Mapping[str, Any]) -> None:
    """Whom a retry would call and whom not."""
    table = Table("ended as", "people", "retry", box=None, pad_edge=False)
    for outcome, count in seen["by_outcome"].items():
        table.add_row(in_words(outcome), str(count), "calls again")
    for one in seen["would_not"]:
        table.add_row(in_words(one["outcome"]), str(one["count"]), why_not(one))
    if table.row_count:
        out.print(table)
    out.print(f"A retry would call {seen['would_call']}.")


def nobody(seen: Mapping[str, Any]) -> str:
    """Why a retry called nobody, from its preview."""
    found = ", ".join(_left(one) for one in seen["would_not"])
    return f"nobody was called: {found}" if found else "nobody was called: there is nobody to call again"


def _left(one: Mapping[str, Any]) -> str:
    outcome, n = one["outcome"], one["count"]
    single, several = _LEFT.get(outcome, (in_words(outcome), in_words(outcome)))
    asked = f" (--include {outcome} takes them too)" if "ask with include" in str(one["reason"]) else ""
    return f"{n:,} {single if n == 1 else several}{asked}"


def not_reached(seen: Mapping[str, Any]) -> int:
    """People whose call ended without an answer, from a retry preview."""
    others = sum(one["count"] for one in seen["would_not"] if one["outcome"] not in {"completed", "voicemail"})
    return int(seen["would_call"]) + int(others)
