"""Cancel, retry and delete of a batch: decided in one step, carried out row by row behind it, strictly in order."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import msgspec

from outdial.domain import batch as batches
from outdial.domain.attempt import AttemptState
from outdial.domain.batch import BatchEvent, BatchStatus
from outdial.domain.decision import DecisionKind
from outdial.domain.errors import NotFound
from outdial.domain.fold import GiveUp
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus
from outdial.domain.retry import Preview, preview
from outdial.ports.signal import Topic
from outdial.ports.store import Answered, BatchRow, RequestKey
from outdial.store import acts, cases
from outdial.store.cases import give_back
from outdial.store.decisions import decision_of
from outdial.store.desk import Desk
from outdial.store.dialling import UNDER_WAY, batch_footprint
from outdial.store.instants import micros
from outdial.store.ledger import Ledger
from outdial.store.op import Footprint, Kind, Lane, Reads, Row, Single, Tx
from outdial.store.rows import batch_row
from outdial.store.submitting import drop_abandoned
from outdial.store.why import explained

AT_ONCE = 2_000
"""Rows that a decision may change in its own transaction."""
SMALL_BATCH = 20_000
"""Recipients that may be walked through in a decision's own transaction."""
STRIDE = 4_000
"""Recipients that one chunk of row work walks through."""
OLD = ("events_prune", "requests_prune", "outbox_prune", "days_prune")
"""What takes rows away, a stretch at a time, that nobody asks for any more."""
EVERYBODY = 2**31 - 1
"""More than any list has."""


def find(tx: Reads, workspace_id: int, public_id: str) -> Row:
    """The row of a batch that is not deleted; NotFound."""
    row = tx.one("batch_by_public_id", workspace_id=workspace_id, public_id=public_id)
    if row is None:
        raise NotFound("batch", public_id, param="batch_id")
    return row


def _told(tx: Reads, asked: "_Asked", now: int) -> BatchRow:
    """The batch as it is now, for the answer."""
    return explained(tx, [find(tx, asked.workspace_id, asked.public_id)], now)[0]


class _Asked(Protocol):
    """What every request for a decision names."""

    @property
    def workspace_id(self) -> int: ...
    @property
    def public_id(self) -> str: ...


Q = TypeVar("Q", bound=_Asked)
A = TypeVar("A")


class _Deciding(Single[Q, A]):
    """What the decisions share: they find and lock their batch by its public id; NotFound where there is none."""

    def footprint(self, tx: Reads, requests: Sequence[Q]) -> Footprint:
        """The batches with all their limits."""
        ids = [
            row.id
            for request in requests
            if (row := tx.one("batch_by_public_id", workspace_id=request.workspace_id, public_id=request.public_id))
        ]
        return batch_footprint(tx, ids)

    def one(self, tx: Tx, request: Q) -> A:
        """Decide about the batch that is named."""
        return self.decide(tx, find(tx, request.workspace_id, request.public_id), request)

    @abstractmethod
    def decide(self, tx: Tx, row: Row, request: Q) -> A:
        """Decide about this batch."""


def _file(
    tx: Tx,
    batch: BatchRow,
    now: int,
    kind: DecisionKind,
    *,
    rows: int,
    round_: int = 0,
    outcomes: frozenset[Outcome] = frozenset(),
) -> None:
    """Put the row work of a decision into the queue of its batch, and do it now where that is quick."""
    tx.run(
        "decision_file",
        batch_id=batch.id,
        number=batch.last_decision,
        kind=kind,
        round=round_,
        generation=batch.generation,
        outcomes=msgspec.json.encode(sorted(outcomes)).decode(),
        now=now,
    )
    tx.run("batch_undone", id=batch.id, n=1)
    undone = tx.rows("decisions_undone", ids=[batch.id])
    if (
        len(undone) == 1
        and kind is not DecisionKind.DELETE
        and rows <= AT_ONCE
        and batch.counters.scheduled <= SMALL_BATCH
    ):
        while undone:
            _chunk(tx, undone[0], now=now, stride=EVERYBODY)
            undone = tx.rows("decisions_undone", ids=[batch.id])
    else:
        tx.notify(Topic.SWEEP)


# --- retry ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Retrying:
    """Open a round for those who ended so."""

    workspace_id: int
    public_id: str
    outcomes: frozenset[Outcome]
    request: RequestKey | None
    now: float


class Retry(_Deciding[Retrying, Answered]):
    """Round, counters, who is taken and the answer, in one step."""

    name = "retry"
    order = 60

    def decide(self, tx: Tx, row: Row, request: Retrying) -> Answered:
        """Take exactly those who ended so before this decision."""
        now = micros(request.now)
        if (twin := acts.claim(tx, request.request, now)) is not None:
            return twin
        answered = self._retry(tx, row, request, now)
        acts.answer(tx, request.request, answered, now)
        return answered

    @staticmethod
    def _retry(tx: Tx, row: Row, request: Retrying, now: int) -> Answered:
        batch = batch_row(row)
        tally = {Outcome(t.outcome): t.n for t in tx.rows("tallies_of", ids=[batch.id]) if t.n}
        taken = {outcome: n for outcome, n in tally.items() if outcome in request.outcomes}
        people = sum(taken.values())
        if not people:
            return Answered(batch)
        status = batches.next_status(batch.status, BatchEvent.REQUEUED)
        round_ = batch.retry_count + 1
        tx.run("batch_retried", id=batch.id, number=batch.last_decision + 1, retry_count=round_, status=status, now=now)
        tx.run("control_reopen", batch_id=batch.id)
        batch = replace(batch, last_decision=batch.last_decision + 1)
        Ledger(tx, now).move_counters(
            {batch.id: (-people, -people)}, Counter({(batch.id, outcome): -n for outcome, n in taken.items()})
        )
        _file(tx, batch, now, DecisionKind.RETRY, rows=people, round_=round_, outcomes=request.outcomes)
        tx.notify(Topic.WORK)
        return Answered(_told(tx, request, now), taken=people)


# --- cancel and delete ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cancelling:
    """Call nobody new; `hang_up` ends live conversations too."""

    workspace_id: int
    public_id: str
    hang_up: bool
    now: float


class Cancel(_Deciding[Cancelling, Answered]):
    """Waiting and unsent recipients are cancelled, calls under way are marked to be given up."""

    name = "cancel"
    order = 61

    def decide(self, tx: Tx, row: Row, request: Cancelling) -> Answered:
        """Cancel, or say how it is if the batch is over."""
        batch = batch_row(row)
        now = micros(request.now)
        if batch.status is BatchStatus.CANCELLED and request.hang_up:
            _give_up(tx, batch, now, hang_up=True)
            tx.notify(Topic.STOP)
        if batch.status not in batches.OPEN:
            return Answered(batch)
        taken = _withdraw_all(tx, batch, now, DecisionKind.CANCEL, hang_up=request.hang_up)
        return Answered(_told(tx, request, now), taken=taken)


def _withdraw_all(tx: Tx, batch: BatchRow, now: int, kind: DecisionKind, *, hang_up: bool) -> int:
    """The common part of cancel and delete; how many people it cancelled."""
    number, generation = batch.last_decision + 1, batch.generation + 1
    tx.run("control_cancel", batch_id=batch.id, generation=generation)
    status = batches.next_status(batch.status, BatchEvent.CANCELLED) if batch.status in batches.OPEN else batch.status
    tx.run("batch_cancelled", id=batch.id, number=number, status=status, now=now)
    waiting = batch.counters.waiting
    unsent = _give_up(tx, batch, now, hang_up=hang_up)
    if waiting:
        Ledger(tx, now).move_counters({batch.id: (waiting, waiting)}, Counter({(batch.id, Outcome.CANCELLED): waiting}))
    batch = replace(batch, last_decision=number, generation=generation)
    _file(tx, batch, now, kind, rows=waiting)
    tx.notify(Topic.STOP)
    return waiting + unsent


def _give_up(tx: Tx, batch: BatchRow, now: int, *, hang_up: bool) -> int:
    """Void the intents, mark what is under way; how many intents there were."""
    ledger = Ledger(tx, now)
    unsent = 0
    for case in cases.load(tx, [row.call_key for row in tx.rows("attempts_open_of", batch_id=batch.id)]).values():
        attempt = case.attempt
        if attempt.state is AttemptState.INTENT:
            give_back(ledger, case, "cancelled", due_at=now)
            unsent += 1
        elif attempt.state in UNDER_WAY and (attempt.state is not AttemptState.LIVE or hang_up):
            attempt.give_up = max(attempt.give_up, GiveUp.EVEN_IF_ANSWERED if hang_up else GiveUp.UNLESS_ANSWERED)
            ledger.changed(attempt)
    ledger.flush()
    return unsent


@dataclass(frozen=True, slots=True)
class Deleting:
    """Cancel and hide; the rows go when no attempt is open."""

    workspace_id: int
    public_id: str
    now: float


class Delete(_Deciding[Deleting, None]):
    """404 from now on; conversations stay."""

    name = "delete"
    order = 62

    def decide(self, tx: Tx, row: Row, request: Deleting) -> None:
        """Cancel what is open, then hide."""
        now = micros(request.now)
        batch = batch_row(row)
        _withdraw_all(tx, batch, now, DecisionKind.DELETE, hang_up=False)
        tx.run("batch_hide", id=batch.id, now=now)


@dataclass(frozen=True, slots=True)
class Pausing:
    """Stop or allow claims and GO."""

    workspace_id: int
    public_id: str
    paused: bool
    now: float


class Pause(_Deciding[Pausing, BatchRow]):
    """A flag beside the status; resuming also lifts the halt of the batch's trunk."""

    name = "pause"
    order = 63

    def decide(self, tx: Tx, row: Row, request: Pausing) -> BatchRow:
        """Set the flag."""
        now = micros(request.now)
        if row.status in batches.OPEN:
            tx.run("control_pause", batch_id=row.id, paused=request.paused)
            if not request.paused:
                tx.run("trunk_resume", batch_id=row.id, now=now)
                tx.notify(Topic.WORK)
            if bool(row.paused) is not request.paused:
                tx.run("batch_touch", id=row.id, now=now)
        return _told(tx, request, now)


# --- row work ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sweeping:
    """Asks for one chunk of row work."""

    now: float


class Sweep(Kind[Sweeping, bool]):
    """The next chunk of the oldest undone decision of some batch; what is left of lists that were never sealed."""

    name = "sweep"
    lane = Lane.BULK

    def run(self, tx: Tx, requests: Sequence[Sweeping]) -> list[bool]:
        """Whether there was anything to do, per request."""
        return [self._sweep(tx, request) for request in requests]

    @staticmethod
    def _sweep(tx: Tx, request: Sweeping) -> bool:
        now = micros(request.now)
        found = tx.one("decision_next")
        if found is None:
            return drop_abandoned(tx, now) or any(tx.run(old, now=now) for old in OLD)
        tx.lock(Footprint(frozenset(), frozenset({found.batch_id})))
        if tx.locks and tx.one("decision_next") != found:
            return True  # another node went on while we waited: a deletion that is next now may have to wait for calls
        _chunk(tx, tx.rows("decisions_undone", ids=[found.batch_id])[0], now=now, stride=STRIDE)
        return True


def _chunk(tx: Tx, row: Row, *, now: int, stride: int) -> None:
    """Do one stretch of a decision's row work.

    The rows are walked through in list order; a decision whose walk is over still takes stale rows out of the hopper
    (cancel, delete), and is then struck off.
    """
    if row.after_ord < row.scheduled - 1:
        _walk(tx, row, now=now, upto=min(row.after_ord + stride, EVERYBODY))
        return
    if row.kind != DecisionKind.RETRY:
        before = EVERYBODY if row.kind == DecisionKind.DELETE else row.generation
        if tx.run("hopper_clear", batch_id=row.batch_id, before=before, limit=stride):
            return
    if row.kind == DecisionKind.DELETE:
        tx.run("tally_drop", batch_id=row.batch_id)
    tx.run("decision_strike", batch_id=row.batch_id, number=row.number)
    tx.run("batch_undone", id=row.batch_id, n=-1)


def _walk(tx: Tx, row: Row, *, now: int, upto: int) -> None:
    decision = decision_of(row)
    stretch = {"batch_id": row.batch_id, "after": row.after_ord, "upto": upto, "number": decision.number, "now": now}
    match decision.kind:
        case DecisionKind.RETRY:
            tx.run(
                "recipients_retry",
                **stretch,
                outcomes=sorted(decision.outcomes),
                round=decision.round,
                generation=row.generation,
            )
            tx.run("hopper_retry", **stretch, generation=row.generation)
        case DecisionKind.CANCEL:
            tx.run("recipients_cancel", **stretch)
        case DecisionKind.DELETE:
            tx.run("recipients_delete", **stretch)
    tx.run("decision_walked", batch_id=row.batch_id, number=decision.number, after_ord=upto)


class Deciding(Desk):
    """The store's methods for decisions about whole batches."""

    _retry = Retry()
    _cancel = Cancel()
    _delete = Delete()
    _pause = Pause()
    _sweep = Sweep()

    async def retry(
        self, workspace_id: int, public_id: str, outcomes: frozenset[Outcome], request: RequestKey | None, *, now: float
    ) -> Answered:
        """See ports.store.Store."""
        return await self._ask(self._retry, Retrying(workspace_id, public_id, outcomes, request, now))

    async def preview(self, workspace_id: int, public_id: str, include: frozenset[RecipientStatus]) -> Preview:
        """See ports.store.Store."""

        def read(tx: Reads) -> Preview:
            row = find(tx, workspace_id, public_id)
            tally = {Outcome(t.outcome): t.n for t in tx.rows("tallies_of", ids=[row.id])}
            return preview(tally, include)

        return await self._read(read)

    async def cancel(self, workspace_id: int, public_id: str, *, hang_up: bool, now: float) -> Answered:
        """See ports.store.Store."""
        return await self._ask(self._cancel, Cancelling(workspace_id, public_id, hang_up, now))

    async def delete_batch(self, workspace_id: int, public_id: str, *, now: float) -> None:
        """See ports.store.Store."""
        await self._ask(self._delete, Deleting(workspace_id, public_id, now))

    async def pause(self, workspace_id: int, public_id: str, *, paused: bool, now: float) -> BatchRow:
        """See ports.store.Store."""
        return await self._ask(self._pause, Pausing(workspace_id, public_id, paused, now))

    async def sweep(self, *, now: float) -> bool:
        """See ports.store.Store."""
        return await self._ask(self._sweep, Sweeping(now))
