"""The do-not-call list. A workspace's bucket orders it against claims and GO, which lock that bucket too."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from outdial.domain.attempt import AttemptState
from outdial.domain.fold import GiveUp
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientEvent, RecipientStatus, next_status
from outdial.ports.signal import Topic
from outdial.ports.store import ClaimLimits, SuppressionRow
from outdial.store import cases
from outdial.store.cases import Places
from outdial.store.desk import Desk
from outdial.store.engine import Engine
from outdial.store.instants import micros, seconds
from outdial.store.ledger import Ledger
from outdial.store.op import Footprint, Kind, Lane, Reads, Row, Single, Tx
from outdial.store.secrets import Vault

OPTED_OUT = "opted_out"
"""Reason of an attempt that is to be given up because its number came on the list."""
CHUNK = 5_000
"""Numbers in one transaction: nobody waits long for the workspace's bucket."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Numbers to be put on the list, each with a reason, or to be taken off."""

    workspace_id: int
    reasons: tuple[tuple[str, str], ...]
    source: str = ""
    now: float = 0.0


class _Ordered(Single[Listing, int]):
    """Waits for claims and GO under way; those that come after it see its change."""

    def footprint(self, tx: Reads, requests: Sequence[Listing]) -> Footprint:
        return Footprint(frozenset(f"w:{request.workspace_id}" for request in requests))


class Suppress(_Ordered):
    """Put numbers on the list. It runs before GO of the same group, which then finds them."""

    name: ClassVar[str] = "suppress"
    order: ClassVar[int] = 2

    def one(self, tx: Tx, request: Listing) -> int:
        return tx.run(
            "suppress",
            workspace_id=request.workspace_id,
            rows=[{"number": number, "reason": reason} for number, reason in request.reasons],
            source=request.source,
            created_at=micros(request.now),
        )


class Unsuppress(_Ordered):
    """Take numbers off the list."""

    name: ClassVar[str] = "unsuppress"
    order: ClassVar[int] = 3

    def one(self, tx: Tx, request: Listing) -> int:
        numbers = [number for number, _ in request.reasons]
        return tx.run("unsuppress", workspace_id=request.workspace_id, numbers=numbers)


def end_listed(tx: Tx, batch_id: int, *, first: int, last: int, now: int) -> None:
    """Whoever is on the list, of a stretch that is being staged, ends as suppressed. The tally keeps how many."""
    rows = tx.rows("recipients_listed", batch_id=batch_id, first=first, last=last)
    if not rows:
        return
    tx.run(
        "recipients_suppress",
        batch_id=batch_id,
        ords=[row.ord for row in rows],
        status=next_status(RecipientStatus.PENDING, RecipientEvent.FAILED),
        outcome=Outcome.SUPPRESSED,
        now=now,
    )
    tx.put("hopper_out", rows=[{"batch_id": batch_id, **row._asdict()} for row in rows])
    tx.put("tally_move", rows=[{"batch_id": batch_id, "outcome": Outcome.SUPPRESSED, "n": len(rows)}])


def count_listed(tx: Tx, batch_id: int, *, now: int) -> None:
    """Those who ended while the batch was staged count from its seal on; a batch of nobody else is over."""
    tally = {row.outcome: row.n for row in tx.rows("tallies_of", ids=[batch_id])}
    if n := tally.get(Outcome.SUPPRESSED, 0):
        ledger = Ledger(tx, now)
        ledger.move_counters({batch_id: (n, n)}, Counter())
        ledger.flush()


class OptOut(Kind[Listing, int]):
    """Mark calls to numbers that just came on the list to be given up, unless they are answered; counts them.

    It comes after the numbers are on the list: whatever has GO by then is found, and nothing new gets it.
    """

    name = "opt_out"
    lane = Lane.BULK

    def __init__(self, places: Places) -> None:
        self.places = places

    def run(self, tx: Tx, requests: Sequence[Listing]) -> list[int]:
        """How many, per request."""
        return [self._mark(tx, request) for request in requests]

    def _mark(self, tx: Tx, request: Listing) -> int:
        keys = _calls_to(tx, request)
        tx.lock(self.places.footprint(tx, keys))
        ledger, marked = Ledger(tx, micros(request.now)), 0
        for case in cases.load(tx, keys).values():
            attempt = case.attempt
            if attempt.state in {AttemptState.DIALING, AttemptState.RINGING} and not attempt.give_up:
                attempt.give_up, attempt.reason = GiveUp.UNLESS_ANSWERED, OPTED_OUT
                ledger.changed(attempt)
                marked += 1
        ledger.flush()
        tx.notify(Topic.STOP)
        return marked


_SUPPRESS, _UNSUPPRESS = Suppress(), Unsuppress()


class Suppression(Desk):
    """The store's methods for the do-not-call list."""

    def __init__(self, engine: Engine, *, vault: Vault, limits: ClaimLimits, node_timeout_secs: float) -> None:
        super().__init__(engine, vault=vault, limits=limits, node_timeout_secs=node_timeout_secs)
        self._opt_out = OptOut(self.places)

    async def suppress(
        self, workspace_id: int, numbers: Sequence[str], *, reason: str, now: float, source: str = "api"
    ) -> int:
        """See ports.store.Store."""
        return await self.suppress_each(workspace_id, dict.fromkeys(numbers, reason), now=now, source=source)

    async def suppress_each(
        self, workspace_id: int, reasons: dict[str, str], *, now: float, source: str = "api"
    ) -> int:
        """See ports.store.Store."""
        new = 0
        for chunk in _chunks(reasons):
            listing = Listing(workspace_id, chunk, source, now)
            new += await self._ask(_SUPPRESS, listing)
            # what has GO by now had it before; so a look at what is committed misses nothing
            if await self._read(partial(_calls_to, listing=listing)):
                await self._ask(self._opt_out, listing)
        return new

    async def unsuppress(self, workspace_id: int, numbers: Sequence[str]) -> int:
        """See ports.store.Store."""
        gone = 0
        for chunk in _chunks(dict.fromkeys(numbers, "")):
            gone += await self._ask(_UNSUPPRESS, Listing(workspace_id, chunk))
        return gone

    async def suppressed(self, workspace_id: int, numbers: Sequence[str]) -> frozenset[str]:
        """See ports.store.Store."""
        return frozenset(row.number for row in await self.suppressions_of(workspace_id, numbers))

    async def suppressions_of(self, workspace_id: int, numbers: Sequence[str]) -> list[SuppressionRow]:
        """See ports.store.Store."""
        rows = await self._read(
            lambda tx: tx.rows("suppressed", workspace_id=workspace_id, numbers=sorted(set(numbers)))
        )
        return sorted(map(_entry, rows), key=lambda entry: entry.number)

    async def suppressions(self, workspace_id: int, *, limit: int, after: str = "") -> list[SuppressionRow]:
        """See ports.store.Store."""
        rows = await self._read(
            lambda tx: tx.rows("suppressions_after", workspace_id=workspace_id, after=after, limit=limit)
        )
        return [_entry(row) for row in rows]


def _calls_to(tx: Reads, listing: Listing) -> list[str]:
    """Calls to these numbers that are to be given up."""
    numbers = [number for number, _ in listing.reasons]
    return [row.call_key for row in tx.rows("attempts_to", workspace_id=listing.workspace_id, numbers=numbers)]


def _entry(row: Row) -> SuppressionRow:
    return SuppressionRow(row.number, row.reason, row.source, seconds(row.created_at))


def _chunks(reasons: dict[str, str]) -> list[tuple[tuple[str, str], ...]]:
    ordered = sorted(reasons.items())
    return [tuple(ordered[i : i + CHUNK]) for i in range(0, len(ordered), CHUNK)]
