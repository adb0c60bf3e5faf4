"""The do-not-call list of a workspace: what goes on it, what comes off it, and what is on it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from outdial.domain.errors import Complaint, Invalid, NotFound, Unprocessable, after_the_commit
from outdial.domain.number import ImpossibleNumber, canonical
from outdial.ports.signal import Signal, Topic
from outdial.ports.store import Store, SuppressionRow
from outdial.runtime.clock import Clock
from outdial.workspace.suppression_file import Row, SuppressionFile

MOST_AT_ONCE = 10_000
"""Numbers in one request; more come as a file."""
LONGEST_PAGE = 1_000
ROWS_A_STEP = 500
"""Rows of a file written at once: two milliseconds of the event loop."""
MOST_ERRORS = 100
"""Bad rows told one by one; all are counted."""
MOST_COMPLAINTS = 100


@dataclass(frozen=True, slots=True)
class Added:
    """What became of numbers that were to go on the list."""

    added: int
    known: int
    """They were on it already, and keep their first reason."""


@dataclass(slots=True)
class Imported:
    """What became of a file."""

    rows: int = 0
    added: int = 0
    known: int = 0
    rejected: int = 0
    errors: list[Row] = field(default_factory=list)
    """The first bad rows."""


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the list, by number."""

    rows: Sequence[SuppressionRow]
    cursor: str | None
    """For the next stretch; None at the end."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Where the list is, and whom to wake when it grows."""

    store: Store
    signal: Signal
    clock: Clock

    async def suppress(self, workspace_id: int, reasons: dict[str, str], source: str) -> int:
        """Put these on the list, and have what rings there given up; counts the new ones."""
        if not reasons:
            return 0
        added = await self.store.suppress_each(workspace_id, reasons, now=self.clock.now(), source=source)
        await self.signal.ring(Topic.STOP)
        return added


async def add(keeper: Keeper, workspace_id: int, entries: Iterable[tuple[str, str]], *, source: str) -> Added:
    """Put (number, reason) on the list; Unprocessable names each number that can't be used, and then none is added."""
    entries = list(entries)
    reasons = dict(zip(numbers_of([number for number, _ in entries]), (why for _, why in entries), strict=True))
    added = await keeper.suppress(workspace_id, reasons, source)
    return Added(added, len(entries) - added)


async def remove(store: Store, workspace_id: int, numbers: Sequence[str]) -> int:
    """Take numbers off the list; counts those that were on it."""
    return await store.unsuppress(workspace_id, numbers_of(numbers))


async def remove_one(store: Store, workspace_id: int, number: str) -> None:
    """Take one number off the list; NotFound if it is not on it."""
    if not await store.unsuppress(workspace_id, [_one(number)]):
        raise _not_listed(number)


async def entry(store: Store, workspace_id: int, number: str) -> SuppressionRow:
    """One entry; NotFound if the number is not on the list."""
    rows = await store.suppressions_of(workspace_id, [_one(number)])
    if not rows:
        raise _not_listed(number)
    return rows[0]


async def check(store: Store, workspace_id: int, numbers: Sequence[str]) -> list[SuppressionRow]:
    """The entries of those that are on the list."""
    return await store.suppressions_of(workspace_id, numbers_of(numbers))


async def listed(store: Store, workspace_id: int, *, limit: int, cursor: str | None = None) -> Page:
    """A stretch of the list behind the cursor."""
    limit = min(limit, LONGEST_PAGE)
    rows = await store.suppressions(workspace_id, limit=limit + 1, after=_read_cursor(cursor))
    shown = rows[:limit]
    return Page(shown, _cursor(shown[-1].number) if len(rows) > limit else None)


async def import_file(
    keeper: Keeper, workspace_id: int, chunks: AsyncIterator[bytes], *, reason: str, source: str
) -> Imported:
    """Put every number of a CSV file on the list, as it comes in; bad rows are told and left out."""
    told, file = Imported(), SuppressionFile()
    step: list[Row] = []

    async def take(rows: Iterable[Row]) -> None:
        for row in rows:
            step.append(row)
            if len(step) >= ROWS_A_STEP:
                await write()

    async def write() -> None:
        good = [row for row in step if not row.problem]
        bad = [row for row in step if row.problem]
        step.clear()
        reasons = {row.number: row.reason or reason for row in reversed(good)}  # the first of a number counts
        with after_the_commit() if told.rows else nullcontext():
            added = await keeper.suppress(workspace_id, reasons, source)
        told.rows += len(good) + len(bad)
        told.added += added
        told.known += len(good) - added
        told.rejected += len(bad)
        told.errors += bad[: MOST_ERRORS - len(told.errors)]

    try:
        async for chunk in chunks:
            await take(file.feed(chunk))
        await take(file.end())
    finally:
        if step:
            await write()
    return told


def numbers_of(given: Sequence[str], place: str = "phone_numbers") -> list[str]:
    """The numbers in E.164; Unprocessable names each that can't be used, by its index."""
    numbers, complaints = [], []
    for index, number in enumerate(given):
        try:
            numbers.append(canonical(number))
        except ImpossibleNumber as error:
            complaints.append(Complaint(("body", place, index), f"Value error, {error.message}", "value_error"))
            if len(complaints) >= MOST_COMPLAINTS:
                break
    if complaints:
        raise Unprocessable(complaints)
    return numbers


def _one(number: str) -> str:
    try:
        return canonical(number)
    except ImpossibleNumber as error:
        error.param = "phone_number"
        raise


def _not_listed(number: str) -> NotFound:
    return NotFound("do not call entry", number, param="phone_number")


def _cursor(number: str) -> str:
    return urlsafe_b64encode(f"n.{number}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> str:
    if cursor is None:
        return ""
    try:
        kind, _, number = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(".")
        if kind == "n":
            return canonical(number)
    except (BadBase64, ValueError):  # also UnicodeError and ImpossibleNumber
        pass
    raise Invalid("this cursor was not given out here; start without one", code="invalid_cursor", param="cursor")
