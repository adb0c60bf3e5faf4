"""From rows to the values of the port, and a small memory for the wide ones that hardly change."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from outdial.domain.batch import BatchStatus, Counters
from outdial.domain.daily import Quota
from outdial.domain.holdup import PAUSED, halted
from outdial.domain.plain import portable
from outdial.ports.store import AgentRow, BatchRow, NumberRow
from outdial.store.instants import seconds
from outdial.store.op import Reads, Row

T = TypeVar("T")

CACHED = 1000
"""Agents, and numbers, that are kept decoded."""


def batch_row(row: Row) -> BatchRow:
    """From a row of `batches_by_id` or its kin."""
    return BatchRow(
        id=row.id,
        workspace_id=row.workspace_id,
        public_id=row.public_id,
        name=row.name,
        agent_id=row.agent_id,
        agent_public_id=row.agent_public_id,
        agent_name=row.agent_name,
        number_id=row.number_id,
        number_public_id=row.number_public_id,
        provider=row.provider,
        status=BatchStatus(row.status),
        status_reason=_status_reason(row),
        counters=Counters(row.scheduled, row.dispatched, row.finished),
        retry_count=row.retry_count,
        created_at=seconds(row.created_at),
        scheduled_at=seconds(row.scheduled_at),
        updated_at=seconds(row.updated_at),
        timezone=row.timezone,
        branch_id=row.branch_id,
        environment=row.environment,
        whatsapp_params=_json(row.whatsapp_params),
        telephony_call_config=_json(row.telephony_call_config) or {},
        target_concurrency_limit=row.target_concurrency_limit,
        calling_hours=_json(row.calling_hours),
        paused=bool(row.paused),
        generation=row.generation,
        last_decision=row.last_decision,
        last_served=seconds(row.last_served),
        workspace_hours=_json(row.workspace_hours),
        hours_version=row.hours_version,
        suppressed=row.suppressed,
    )


def _status_reason(row: Row) -> str:
    if row.status_reason:
        return str(row.status_reason)
    if row.status in {BatchStatus.PENDING, BatchStatus.IN_PROGRESS}:
        return PAUSED if row.paused else halted(row.halted_reason)
    return ""


def quotas_of(rows: Sequence[Row]) -> dict[int, Quota]:
    """By agent, from rows of `quotas_of_batches`; whoever is not among them has no limit."""
    return {row.agent_id: Quota(row.daily_limit, row.placed) for row in rows}


def _json(text: str | None) -> Any:  # noqa: ANN401 - what people stored as JSON
    return None if text is None else msgspec.json.decode(text)


class RowCache:
    """Agents and numbers as last read, as long as their `updated_at` is still the row's."""

    def __init__(self, agent_row: Callable[[Row], AgentRow], number_row: Callable[[Row], NumberRow]) -> None:
        self._agent_row, self._number_row = agent_row, number_row
        self._agents: dict[int, tuple[int, AgentRow]] = {}
        self._numbers: dict[int, tuple[tuple[int, str], NumberRow]] = {}

    def agent(self, tx: Reads, batch: Row) -> AgentRow:
        """The agent of a batch row as it is now."""
        known = self._agents.get(batch.agent_id)
        if known is None or known[0] != batch.agent_updated_at:
            row = _portable(self._agent_row(tx.one("agent_by_id", id=batch.agent_id)))
            known = _remember(self._agents, batch.agent_id, (batch.agent_updated_at, row))
        return known[1]

    def number(self, tx: Reads, batch: Row) -> NumberRow:
        """The phone number of a batch row as it is now."""
        version = (batch.number_updated_at, batch.halted_reason)
        known = self._numbers.get(batch.number_id)
        if known is None or known[0] != version:
            row = self._number_row(tx.one("number_by_id", id=batch.number_id))
            known = _remember(self._numbers, batch.number_id, (version, row))
        return known[1]


def _portable(agent: AgentRow) -> AgentRow:
    """As a call worker can be told of it."""
    return replace(
        agent,
        conversation_config=portable(agent.conversation_config),
        platform_settings=portable(agent.platform_settings),
        workflow=portable(agent.workflow),
    )


def _remember(memory: dict[int, T], key: int, value: T) -> T:
    if len(memory) >= CACHED:
        memory.clear()
    memory[key] = value
    return value
