"""What a phone network, or the worker that talks to it, reports of one call."""

from dataclasses import dataclass
from enum import StrEnum

from outdial.domain.outcome import Ending

SEND_SECS = 2.0
"""The send deadline: nothing is sent later than this after GO was asked for."""


class EventKind(StrEnum):
    """The closed list of things that are reported of a call."""

    SENT = "sent"
    """The network took it; it may be ringing."""
    UNSENT = "unsent"
    """Provably not sent: the connection was refused, the deadline was over, or it was told to stop first."""
    THROTTLED = "throttled"
    """The network said: not now. Nothing rang."""
    DOUBTFUL = "doubtful"
    """Perhaps sent: no answer, a broken connection, an error 5xx. To be looked up."""
    RINGING = "ringing"
    ANSWERED = "answered"
    SAID = "said"
    ENDED = "ended"
    """Carries the ending; also a plain refusal (known not placed)."""
    LOST = "lost"
    """Looked up past the horizon and not found."""


CONNECTION_REFUSED = "connection_refused"
"""The reason of an `unsent` that says something about the trunk: nobody listens there."""

RANG = frozenset({EventKind.RINGING, EventKind.ANSWERED, EventKind.SAID})
"""What is only reported of a call that the network has taken."""

RANK = {
    EventKind.SENT: 1,
    EventKind.DOUBTFUL: 1,
    EventKind.RINGING: 2,
    EventKind.ANSWERED: 3,
    EventKind.SAID: 3,
    EventKind.ENDED: 4,
    # after an ending: whoever says both rang, and what rang is never dialled again by itself
    EventKind.UNSENT: 5,
    EventKind.THROTTLED: 5,
    # last: a call is lost only if nobody knows better
    EventKind.LOST: 6,
}
"""Events that come together are folded in this order, whatever order they came in."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something said in a call."""

    role: str
    """`agent` or `user`."""
    message: str
    at_secs: int = 0
    """Seconds since the answer."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One report about one attempt."""

    call_key: str
    kind: EventKind
    at: float
    """Unix seconds at which it happened, by the reporter's clock."""
    event_id: str | None = None
    """The reporter's own id of this report; a second one with the same id changes nothing."""
    provider_call_id: str | None = None
    ending: Ending | None = None
    retry_after: float | None = None
    """Seconds; of `throttled`."""
    reason: str = ""
    said: tuple[Utterance, ...] = ()
    answered_at: float | None = None
    """Unix seconds; of an ending whose reporter knows that the call had been answered."""
    rang: bool = False
    """The reporter knows that the phone had rung."""
