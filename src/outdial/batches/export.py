"""A batch as CSV, streamed: one row a person, then what their list said of them; memory does not grow with the list."""

from collections.abc import AsyncIterator
from typing import Any

from outdial.batches import read
from outdial.batches.desk import Desk
from outdial.batches.table import cell, instant, lines, tamed
from outdial.ports.store import BatchRow, ConversationRow, RecipientRow
from outdial.runtime.ids import conversation_id

COLUMNS = (
    "recipient_id",
    "phone_number",
    "status",
    "outcome",
    "attempts",
    "round",
    "conversation_id",
    "created_at",
    "updated_at",
    "call_started_at",
    "call_answered_at",
    "call_ended_at",
    "call_duration_secs",
    "call_reason",
)
"""The last five are of the latest conversation."""
MOST_VARIABLES = 500
"""Columns of dynamic variables; a list that invents a name for each person does not make a table of them."""


async def export(desk: Desk, batch: BatchRow, *, most: int | None = None) -> AsyncIterator[bytes]:
    """The file in chunks of a page. It is read twice: the header names every variable that anybody in the list has."""
    variables = await _variables(desk, batch, most)
    yield lines([[*COLUMNS, *(_column(name) for name in variables)]])
    async for rows in read.pages(desk, batch, most=most):
        calls = await desk.store.calls([row.conversation_key for row in rows if row.conversation_key])
        yield lines(
            [[*_known(row), *_call(calls.get(row.conversation_key or "")), *_values(row, variables)] for row in rows]
        )


async def _variables(desk: Desk, batch: BatchRow, most: int | None) -> list[str]:
    """Names of dynamic variables, in the order in which they first appear."""
    names: dict[str, None] = {}
    async for rows in read.pages(desk, batch, most=most):
        for row in rows:
            if len(names) < MOST_VARIABLES:
                names.update(dict.fromkeys(_said_of(row)))
    return list(names)[:MOST_VARIABLES]


def _column(name: str) -> str:
    """A variable that is called like one of our own columns keeps its name behind a prefix."""
    return f"dynamic_variables.{name}" if name in COLUMNS else tamed(name)


def _said_of(row: RecipientRow) -> dict[str, Any]:
    return row.client_data.get("dynamic_variables") or {}


def _known(row: RecipientRow) -> list[str]:
    return [
        tamed(row.recipient_id),
        row.number,
        row.status,
        row.outcome or "",
        str(row.attempts),
        str(row.round),
        conversation_id(row.conversation_key) if row.conversation_key else "",
        instant(row.created_at),
        instant(row.updated_at),
    ]


def _call(call: ConversationRow | None) -> list[str]:
    if call is None:
        return [""] * 5
    talked = f"{call.ended_at - call.answered_at:.1f}" if call.ended_at and call.answered_at else ""
    times = [instant(at) for at in (call.started_at, call.answered_at, call.ended_at)]
    return [*times, talked, "" if call.ending is None else call.ending.reason]


def _values(row: RecipientRow, variables: list[str]) -> list[str]:
    said = _said_of(row)
    return [cell(said.get(name)) for name in variables]
