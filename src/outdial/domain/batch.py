"""The state of a batch, and what a batch's counters say about it."""

from dataclasses import dataclass
from enum import StrEnum

from outdial.domain.machine import step


class BatchStatus(StrEnum):
    """The five words of both published wires."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BatchEvent(StrEnum):
    """What can happen to a batch."""

    STARTED = "started"
    FINISHED = "finished"
    COULD_NOT_RUN = "could_not_run"
    CANCELLED = "cancelled"
    REQUEUED = "requeued"
    """A retry took somebody: wait for the schedule or the first claim again."""


P, R, C, F, X = BatchStatus
_E = BatchEvent

TRANSITIONS: dict[BatchStatus, dict[BatchEvent, BatchStatus]] = {
    P: {_E.STARTED: R, _E.FINISHED: C, _E.COULD_NOT_RUN: F, _E.CANCELLED: X, _E.REQUEUED: P},
    R: {_E.STARTED: R, _E.FINISHED: C, _E.COULD_NOT_RUN: F, _E.CANCELLED: X, _E.REQUEUED: R},
    C: {_E.REQUEUED: P},
    F: {_E.REQUEUED: P},
    X: {_E.REQUEUED: P},
}

OPEN = frozenset({P, R})
"""A batch that may still call somebody."""


def next_status(status: BatchStatus, event: BatchEvent) -> BatchStatus:
    """The state after the event; raises IllegalTransition where the table has none."""
    return step("batch", TRANSITIONS, status, event)


@dataclass(frozen=True, slots=True)
class Counters:
    """What the wire shows of a batch. They move by row counts in the transaction that decides, never by a recount."""

    scheduled: int
    """Recipients."""
    dispatched: int
    """Recipients that are not pending."""
    finished: int
    """Recipients in a final state."""

    @property
    def waiting(self) -> int:
        """Recipients that are pending."""
        return self.scheduled - self.dispatched

    @property
    def over(self) -> bool:
        """Whether every recipient has a final state."""
        return self.finished >= self.scheduled


def verdict(counters: Counters, *, reached: int, expired: int) -> BatchEvent | None:
    """How a batch whose counters moved is over, or None while it is not.

    Failed calls alone don't fail a batch: it fails when it could not be run (people expired undialled) and nobody
    was reached.
    """
    if not counters.over:
        return None
    return BatchEvent.COULD_NOT_RUN if expired and not reached else BatchEvent.FINISHED
