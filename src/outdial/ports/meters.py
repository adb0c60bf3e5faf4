"""What is counted for whoever watches the server: said by the rooms where it happens, kept by `app`.

Every argument is a word of a closed list or a number; never an id, a phone number, or anything that grows with lists.
"""

from enum import StrEnum
from typing import Protocol

from outdial.domain.outcome import Outcome


class Verdict(StrEnum):
    """What became of a report that came to the server."""

    KEPT = "kept"
    UNKNOWN_PROVIDER = "unknown_provider"
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a word
    TOO_LARGE = "too_large"
    CUT_OFF = "cut_off"
    """The sender left in the middle of it."""
    REFUSED = "refused"
    """Not signed by this network, or not what it sends."""
    OTHER_CALL = "other_call"
    UNKNOWN_CALL = "unknown_call"
    STORE_AWAY = "store_away"
    """Answered 503: it comes again."""


class Meters(Protocol):
    """Counts. May be called from any thread, costs microseconds, never fails."""

    def call_started(self, provider: str) -> None:
        """A call got GO and is handed to its lines."""
        ...

    def call_ended(self, provider: str, outcome: Outcome) -> None:
        """An attempt that was sent ended so, or was lost (`unknown`)."""
        ...

    def truth_came_late(self, provider: str) -> None:
        """An attempt that was `unknown` turned out to be up, or to have ended in a known way."""
        ...

    def callback(self, provider: str, verdict: Verdict) -> None:
        """A report came in. `provider` is one that this server knows, or ""."""
        ...

    def dispatch_waited(self, seconds: float) -> None:
        """How long the longest-waiting of those who were claimed in one turn could have been claimed before."""
        ...

    def store_answered(self, lane: str, seconds: float) -> None:
        """How long somebody waited for the store: `hot`, `control`, `bulk` or `read`."""
        ...


class Unmetered:
    """Counts nothing: for tests, and where metrics are off."""

    def call_started(self, provider: str) -> None: ...

    def call_ended(self, provider: str, outcome: Outcome) -> None: ...

    def truth_came_late(self, provider: str) -> None: ...

    def callback(self, provider: str, verdict: Verdict) -> None: ...

    def dispatch_waited(self, seconds: float) -> None: ...

    def store_answered(self, lane: str, seconds: float) -> None: ...


UNMETERED: Meters = Unmetered()
