"""Acts that can ring a phone, each with its answer: a twin of the request gets the first one's."""

from dataclasses import dataclass

import msgspec

from outdial.domain.batch import BatchStatus
from outdial.domain.errors import Invalid, NotFound
from outdial.ports.store import Answered, BatchRow, RequestKey
from outdial.store.instants import micros
from outdial.store.op import Reads, Row, Single, Tx
from outdial.store.rows import batch_row


def claim(tx: Tx, request: RequestKey | None, now: int) -> Answered | None:
    """Write the request's row before its effect; if a twin was first, its answer.

    On PostgreSQL the insert waits for a twin that is still uncommitted. The row stands or falls with the transaction.
    """
    if request is None:
        return None
    written = tx.rows("request_claim", workspace_id=request.workspace_id, key=request.key, now=now)
    if written:
        return None
    return replay(tx, request, now)


def answer(tx: Tx, request: RequestKey | None, answered: Answered, now: int) -> None:
    """Keep the answer beside the effect."""
    if request is None:
        return
    tx.run(
        "request_answer",
        workspace_id=request.workspace_id,
        key=request.key,
        batch_id=answered.batch.id,
        taken=answered.taken,
        content=request.content,
        answer=msgspec.json.encode(answered.batch).decode(),
        now=now,
        expires_at=now + micros(max(request.replay_secs, request.unheard_secs)),
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """An act whose answer was given."""

    request: RequestKey
    now: float


class NoteAnswer(Single[Heard, None]):
    """Let the time of its twins run from the answer, not from the commit, whose own answer may have been lost."""

    name = "note_answer"
    order = 72

    def one(self, tx: Tx, request: Heard) -> None:
        """Never longer than it was."""
        tx.put(
            "request_heard",
            workspace_id=request.request.workspace_id,
            key=request.request.key,
            expires_at=micros(request.now + request.request.replay_secs),
        )


def replay(tx: Reads, request: RequestKey, now: int) -> Answered | None:
    """What a twin gets: the first answer, or the batch as it is now if it was cancelled since. NotFound if deleted.

    Invalid where the caller's own name for an act comes with another body: that is no twin.
    """
    row = tx.one("request_answered", workspace_id=request.workspace_id, key=request.key, now=now)
    if row is None:
        return None
    if row.content != request.content:
        raise Invalid(
            "this Idempotency-Key was used for another body; send the same body again, or another key",
            code="idempotency_key_reused",
            param="Idempotency-Key",
        )
    return _again(tx, row)


def _again(tx: Reads, row: Row) -> Answered:
    first = msgspec.json.decode(row.answer, type=BatchRow)
    current = tx.rows("batches_by_id", ids=[row.batch_id])
    if not current or current[0].deleted_at is not None:
        raise NotFound("batch", first.public_id)
    if current[0].status == BatchStatus.CANCELLED:
        return Answered(batch_row(current[0]), replayed=True, taken=row.taken)
    return Answered(first, replayed=True, taken=row.taken)
