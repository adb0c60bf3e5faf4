"""Cancel, retry and delete of a batch as numbered decisions: who is meant, decided at once, carried out in order.

A decision moves the batch's counters when it is made. Its rows may follow later, in chunks; until then a reader (and
every writer that touches such a row) sees the row through `as_decided`. Each change of a row stamps it with the number
of the batch's latest decision, so a decision means exactly the rows stamped below its own number.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from outdial.domain.outcome import MEANING, Outcome
from outdial.domain.recipient import RecipientEvent, RecipientStatus, next_status


class DecisionKind(StrEnum):
    """What people can decide about a whole batch."""

    RETRY = "retry"
    CANCEL = "cancel"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision; `number` counts from 1 within its batch."""

    number: int
    kind: DecisionKind
    round: int = 0
    """Of a retry: the round that it opens."""
    outcomes: frozenset[Outcome] = frozenset()
    """Of a retry: whom it takes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a recipient stands."""

    status: RecipientStatus
    outcome: Outcome | None
    round: int
    stamp: int


def means(decision: Decision, standing: Standing) -> bool:
    """Whether the decision still has to change this row."""
    if standing.stamp >= decision.number:
        return False
    if decision.kind is DecisionKind.RETRY:
        return standing.outcome in decision.outcomes
    return standing.status is RecipientStatus.PENDING


def decided(decision: Decision, standing: Standing) -> Standing:
    """The row after the decision, unchanged if it is not meant."""
    if not means(decision, standing):
        return standing
    if decision.kind is DecisionKind.RETRY:
        status = next_status(standing.status, RecipientEvent.RETRIED)
        return Standing(status, None, decision.round, decision.number)
    status = next_status(standing.status, RecipientEvent.CANCELLED)
    return replace(standing, status=status, outcome=Outcome.CANCELLED, stamp=decision.number)


def as_decided(standing: Standing, undone: Iterable[Decision]) -> Standing:
    """The row as every decision so far has it; `undone` are those whose row work is not over."""
    for decision in sorted(undone, key=lambda d: d.number):
        standing = decided(decision, standing)
    return standing


def outcomes_taken(include: Iterable[RecipientStatus] = ()) -> frozenset[Outcome]:
    """Whom a retry takes: what a bare one does, and voicemail or cancelled where asked for."""
    asked = frozenset(include)
    return frozenset(
        outcome
        for outcome, meaning in MEANING.items()
        if meaning.retried or (meaning.on_request and meaning.status in asked)
    )
