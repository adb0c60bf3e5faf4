"""The way to a call: a plain order in, reports out. Nothing else reaches a phone network."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from outdial.domain.call import CallEvent


@dataclass(frozen=True, slots=True)
class CallOrder:
    """Everything that is needed to place one call, once; it travels to a call worker as it is."""

    call_key: str
    number: str
    """Whom to call, E.164."""
    caller: str
    """The number that is shown, E.164."""
    provider: str
    trunk: dict[str, Any]
    """The phone number's settings at its provider; secrets are in clear here and are never logged."""
    agent: dict[str, Any]
    """The agent as it was at the claim: id, name, conversation config with allowed overrides applied."""
    variables: dict[str, Any]
    """Dynamic variables: the recipient's value, else the agent's placeholder."""
    ring_secs: float
    """Ring limit, seconds."""
    talk_secs: float
    """Longest call, seconds since the answer."""
    send_by: float
    """CLOCK_BOOTTIME seconds: nothing may be sent after it. Fixed before GO is asked for."""
    callback_url: str
    """Where the network reports: the public base URL with call_key and a random token in its path."""
    callback_secret: str
    """Signs the reports of networks that let us choose the key."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What one provider alone needs, from the batch's telephony_call_config."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a network says when asked for a call."""

    events: tuple[CallEvent, ...]
    """The whole course as known to the network, oldest first."""
    over: bool
    """Whether the call has ended."""


@dataclass(frozen=True, slots=True)
class LinesTraits:
    """What a provider can do; it decides how doubt is settled."""

    name: str
    can_look_up: bool
    horizon_secs: float
    """A call that is not found this long after its send deadline was never placed."""
    place_timeout_secs: float
    """How long the answer to `place` may take."""
    tried_first: bool = False
    """Whether `sent` comes before it says whether it takes calls of ours at all, so that a few have to find out."""


class LookUpFailed(Exception):
    """The network could not be asked; this says nothing about the call."""


class Lines(Protocol):
    """One provider's network, as far as the dialler is concerned: an adapter, or the pool of workers before it."""

    def start(self, order: CallOrder) -> AsyncIterator[CallEvent]:
        """Send once, after checking the deadline and the stop flag immediately before, and report.

        Yields `sent`, `unsent`, `throttled`, `doubtful` or `ended` (refused: known not placed) for the sending, and
        then whatever else reaches the worker itself. Where reports come by callback the stream ends with the sending.
        Never sends twice; never raises for what the network does.
        """
        ...

    async def hang_up(self, call_key: str, *, even_if_answered: bool, order: CallOrder | None = None) -> None:
        """Give the call up; one that is not sent yet is never sent. A call that is over or unknown is success.

        `order` is passed where the caller still has it (trunk settings for networks that need credentials).
        """
        ...

    async def look_up(self, call_key: str, *, order: CallOrder | None = None) -> Sighting | None:
        """The course of a call as the network knows it, None if it knows none; LookUpFailed if it can't be asked."""
        ...
