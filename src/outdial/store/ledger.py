"""One transaction's changes to calls, collected while the rules run and written in a few statements at the end.

Whoever moves an attempt or a recipient does it through a `Ledger`: it is the only place where counters, tallies, slots,
the hopper and the outbox follow from a change, so that they can't be forgotten. The batch rows must be locked before.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from outdial.domain import batch as batches
from outdial.domain.attempt import AttemptState
from outdial.domain.batch import BatchEvent, BatchStatus, Counters, verdict
from outdial.domain.daily import day_of
from outdial.domain.outcome import Outcome, reached
from outdial.domain.recipient import FINAL, RecipientStatus
from outdial.store.instants import seconds
from outdial.store.op import Row, Tx

NOBODY = 0
"""The epoch of an attempt whose owner is dead, until the call is found and adopted."""


@dataclass(slots=True)
class AttemptRecord:
    """An attempt's row in memory. Instants are micros."""

    call_key: str
    workspace_id: int
    batch_id: int
    ord: int
    recipient_id: str
    number: str
    agent_id: int
    number_id: int
    trunk: str
    provider: str
    round: int
    generation: int
    state: AttemptState
    holds: bool
    give_up: int
    node: str
    epoch: int
    check_at: int | None
    heard_at: int
    claimed_at: int
    go_at: int | None = None
    sent_at: int | None = None
    ringing_at: int | None = None
    answered_at: int | None = None
    ended_at: int | None = None
    ring_secs: float = 0.0
    talk_secs: float = 0.0
    horizon_secs: float = 0.0
    provider_call_id: str | None = None
    outcome: str | None = None
    ending: str | None = None
    reason: str = ""
    trying: bool = False
    """Claimed to try a trunk that had not proven itself."""
    counted_on: int | None = field(init=False)
    """The day that its agent's count has it on; None: on none."""

    def __post_init__(self) -> None:
        """What was read is what was counted."""
        self.counted_on = self.day

    @property
    def day(self) -> int | None:
        """On which it belongs: that of GO, before that of the claim. What was never sent is a call of no day."""
        return None if self.state == AttemptState.VOID else day_of(seconds(self.go_at or self.claimed_at))

    @property
    def buckets(self) -> tuple[str, ...]:
        """The limits that this call counts against while it holds its slots."""
        return bucket_keys(self.workspace_id, self.agent_id, self.number_id, self.trunk, self.batch_id)


@dataclass(slots=True)
class RecipientRecord:
    """A recipient's row in memory, as far as calls and decisions change it. Instants are micros."""

    batch_id: int
    ord: int
    window_class: int
    status: RecipientStatus
    outcome: Outcome | None
    round: int
    stamp: int
    generation: int
    due_at: int | None
    setbacks: int
    attempts: int
    attempt_key: str | None
    conversation_key: str | None
    counted: tuple[RecipientStatus, Outcome | None] = field(init=False)
    """What the batch's counters hold of it."""

    def __post_init__(self) -> None:
        """What was read is what was counted."""
        self.counted = (self.status, self.outcome)


def bucket_keys(workspace_id: int, agent_id: int, number_id: int, trunk: str, batch_id: int) -> tuple[str, ...]:
    """The five limits of one call."""
    return (f"w:{workspace_id}", f"a:{agent_id}", f"n:{number_id}", trunk, f"b:{batch_id}")


def attempt_record(row: Row) -> AttemptRecord:
    """From a row that starts with the attempt's columns, in their order (see `attempt_columns` in the SQL)."""
    record = AttemptRecord(*row[:33])
    record.state = AttemptState(record.state)
    record.holds = bool(record.holds)
    record.trying = bool(record.trying)
    return record


class Ledger:
    """The changes of one transaction. `flush` writes them; until then nothing is in the database."""

    def __init__(self, tx: Tx, now: int) -> None:
        self.tx = tx
        self.now = now
        self._attempts: dict[str, AttemptRecord] = {}
        self._recipients: dict[tuple[int, int], RecipientRecord] = {}
        self._slots: Counter[str] = Counter()
        self._into_hopper: dict[tuple[int, ...], dict[str, Any]] = {}
        self._out_of_hopper: list[dict[str, Any]] = []
        self._said: list[dict[str, Any]] = []
        self._outbox: list[dict[str, Any]] = []

    def changed(self, attempt: AttemptRecord) -> None:
        """Write this attempt."""
        self._attempts[attempt.call_key] = attempt

    def moved(self, recipient: RecipientRecord, *, stamp: int) -> None:
        """Write this recipient, stamped with the number of its batch's latest decision."""
        recipient.stamp = stamp
        self._recipients[recipient.batch_id, recipient.ord] = recipient

    def free(self, attempt: AttemptRecord) -> bool:
        """Give the attempt's slots back, once; whether it held any."""
        if not attempt.holds:
            return False
        attempt.holds = False
        for key in attempt.buckets:
            self._slots[key] -= 1
        self.changed(attempt)
        return True

    def hold(self, attempt: AttemptRecord) -> None:
        """Count a call again that was given up for lost and is up after all, beyond a limit if need be."""
        attempt.holds = True
        for key in attempt.buckets:
            self._slots[key] += 1
        self.changed(attempt)

    def wait(self, recipient: RecipientRecord, *, due_at: int, generation: int) -> None:
        """Put the recipient into the hopper."""
        recipient.due_at = due_at
        recipient.generation = generation
        place = _hopper_key(recipient)
        self._into_hopper[tuple(place.values())] = place

    def stop_waiting(self, recipient: RecipientRecord) -> None:
        """Take the recipient out of the hopper."""
        if recipient.due_at is None:
            return
        place = _hopper_key(recipient)
        if self._into_hopper.pop(tuple(place.values()), None) is None:  # else it was put there in this transaction
            self._out_of_hopper.append(place)
        recipient.due_at = None

    def keep_words(self, attempt: AttemptRecord, said: str) -> None:
        """Keep the words of an attempt that was sent, and with them the recipient's data, which may go first."""
        self._said.append(
            {
                "call_key": attempt.call_key,
                "workspace_id": attempt.workspace_id,
                "batch_id": attempt.batch_id,
                "ord": attempt.ord,
                "said": said,
                "agent_id": attempt.agent_id,
                "started_at": attempt.go_at or attempt.claimed_at,
            }
        )

    def tell(self, topic: str, *, workspace_id: int, batch_id: int, call_key: str | None = None) -> None:
        """Put an event into the outbox."""
        self._outbox.append(
            {"workspace_id": workspace_id, "topic": topic, "batch_id": batch_id, "call_key": call_key, "at": self.now}
        )

    def void(self, attempt: AttemptRecord, reason: str) -> None:
        """End an attempt that counts as nothing, and free its slots."""
        attempt.state = AttemptState.VOID
        attempt.reason = reason
        attempt.ended_at = self.now
        attempt.check_at = None
        self.changed(attempt)
        self.free(attempt)

    def flush(self) -> frozenset[int]:
        """Write everything; the batches that are over by it."""
        tx = self.tx
        if self._attempts:
            tx.put("attempts_write", rows=[_attempt_row(a) for a in self._attempts.values()])
        if self._out_of_hopper:
            tx.put("hopper_out", rows=self._out_of_hopper)
        if self._into_hopper:
            tx.put("hopper_in", rows=[*self._into_hopper.values()])
        if self._slots:
            tx.put("slots_move", rows=[{"key": key, "n": n} for key, n in sorted(self._slots.items()) if n])
        if days := self._days():
            tx.put("days_move", rows=days)
        if self._said:
            tx.put("conversations_keep", rows=self._said)
        over = self._write_recipients()
        if self._outbox:
            tx.put("outbox_put", rows=self._outbox)
        return over

    def _days(self) -> list[dict[str, Any]]:
        """What the attempts' changes mean for their agents' calls a day."""
        moves: Counter[tuple[int, int]] = Counter()
        for attempt in self._attempts.values():
            if (day := attempt.day) != attempt.counted_on:
                for on, n in ((attempt.counted_on, -1), (day, 1)):
                    if on is not None:
                        moves[attempt.agent_id, on] += n
                attempt.counted_on = day
        return [{"agent_id": agent_id, "day": day, "n": n} for (agent_id, day), n in moves.items() if n]

    def _write_recipients(self) -> frozenset[int]:
        if not self._recipients:
            return frozenset()
        rows = [_recipient_row(r) for r in self._recipients.values()]
        self.tx.put("recipients_write", rows=rows, now=self.now)
        return self.count((r.batch_id, r.counted, (r.status, r.outcome)) for r in self._recipients.values())

    def count(
        self,
        moves: Iterable[tuple[int, tuple[RecipientStatus, Outcome | None], tuple[RecipientStatus, Outcome | None]]],
    ) -> frozenset[int]:
        """Move counters and tallies by what these recipients were and are; the batches that are over by it."""
        deltas: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        tallies: Counter[tuple[int, Outcome]] = Counter()
        for batch_id, (was, was_outcome), (status, outcome) in moves:
            delta = deltas[batch_id]
            delta[0] += (status is not RecipientStatus.PENDING) - (was is not RecipientStatus.PENDING)
            delta[1] += (status in FINAL) - (was in FINAL)
            if was in FINAL and was_outcome:
                tallies[batch_id, was_outcome] -= 1
            if status in FINAL and outcome:
                tallies[batch_id, outcome] += 1
        return self.move_counters({b: (d[0], d[1]) for b, d in deltas.items()}, tallies)

    def move_counters(
        self, deltas: dict[int, tuple[int, int]], tallies: Counter[tuple[int, Outcome]]
    ) -> frozenset[int]:
        """Move counters (dispatched, finished) and tallies by these amounts; the batches that are over by it."""
        tally_rows = [{"batch_id": b, "outcome": o, "n": n} for (b, o), n in tallies.items() if n]
        if tally_rows:
            self.tx.put("tally_move", rows=tally_rows)
        rows = [{"id": b, "dispatched": d, "finished": f} for b, (d, f) in sorted(deltas.items())]
        after = self.tx.rows("batch_move", rows=rows, now=self.now)
        return self._close([row for row in after if row.finished >= row.scheduled])

    def _close(self, full: list[Any]) -> frozenset[int]:
        """End the open batches among these, in all of which everybody has a final state."""
        full = [row for row in full if row.status in batches.OPEN]
        if not full:
            return frozenset()
        tallies: dict[int, Counter[Outcome]] = defaultdict(Counter)
        for row in self.tx.rows("tallies_of", ids=[row.id for row in full]):
            tallies[row.batch_id][Outcome(row.outcome)] += row.n
        ends = []
        for row in full:
            tally = tallies[row.id]
            event = verdict(
                Counters(row.scheduled, row.dispatched, row.finished),
                reached=sum(n for outcome, n in tally.items() if reached(outcome)),
                expired=tally[Outcome.EXPIRED],
            )
            if event is None:
                continue
            reason = "nobody could be called" if event is BatchEvent.COULD_NOT_RUN else ""
            status = batches.next_status(BatchStatus(row.status), event)
            ends.append({"id": row.id, "status": status, "reason": reason})
            self.tell("batch_over", workspace_id=row.workspace_id, batch_id=row.id)
        self.tx.put("batch_status", rows=ends, now=self.now)
        return frozenset(end["id"] for end in ends)


def _hopper_key(recipient: RecipientRecord) -> dict[str, Any]:
    return {
        "batch_id": recipient.batch_id,
        "generation": recipient.generation,
        "window_class": recipient.window_class,
        "due_at": recipient.due_at,
        "ord": recipient.ord,
    }


def _attempt_row(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "call_key": attempt.call_key,
        "state": attempt.state,
        "holds": attempt.holds,
        "give_up": attempt.give_up,
        "node": attempt.node,
        "epoch": attempt.epoch,
        "check_at": attempt.check_at,
        "heard_at": attempt.heard_at,
        "go_at": attempt.go_at,
        "sent_at": attempt.sent_at,
        "ringing_at": attempt.ringing_at,
        "answered_at": attempt.answered_at,
        "ended_at": attempt.ended_at,
        "ring_secs": attempt.ring_secs,
        "talk_secs": attempt.talk_secs,
        "horizon_secs": attempt.horizon_secs,
        "provider_call_id": attempt.provider_call_id,
        "outcome": attempt.outcome,
        "ending": attempt.ending,
        "reason": attempt.reason,
    }


def _recipient_row(recipient: RecipientRecord) -> dict[str, Any]:
    return {
        "batch_id": recipient.batch_id,
        "ord": recipient.ord,
        "status": recipient.status,
        "outcome": recipient.outcome,
        "round": recipient.round,
        "stamp": recipient.stamp,
        "generation": recipient.generation,
        "due_at": recipient.due_at,
        "setbacks": recipient.setbacks,
        "attempts": recipient.attempts,
        "attempt_key": recipient.attempt_key,
        "conversation_key": recipient.conversation_key,
    }
