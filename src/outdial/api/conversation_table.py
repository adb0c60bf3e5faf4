"""Conversations as a table: a row each, in the words of the list."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from outdial.api import render
from outdial.batches.table import cell, instant, lines
from outdial.ports.store import ConversationRow
from outdial.runtime.ids import conversation_id

COLUMNS = (
    "conversation_id",
    "agent_id",
    "agent_name",
    "direction",
    "agent_number",
    "external_number",
    "status",
    "call_successful",
    "outcome",
    "termination_reason",
    "call_started_at",
    "call_answered_at",
    "call_ended_at",
    "call_duration_secs",
    "batch_call_id",
    "batch_call_recipient_id",
    "message_count",
    "transcript",
    "dynamic_variables",
)
"""The last is one cell of JSON: other batches have other variables."""


async def table(pages: AsyncIterator[tuple[ConversationRow, ...]]) -> AsyncIterator[bytes]:
    """The file in chunks of a page. Its head waits for the first page: until then a refusal can still be told."""
    head: list[Sequence[str]] = [COLUMNS]
    async for rows in pages:
        yield lines([*head, *([cell(value) for value in _values(row)] for row in rows)])
        head = []


def _values(row: ConversationRow) -> list[Any]:
    return [
        conversation_id(row.call_key),
        row.agent_public_id,
        row.agent_name,
        "outbound",
        row.caller,
        row.number,
        render.conversation_status(row),
        render.successful(row),
        None if row.ending is None else str(row.ending.outcome),
        render.termination_reason(row),
        instant(row.started_at),
        instant(row.answered_at),
        instant(row.ended_at),
        render.talked_secs(row),
        row.batch_public_id,
        row.recipient_id,
        len(row.said),
        "\n".join(f"{said.role}: {said.message}" for said in row.said),
        row.client_data.get("dynamic_variables") or {},
    ]
