"""What the use cases on batches need, in one place: where to write, whom to wake, what time it is."""

from dataclasses import dataclass

from outdial.batches.replay import Twins
from outdial.ports.signal import Signal, Topic
from outdial.ports.store import Store
from outdial.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Desk:
    """The neighbours of every use case on batches."""

    store: Store
    signal: Signal
    clock: Clock
    twins: Twins
    dials: frozenset[str] | None = None
    """Providers through which calls can be placed here; None: any."""

    async def ring(self, *topics: Topic) -> None:
        """Wake whoever listens; what was decided is committed already, so a lost ring only costs time."""
        for topic in topics:
            await self.signal.ring(topic)
