"""Whether this node may claim and give GO just now: its lease, and how fresh it is."""

from outdial.ports.store import NodeLease
from outdial.runtime.clock import Clock


class Tenure:
    """The node's lease as dispatch keeps it up and calls look at it."""

    def __init__(self, clock: Clock, *, timeout_secs: float) -> None:
        self._clock = clock
        self._timeout_secs = timeout_secs
        self._lease: NodeLease | None = None
        self._asked_at = 0.0

    @property
    def lease(self) -> NodeLease | None:
        """The lease, None while there is none."""
        return self._lease

    def renewed(self, lease: NodeLease, *, asked_at: float) -> None:
        """The store confirmed it; `asked_at` is the boottime before it was asked."""
        self._lease = lease
        self._asked_at = asked_at

    def lost(self) -> None:
        """It is over: another epoch took over, or this node was declared dead."""
        self._lease = None

    def holds(self, lease: NodeLease) -> bool:
        """Whether something claimed under this lease may still go on.

        A process that was stopped and continued finds here that its heartbeat is too old, before it asks anybody.
        """
        return self._lease == lease and self._clock.boottime() - self._asked_at < self._timeout_secs
