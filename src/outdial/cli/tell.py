"""What commands say: JSON alone on standard output where it is asked for, else words and tables for people."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

WORDS = {
    "no_answer": "nobody answered",
    "provider_rejected": "refused by the network",
    "network_error": "a fault in the network",
    "invalid_number": "no such number",
    "unknown": "nobody can tell",
}
"""Outcomes whose own word is not plain enough."""
OVER = frozenset({"completed", "failed", "cancelled"})

out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
"""Where it is no terminal, a table needs its columns all the same."""


def as_json(content: object) -> None:
    """The content and nothing else on standard output."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")


def in_words(outcome: str) -> str:
    """An outcome for people."""
    return WORDS.get(outcome, outcome.replace("_", " "))


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
    out.print(f"[bold]{row['id']}[/] {row['name']!r}{again}")
    out.print(f"  {one_line(row)}")


def preview(seen: Mapping[str, Any]) -> None:
    """Whom a retry would call and whom not."""
    table = Table("ended as", "people", "retry", box=None, pad_edge=False)
    for outcome, count in seen["by_outcome"].items():
        table.add_row(in_words(outcome), str(count), "calls again")
    for one in seen["would_not"]:
        table.add_row(in_words(one["outcome"]), str(one["count"]), one["reason"])
    out.print(table)
    out.print(f"A retry would call {seen['would_call']}.")


def not_reached(seen: Mapping[str, Any]) -> int:
    """People whose call ended without an answer, from a retry preview."""
    others = sum(one["count"] for one in seen["would_not"] if one["outcome"] not in {"completed", "voicemail"})
    return int(seen["would_call"]) + int(others)
