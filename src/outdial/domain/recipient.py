"""The state of one recipient in a batch: the wire's eight words and the steps between them."""

from enum import StrEnum

from outdial.domain.machine import step


class RecipientStatus(StrEnum):
    """The eight words of both published wires."""

    PENDING = "pending"
    DISPATCHED = "dispatched"
    INITIATED = "initiated"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    VOICEMAIL = "voicemail"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RecipientEvent(StrEnum):
    """What can happen to a recipient."""

    CLAIMED = "claimed"
    GIVEN_BACK = "given_back"
    RANG = "rang"
    ANSWERED = "answered"
    COMPLETED = "completed"
    MACHINE = "machine"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"


P, D, I, L, C, V, F, X = RecipientStatus  # noqa: E741  the words of the wire by a letter each
_E = RecipientEvent
_ENDINGS = {_E.COMPLETED: C, _E.MACHINE: V, _E.FAILED: F}

TRANSITIONS: dict[RecipientStatus, dict[RecipientEvent, RecipientStatus]] = {
    # answers and endings of a waiting recipient are the late truth of an older attempt
    P: {_E.CLAIMED: D, _E.CANCELLED: X, _E.ANSWERED: L, **_ENDINGS},
    D: {_E.GIVEN_BACK: P, _E.RANG: I, _E.ANSWERED: L, _E.CANCELLED: X, **_ENDINGS},
    I: {_E.ANSWERED: L, _E.CANCELLED: X, **_ENDINGS},
    L: {_E.CANCELLED: X, **_ENDINGS},
    # only where the outcome is `unknown` may truth still come; domain/fold.py guards that
    F: {_E.RETRIED: P, _E.ANSWERED: L, **_ENDINGS},
    V: {_E.RETRIED: P},
    X: {_E.RETRIED: P, _E.ANSWERED: L, **_ENDINGS},
    C: {},
}

FINAL = frozenset({C, V, F, X})
"""States in which a recipient counts as finished."""

ENDING_EVENT = {C: _E.COMPLETED, V: _E.MACHINE, F: _E.FAILED, X: _E.CANCELLED}
"""The event that leads into each final state."""


def next_status(status: RecipientStatus, event: RecipientEvent) -> RecipientStatus:
    """The state after the event; raises IllegalTransition where the table has none."""
    return step("recipient", TRANSITIONS, status, event)
