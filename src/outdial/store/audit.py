"""A recount: counters, tallies, slots, days and the hopper against the rows, recipients against the log of attempts.

It changes nothing and locks nothing. Each part reads one snapshot, so it may run beside a server.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from outdial.domain.attempt import AttemptState
from outdial.domain.batch import OPEN
from outdial.domain.decision import Decision, Standing, as_decided
from outdial.domain.outcome import Outcome, status_of
from outdial.domain.recipient import FINAL, RecipientStatus
from outdial.store.decisions import decision_of
from outdial.store.ledger import bucket_keys
from outdial.store.op import Reads, Row

Snapshot = Callable[[], AbstractContextManager[Reads]]

WITHOUT_A_CALL = frozenset({Outcome.SUPPRESSED, Outcome.EXPIRED, Outcome.CANCELLED})
"""How somebody can end who was not called in his round."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that does not fit."""

    where: str
    """A batch's public id, or the key of a limit."""
    what: str
    """For people."""


Audit = Callable[[Reads], Iterator[Damage]]


def run(snapshot: Snapshot, audit: Audit) -> list[Damage]:
    """All that one part finds, on a snapshot of its own."""
    with snapshot() as tx:
        tx.rows("audit_begin")
        return list(audit(tx))


def counters(tx: Reads) -> Iterator[Damage]:
    """Counters and tallies of every batch against its recipients, as every decision so far has them."""
    undone = _undone(tx)
    statuses, outcomes = _people(tx, undone)
    tallies: dict[int, Counter[str]] = defaultdict(Counter)
    for row in tx.rows("audit_tallies"):
        tallies[row.batch_id][row.outcome] = row.n
    for batch in tx.rows("audit_batches"):
        people = statuses[batch.id]
        total = people.total()
        finished = sum(n for status, n in people.items() if status in FINAL)
        for name, counted, rows in (
            ("scheduled", batch.scheduled, total),
            ("dispatched", batch.dispatched, total - people[RecipientStatus.PENDING]),
            ("finished", batch.finished, finished),
        ):
            if counted != rows:
                yield Damage(batch.public_id, f"its counter says {counted} {name}, its rows say {rows}")
        for outcome in sorted(tallies[batch.id].keys() | outcomes[batch.id].keys()):
            told, seen = tallies[batch.id][outcome], outcomes[batch.id][outcome]
            if told != seen:
                yield Damage(batch.public_id, f"its tally says {told} {outcome}, its rows say {seen}")


def _undone(tx: Reads) -> dict[int, list[Decision]]:
    found: dict[int, list[Decision]] = defaultdict(list)
    for row in tx.rows("audit_undone"):
        found[row.batch_id].append(decision_of(row))
    return found


def _people(
    tx: Reads, undone: Mapping[int, Sequence[Decision]]
) -> tuple[dict[int, Counter[RecipientStatus]], dict[int, Counter[str]]]:
    statuses: dict[int, Counter[RecipientStatus]] = defaultdict(Counter)
    outcomes: dict[int, Counter[str]] = defaultdict(Counter)
    for row in tx.rows("audit_people"):
        outcome = Outcome(row.outcome) if row.outcome else None
        standing = Standing(RecipientStatus(row.status), outcome, row.round, row.stamp)
        standing = as_decided(standing, undone.get(row.batch_id, ()))
        statuses[row.batch_id][standing.status] += row.n
        if standing.status in FINAL:
            outcomes[row.batch_id][standing.outcome.value if standing.outcome else "no outcome"] += row.n
    return statuses, outcomes


def ends(tx: Reads) -> Iterator[Damage]:
    """Batches whose status contradicts their counters, and decisions whose row work is lost or counted wrong."""
    for batch in tx.rows("audit_batches"):
        if batch.status in OPEN and batch.finished >= batch.scheduled:
            yield Damage(batch.public_id, f"it is {batch.status}, and everybody in it has ended")
        # one that was lost may turn out to be up after the batch was over; nobody waits for that
        if batch.status not in OPEN and batch.dispatched < batch.scheduled:
            left = batch.scheduled - batch.dispatched
            yield Damage(batch.public_id, f"it is {batch.status}, and {left} people in it wait")
    for row in tx.rows("audit_decisions"):
        yield Damage(row.public_id, f"it counts {row.undone} undone decisions, {row.filed} are filed")


def slots(tx: Reads) -> Iterator[Damage]:
    """What each limit has in use against the attempts that hold it."""
    held: Counter[str] = Counter()
    for row in tx.rows("audit_held"):
        for key in bucket_keys(row.workspace_id, row.agent_id, row.number_id, row.trunk, row.batch_id):
            held[key] += row.n
    live = {row.key: row.live for row in tx.rows("audit_slots")}
    for key in sorted(live.keys() | held.keys()):
        if live.get(key, 0) != held[key]:
            yield Damage(key, f"it counts {live.get(key, 0)} calls at once, {held[key]} hold it")


def days(tx: Reads) -> Iterator[Damage]:
    """What each agent's calls a day count against the attempts that were placed."""
    counted = {(row.agent_id, row.day): row.calls for row in tx.rows("audit_days")}
    placed = {(row.agent_id, row.day): row.n for row in tx.rows("audit_placed")}
    for agent_id, day in sorted(counted.keys() | placed.keys()):
        told, seen = counted.get((agent_id, day), 0), placed.get((agent_id, day), 0)
        if told != seen:
            yield Damage(f"a:{agent_id}", f"it counts {told} calls on day {day} since 1970, {seen} were placed")


def hopper(tx: Reads) -> Iterator[Damage]:
    """Who waits against who is in the hopper."""
    names = _names(tx)
    for row in tx.rows("audit_not_in_hopper"):
        yield Damage(names[row.batch_id], f"{row.n} people wait and are not in the hopper: nobody would call them")
    for row in tx.rows("audit_only_in_hopper"):
        yield Damage(names[row.batch_id], f"{row.n} places in the hopper belong to nobody who waits")


def attempts(tx: Reads) -> Iterator[Damage]:
    """Recipients against the log of attempts, folded; and attempts against themselves."""
    names = _names(tx)
    for row in tx.rows("audit_standing"):
        if not _fits(row):
            told = _told(row.status, row.outcome)
            seen = (
                "without an attempt" if row.state is None else f"its attempt is {_told(row.state, row.attempt_outcome)}"
            )
            yield Damage(names[row.batch_id], f"{row.n} people are {told}, and {seen}")
    for row in tx.rows("audit_tries"):
        yield Damage(names[row.batch_id], f"{row.n} people have another number of attempts than the log")
    for row in tx.rows("audit_attempts"):
        for n, what in (
            (row.over_and_held, "attempts are over and hold their slots"),
            (row.without_exit, "calls are under way and will never be looked up"),
            (row.without_outcome, "attempts are over without an outcome"),
        ):
            if n:
                yield Damage(row.public_id, f"{n} {what}")


def _fits(row: Row) -> bool:
    """Whether a recipient stands where his current attempt has brought him."""
    status = RecipientStatus(row.status)
    outcome = Outcome(row.outcome) if row.outcome else None
    if row.state is None:
        return status is RecipientStatus.PENDING or (outcome in WITHOUT_A_CALL and status is status_of(outcome))
    match AttemptState(row.state):
        case AttemptState.INTENT | AttemptState.DIALING:
            return (status, outcome) == (RecipientStatus.DISPATCHED, None)
        case AttemptState.RINGING:
            return (status, outcome) == (RecipientStatus.INITIATED, None)
        case AttemptState.LIVE:
            return (status, outcome) == (RecipientStatus.IN_PROGRESS, None)
        case AttemptState.VOID:
            return False
        case _:
            return outcome is not None and outcome == row.attempt_outcome and status is status_of(outcome)


def _told(state: str, outcome: str | None) -> str:
    return f"{state} ({outcome})" if outcome else state


def _names(tx: Reads) -> dict[int, str]:
    return {row.id: row.public_id for row in tx.rows("audit_batches")}


PARTS: dict[str, Audit] = {
    "counters": counters,
    "ends": ends,
    "slots": slots,
    "days": days,
    "hopper": hopper,
    "attempts": attempts,
}
"""By name, in the order in which they are told."""
