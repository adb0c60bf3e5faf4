"""Reading batches: one, a list of them, their people page by page, and the conversation that a call became."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from outdial.batches.desk import Desk
from outdial.domain.errors import Invalid, NotFound, named
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus
from outdial.ports.store import BatchRow, ConversationRow, ConversationScope, RecipientPage, RecipientRow
from outdial.runtime.ids import call_key_of

PAGE = 200
"""Rows in one read: so much is rendered between two breaths of the event loop (1,000 held others up for 50 ms)."""
LONGEST_PAGE = 1_000
"""People in one answer, where it does not hold all of them."""
COMPLETE_UP_TO = 10_000
"""A batch with no more people than this is told in full, as the published wire does; above: LONGEST_PAGE of them."""
LONGEST_LIST = 500
"""Batches in one answer; more are behind the cursor."""


_CALL_KEY = re.compile(r"[0-9a-f-]{36}", re.ASCII)


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


def long(batch: BatchRow) -> bool:
    """Whether it has more people than one answer tells."""
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


async def conversations(
    desk: Desk,
    workspace_id: int,
    scope: ConversationScope,
    *,
    limit: int,
    cursor: str | None = None,
    fits: Callable[[ConversationRow], bool] | None = None,
) -> tuple[tuple[ConversationRow, ...], str | None]:
    """A stretch of conversations, and the cursor behind it."""
    after = None if cursor is None else _read_place(cursor)
    page = await desk.store.conversations(workspace_id, scope, limit=limit, after=after, fits=fits)
    if page.after is None:
        return page.rows, None
    return page.rows, _pack(f"c.{round(page.after[0] * 1_000_000)}.{page.after[1]}")


async def conversation_pages(
    desk: Desk,
    workspace_id: int,
    scope: ConversationScope,
    *,
    most: int,
    fits: Callable[[ConversationRow], bool] | None = None,
) -> AsyncIterator[tuple[ConversationRow, ...]]:
    """Conversations a page at a time, at most `most` of them; a page may be empty."""
    after, left = None, most
    while left > 0:
        page = await desk.store.conversations(workspace_id, scope, limit=min(PAGE, left), after=after, fits=fits)
        yield page.rows
        if page.after is None:
            return
        after = page.after
        left -= len(page.rows)


def call_key_named(conversation_id: str) -> str:
    """The call of this conversation; NotFound where the text is no such id."""
    call_key = call_key_of(conversation_id)
    if call_key is None:
        raise NotFound("conversation", conversation_id, param="conversation_id")
    return call_key


async def conversation(desk: Desk, workspace_id: int, conversation_id: str) -> ConversationRow:
    """What a call became; NotFound."""
    with named("conversation_id"):
        return await desk.store.conversation(workspace_id, call_key_named(conversation_id))


async def erase(desk: Desk, workspace_id: int, conversation_id: str) -> str:
    """Erase what was said and known; its call_key. NotFound; StillGoing."""
    with named("conversation_id"):
        call_key = call_key_named(conversation_id)
        await desk.store.delete_conversation(workspace_id, call_key, now=desk.clock.now())
    return call_key


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
    raise _bad_cursor(param="last_doc")


def _read_place(cursor: str) -> tuple[float, str]:
    match _unpack(cursor).split("."):
        case ["c", micros, key] if micros.isdecimal() and len(micros) < 18 and _CALL_KEY.fullmatch(key):
            return int(micros) / 1_000_000, key
    raise _bad_cursor()


def number_cursor(kind: str, number: int) -> str:
    """A place in a list that is numbered through."""
    return _pack(f"{kind}.{number}")


def read_number_cursor(kind: str, cursor: str | None) -> int:
    """The place again; 0 without a cursor."""
    if cursor is None:
        return 0
    found, _, number = _unpack(cursor).partition(".")
    if found != kind or not number.isdecimal():
        raise _bad_cursor()
    return min(int(number), 2**31)


def _pack(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpack(cursor: str) -> str:
    """Its text; empty where it has none of ours."""
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (BadBase64, UnicodeError, ValueError):
        return ""


def _bad_cursor(param: str = "cursor") -> Invalid:
    return Invalid("this cursor was not given out here; start without one", code="invalid_cursor", param=param)
