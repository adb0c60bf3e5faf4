"""Reading batches: one, a list of them, their people page by page, and the conversation that a call became."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from collections.abc import AsyncIterator
from dataclasses import dataclass

from outdial.batches.desk import Desk
from outdial.domain.errors import Invalid, NotFound
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus
from outdial.ports.store import BatchRow, ConversationRow, RecipientPage, RecipientRow
from outdial.runtime.ids import call_key_of

PAGE = 200
"""Rows in one read: so much is rendered between two breaths of the event loop (1,000 held others up for 50 ms)."""
LONGEST_PAGE = 1_000
"""People in one answer, where it does not hold all of them."""
COMPLETE_UP_TO = 10_000
"""A batch with no more people than this is told in full, as the published wire does; above: LONGEST_PAGE of them."""
LONGEST_LIST = 500
"""Batches in one answer; more are behind the cursor."""


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A stretch of a workspace's batches, newest first."""

    rows: tuple[BatchRow, ...]
    cursor: str | None
    """For the next stretch; None at the end."""


async def one(desk: Desk, workspace_id: int, batch_id: str) -> BatchRow:
    """One batch; NotFound."""
    return await desk.store.batch(workspace_id, batch_id, now=desk.clock.now())


async def listed(
    desk: Desk, workspace_id: int, *, limit: int, cursor: str | None = None, agent_id: str | None = None
) -> BatchPage:
    """The workspace's batches behind the cursor, at most `limit`."""
    limit = min(limit, LONGEST_LIST)
    before = None if cursor is None else _read_cursor(cursor)
    rows = await desk.store.batches(
        workspace_id, limit=limit + 1, before=before, agent_public_id=agent_id, now=desk.clock.now()
    )
    shown = tuple(rows[:limit])
    return BatchPage(shown, _cursor(shown[-1]) if len(rows) > limit else None)


def truncated(batch: BatchRow) -> bool:
    """Whether a detailed answer leaves people out."""
    return batch.counters.scheduled > COMPLETE_UP_TO


async def pages(desk: Desk, batch: BatchRow, *, most: int | None = None) -> AsyncIterator[tuple[RecipientRow, ...]]:
    """The batch's people in list order, a page at a time, at most `most` of them."""
    after, left = -1, most
    while left is None or left > 0:
        page = await desk.store.recipients(batch, limit=PAGE if left is None else min(PAGE, left), after_ord=after)
        if page.rows:
            yield page.rows
        if page.next_ord is None:
            return
        after = page.next_ord
        left = None if left is None else left - len(page.rows)


async def recipients(
    desk: Desk,
    batch: BatchRow,
    *,
    limit: int,
    cursor: str | None = None,
    status: RecipientStatus | None = None,
    outcome: Outcome | None = None,
) -> RecipientPage:
    """A stretch of the batch's people, only those in this state where one is given."""
    return await desk.store.recipients(
        batch, limit=min(limit, LONGEST_PAGE), after_ord=_read_ord(cursor), status=status, outcome=outcome
    )


async def conversation(desk: Desk, workspace_id: int, conversation_id: str) -> ConversationRow:
    """What a call became; NotFound."""
    call_key = call_key_of(conversation_id)
    if call_key is None:
        raise NotFound("conversation", conversation_id, param="conversation_id")
    try:
        return await desk.store.conversation(workspace_id, call_key)
    except NotFound:
        raise NotFound("conversation", conversation_id, param="conversation_id") from None


def ord_cursor(next_ord: int) -> str:
    """Where the next stretch of people begins, as text for the outside."""
    return _pack(f"r.{next_ord}")


def _read_ord(cursor: str | None) -> int:
    if cursor is None:
        return -1
    kind, _, number = _unpack(cursor).partition(".")
    if kind != "r" or not number.isdecimal():
        raise _bad_cursor()
    return min(int(number), 2**31)


def _cursor(row: BatchRow) -> str:
    return _pack(f"b.{round(row.created_at * 1_000_000)}.{row.id}")


def _read_cursor(cursor: str) -> tuple[float, int]:
    match _unpack(cursor).split("."):
        case ["b", micros, row_id] if micros.isdecimal() and row_id.isdecimal() and len(micros + row_id) < 36:
            return int(micros) / 1_000_000, int(row_id)
    raise _bad_cursor()


def _pack(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpack(cursor: str) -> str:
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (BadBase64, UnicodeError, ValueError):
        raise _bad_cursor() from None


def _bad_cursor() -> Invalid:
    return Invalid("this cursor was not given out here; start without one", code="invalid_cursor", param="cursor")
