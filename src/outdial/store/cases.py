"""One attempt with its recipient and its batch's controls, read together: what every rule about a call starts from."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from outdial.domain import recipient as recipients
from outdial.domain.attempt import AttemptState
from outdial.domain.decision import Standing, as_decided
from outdial.domain.fold import Newer
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientEvent, RecipientStatus
from outdial.store.decisions import undone_of
from outdial.store.ledger import AttemptRecord, Ledger, RecipientRecord, attempt_record, bucket_keys
from outdial.store.op import Footprint, Reads, Row, Tx


@dataclass(slots=True)
class Case:
    """An attempt and its surroundings, as they are in this transaction."""

    attempt: AttemptRecord
    recipient: RecipientRecord | None
    """None once the batch was deleted."""
    last_decision: int
    undone: int
    generation: int
    """The batch's current one."""
    cancelled: bool
    paused: bool
    current_key: str | None
    """The recipient's current attempt, if it had one when it was read."""
    current_state: AttemptState | None
    """Of that attempt."""
    suppressed: bool
    """Whether the number is on the do-not-call list."""
    hours_version: int
    """Of the workspace's calling hours."""

    @property
    def follows(self) -> bool:
        """Whether this attempt is the recipient's current one."""
        return self.recipient is not None and self.recipient.attempt_key == self.attempt.call_key

    @property
    def withdrawn(self) -> bool:
        """Whether a cancel or delete has come since the claim."""
        return bool(self.attempt.give_up) or self.attempt.generation != self.generation

    @property
    def newer(self) -> Newer:
        """What became of the recipient since this attempt."""
        if self.recipient is None:
            return Newer.GONE
        if self.follows:
            return Newer.NONE
        if self.recipient.attempt_key is None:
            return Newer.WAITING
        if self.recipient.attempt_key != self.current_key:
            return Newer.GONE  # a report in the same transaction has made another older attempt the current one
        return Newer.INTENT if self.current_state is AttemptState.INTENT else Newer.GONE


KNOWN = 50_000
"""Attempts whose limits are kept in memory: all that a node has under way."""
TRUNK = 3
"""The trunk's place in `bucket_keys`."""


class Places:
    """What attempts count against, as last read. It is fixed when they are claimed, so that it never becomes wrong."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, tuple[str, ...]]] = {}

    def note(self, call_key: str, batch_id: int, buckets: tuple[str, ...]) -> None:
        """Remember an attempt; one whose claim is undone is locked in vain, and no more."""
        self._known[call_key] = batch_id, buckets

    def trunks(self, call_keys: Iterable[str]) -> frozenset[str]:
        """The trunks of these attempts, whose footprint was asked for in the same group."""
        return frozenset(place[1][TRUNK] for key in call_keys if (place := self._known.get(key)) is not None)

    def forget(self) -> None:
        """Begin anew when there are too many; between two groups."""
        if len(self._known) >= KNOWN:
            self._known.clear()

    def footprint(self, tx: Reads, call_keys: Iterable[str]) -> Footprint:
        """What has to be locked before these attempts may change."""
        wanted = set(call_keys)
        places = {key: place for key in wanted if (place := self._known.get(key)) is not None}
        unknown = wanted - places.keys()
        for row in tx.rows("attempt_footprints", keys=sorted(unknown)) if unknown else ():
            buckets = bucket_keys(row.workspace_id, row.agent_id, row.number_id, row.trunk, row.batch_id)
            self.note(row.call_key, row.batch_id, buckets)
            places[row.call_key] = row.batch_id, buckets
        return Footprint(
            frozenset(key for _, buckets in set(places.values()) for key in buckets),
            frozenset(batch_id for batch_id, _ in places.values()),
        )


def load(tx: Tx, call_keys: Iterable[str]) -> dict[str, Case]:
    """The cases of these attempts; two attempts of one recipient share its record."""
    people: dict[tuple[int, int], RecipientRecord] = {}
    cases = {}
    for row in tx.rows("cases", keys=sorted(set(call_keys))):
        case = _case(row, people)
        cases[case.attempt.call_key] = case
    _materialise(tx, cases.values())
    return cases


def _case(row: Row, people: dict[tuple[int, int], RecipientRecord]) -> Case:
    attempt = attempt_record(row)
    recipient = None
    if row.r_status is not None:
        place = (attempt.batch_id, attempt.ord)
        recipient = people.setdefault(place, recipient_record(attempt.batch_id, row, attempt.ord))
    return Case(
        attempt=attempt,
        recipient=recipient,
        last_decision=row.b_last_decision,
        undone=row.b_undone,
        generation=row.c_generation,
        cancelled=bool(row.c_cancelled),
        paused=bool(row.c_paused),
        current_key=row.r_attempt_key,
        current_state=AttemptState(row.current_state) if row.current_state else None,
        suppressed=bool(row.suppressed),
        hours_version=row.hours_version,
    )


def recipient_record(batch_id: int, row: Row, ord_: int | None = None) -> RecipientRecord:
    """From a row with the recipient's columns, each named `r_…`."""
    return RecipientRecord(
        batch_id=batch_id,
        ord=row.r_ord if ord_ is None else ord_,
        window_class=row.r_window_class,
        status=RecipientStatus(row.r_status),
        outcome=Outcome(row.r_outcome) if row.r_outcome else None,
        round=row.r_round,
        stamp=row.r_stamp,
        generation=row.r_generation,
        due_at=row.r_due_at,
        setbacks=row.r_setbacks,
        attempts=row.r_attempts,
        attempt_key=row.r_attempt_key,
        conversation_key=row.r_conversation_key,
    )


def _materialise(tx: Tx, cases: Iterable[Case]) -> None:
    """Bring rows that an undone decision means up to that decision, before anything else happens to them.

    The decision moved the counters when it was made, so the row's new state is what they hold of it.
    """
    behind = [(case, case.recipient) for case in cases if case.undone and case.recipient is not None]
    if not behind:
        return
    undone = undone_of(tx, {case.attempt.batch_id for case, _ in behind})
    for case, recipient in behind:
        before = Standing(recipient.status, recipient.outcome, recipient.round, recipient.stamp)
        after = as_decided(before, undone[case.attempt.batch_id])
        if after == before:
            continue
        if recipient.due_at is not None:
            _run_now(tx, "hopper_out", recipient)
        recipient.status, recipient.outcome = after.status, after.outcome
        recipient.round, recipient.stamp = after.round, after.stamp
        recipient.counted = (after.status, after.outcome)
        recipient.attempt_key, recipient.due_at, recipient.setbacks = None, None, 0
        if after.status is RecipientStatus.PENDING:
            recipient.due_at, recipient.generation = case.attempt.heard_at, case.generation
            _run_now(tx, "hopper_in", recipient)
        tx.put("recipient_decided", **_decided_row(recipient))


def _run_now(tx: Tx, name: str, recipient: RecipientRecord) -> None:
    tx.put(
        name,
        rows=[
            {
                "batch_id": recipient.batch_id,
                "generation": recipient.generation,
                "window_class": recipient.window_class,
                "due_at": recipient.due_at,
                "ord": recipient.ord,
            }
        ],
    )


def _decided_row(recipient: RecipientRecord) -> dict[str, Any]:
    return {
        "batch_id": recipient.batch_id,
        "ord": recipient.ord,
        "status": recipient.status,
        "outcome": recipient.outcome,
        "round": recipient.round,
        "stamp": recipient.stamp,
        "generation": recipient.generation,
        "due_at": recipient.due_at,
    }


def give_back(
    ledger: Ledger, case: Case, reason: str, *, due_at: int, setback: bool = False, suppressed: bool = False
) -> None:
    """Void an attempt that was never sent; its recipient is due again, or cancelled, or suppressed."""
    attempt, recipient = case.attempt, case.recipient
    ledger.void(attempt, reason)
    if recipient is None or not case.follows:
        return
    recipient.attempts -= 1
    recipient.attempt_key = None
    if case.withdrawn:
        recipient.status = recipients.next_status(recipient.status, RecipientEvent.CANCELLED)
        recipient.outcome = Outcome.CANCELLED
    elif suppressed:
        recipient.status = recipients.next_status(recipient.status, RecipientEvent.FAILED)
        recipient.outcome = Outcome.SUPPRESSED
    else:
        recipient.status = recipients.next_status(recipient.status, RecipientEvent.GIVEN_BACK)
        recipient.setbacks += setback
        ledger.wait(recipient, due_at=due_at, generation=case.generation)
    ledger.moved(recipient, stamp=case.last_decision)
