"""What people ask about batches, recipients and conversations: read from one snapshot, seen as decided."""

from collections.abc import Sequence

import msgspec

from outdial.domain.decision import Decision, Standing, as_decided
from outdial.domain.errors import NotFound
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus
from outdial.ports.store import Answered, BatchRow, ConversationRow, ReadyBatch, RecipientPage, RecipientRow, RequestKey
from outdial.runtime.ids import conversation_id
from outdial.store import acts, why
from outdial.store.conversations import conversation_row, known_id
from outdial.store.deciding import find
from outdial.store.decisions import undone_of
from outdial.store.desk import Desk
from outdial.store.instants import maybe_seconds, micros, seconds
from outdial.store.op import Reads, Row
from outdial.store.rows import batch_row

SCAN_ROWS = 2_000
"""Recipients read at once while a filter is looked for."""


class Reading(Desk):
    """The store's questions."""

    async def ready_batches(
        self, *, now: float, limit: int, after: tuple[float, int] | None = None
    ) -> list[ReadyBatch]:
        """See ports.store.Store."""
        served, batch_id = (micros(after[0]), after[1]) if after else (-1, -1)

        def read(tx: Reads) -> list[ReadyBatch]:
            rows = tx.rows("batches_ready", now=micros(now), limit=limit, served=served, batch_id=batch_id)
            windows: dict[int, list[tuple[int, str]]] = {row.id: [] for row in rows}
            for window in tx.rows("windows_of", ids=sorted(windows)) if rows else ():
                windows[window.batch_id].append((window.window_class, window.key or ""))
            return [
                ReadyBatch(batch_row(row), tuple(windows[row.id]), maybe_seconds(row.next_due), bool(row.unsorted))
                for row in rows
            ]

        return await self._read_alone(read)

    async def next_event_at(self, *, now: float) -> float | None:
        """See ports.store.Store."""

        def read(tx: Reads) -> float | None:
            return maybe_seconds(tx.value("next_event", now=micros(now)))

        return await self._read_alone(read)

    async def replayed(self, request: RequestKey, *, now: float) -> Answered | None:
        """See ports.store.Store."""
        return await self._read(lambda tx: acts.replay(tx, request, micros(now)))

    async def batch(self, workspace_id: int, public_id: str, *, now: float | None = None) -> BatchRow:
        """See ports.store.Store."""
        return await self._read(lambda tx: _told(tx, [find(tx, workspace_id, public_id)], now)[0])

    async def batches(
        self,
        workspace_id: int,
        *,
        limit: int,
        before: tuple[float, int] | None,
        agent_public_id: str | None,
        now: float | None = None,
    ) -> list[BatchRow]:
        """See ports.store.Store."""
        created_at, batch_id = (micros(before[0]), before[1]) if before else (None, None)

        def read(tx: Reads) -> list[BatchRow]:
            known_id(tx, "agent", workspace_id, agent_public_id, param="agent_id")
            rows = tx.rows(
                "batches_of_workspace",
                workspace_id=workspace_id,
                created_at=created_at,
                batch_id=batch_id,
                agent_public_id=agent_public_id,
                limit=limit,
            )
            return _told(tx, rows, now)

        return await self._read(read)

    async def recipients(
        self,
        batch: BatchRow,
        *,
        limit: int,
        after_ord: int = -1,
        status: RecipientStatus | None = None,
        outcome: Outcome | None = None,
    ) -> RecipientPage:
        """See ports.store.Store."""

        def read(tx: Reads) -> RecipientPage:
            undone = undone_of(tx, [batch.id])[batch.id]
            return _page(tx, batch.id, undone, limit, after_ord, status, outcome)

        return await self._read(read)

    async def undone(self, batch_id: int) -> list[Decision]:
        """See ports.store.Store."""
        return await self._read(lambda tx: undone_of(tx, [batch_id])[batch_id])

    async def conversation(self, workspace_id: int, call_key: str) -> ConversationRow:
        """See ports.store.Store."""

        def read(tx: Reads) -> ConversationRow:
            row = tx.one("conversation_by_key", workspace_id=workspace_id, call_key=call_key)
            if row is None:
                raise NotFound("conversation", conversation_id(call_key))
            return conversation_row(row, client_data=row.client_data, said=row.said)

        return await self._read(read)


def _told(tx: Reads, rows: Sequence[Row], now: float | None) -> list[BatchRow]:
    return [batch_row(row) for row in rows] if now is None else why.explained(tx, rows, micros(now))


def _page(
    tx: Reads,
    batch_id: int,
    undone: Sequence[Decision],
    limit: int,
    after_ord: int,
    status: RecipientStatus | None,
    outcome: Outcome | None,
) -> RecipientPage:
    found: list[RecipientRow] = []
    wanted = limit + 1
    scan = wanted if status is None and outcome is None else SCAN_ROWS
    while len(found) < wanted:
        rows = tx.rows("recipients_after", batch_id=batch_id, after=after_ord, limit=scan)
        for row in rows:
            person = _recipient(row, undone)
            if (status is None or person.status is status) and (outcome is None or person.outcome is outcome):
                found.append(person)
        if len(rows) < scan:
            break
        after_ord = rows[-1].ord
    page = tuple(found[:limit])
    return RecipientPage(page, page[-1].ord if len(found) > limit and page else None)


def _recipient(row: Row, undone: Sequence[Decision]) -> RecipientRow:
    standing = Standing(
        RecipientStatus(row.status), Outcome(row.outcome) if row.outcome else None, row.round, row.stamp
    )
    if undone:
        standing = as_decided(standing, undone)
    return RecipientRow(
        ord=row.ord,
        recipient_id=row.recipient_id,
        number=row.number,
        status=standing.status,
        outcome=standing.outcome,
        round=standing.round,
        attempts=row.attempts,
        conversation_key=row.conversation_key,
        client_data=msgspec.json.decode(row.client_data) if row.client_data != "{}" else {},
        created_at=seconds(row.created_at),
        updated_at=seconds(row.updated_at),
        whatsapp_user_id=row.whatsapp_user_id,
    )
