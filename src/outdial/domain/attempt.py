"""The state of one attempt to call somebody, and the steps between its states."""

from enum import StrEnum

from outdial.domain.machine import step


class AttemptState(StrEnum):
    """From the claim to the end."""

    INTENT = "intent"
    """Claimed; nothing was sent and nothing may be sent yet."""
    DIALING = "dialing"
    """GO is committed: it may be sent, once."""
    RINGING = "ringing"
    LIVE = "live"
    """Answered."""
    ENDED = "ended"
    VOID = "void"
    """Provably never sent, or refused before anything rang; it counts as nothing."""
    UNKNOWN = "unknown"
    """Sent perhaps, and nobody can say what became of it; provisional."""


class AttemptEvent(StrEnum):
    """What can happen to an attempt."""

    GO = "go"
    WITHDRAWN = "withdrawn"
    """Void: lease over, cancelled, suppressed, window closed, throttled or unsent."""
    RANG = "rang"
    ANSWERED = "answered"
    ENDED = "ended"
    LOST = "lost"
    """Looked for past the provider's horizon and not found, or no look-up exists."""


_S, _E = AttemptState, AttemptEvent

TRANSITIONS: dict[AttemptState, dict[AttemptEvent, AttemptState]] = {
    _S.INTENT: {_E.GO: _S.DIALING, _E.WITHDRAWN: _S.VOID},
    _S.DIALING: {
        _E.WITHDRAWN: _S.VOID,
        _E.RANG: _S.RINGING,
        _E.ANSWERED: _S.LIVE,
        _E.ENDED: _S.ENDED,
        _E.LOST: _S.UNKNOWN,
    },
    _S.RINGING: {_E.ANSWERED: _S.LIVE, _E.ENDED: _S.ENDED, _E.LOST: _S.UNKNOWN},
    _S.LIVE: {_E.ENDED: _S.ENDED, _E.LOST: _S.UNKNOWN},
    _S.UNKNOWN: {_E.ANSWERED: _S.LIVE, _E.ENDED: _S.ENDED},
    _S.ENDED: {},
    _S.VOID: {},
}

SENT = frozenset({_S.DIALING, _S.RINGING, _S.LIVE, _S.ENDED, _S.UNKNOWN})
"""States of an attempt that has GO: a conversation on the wire, unless it turns out void."""

OPEN = frozenset({_S.INTENT, _S.DIALING, _S.RINGING, _S.LIVE})
"""States without a verdict yet."""


def next_state(state: AttemptState, event: AttemptEvent) -> AttemptState:
    """The state after the event; raises IllegalTransition where the table has none."""
    return step("attempt", TRANSITIONS, state, event)
