"""Carrying out what was decided: rows of cancels, retries and deletions, and the end of batches that nobody resumed."""

from outdial.calls.alarm import Alarm
from outdial.ports.signal import Signal, Topic
from outdial.ports.store import Store
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger
from outdial.runtime.service import Background

IDLE_SECS = 60.0
"""The longest sleep, in case a signal was lost."""
HALTED_SECS = 24 * 3600.0

log = get_logger()


class Sweeper:
    """A service: sweeps at the start, on Signal SWEEP, and now and then."""

    def __init__(
        self,
        store: Store,
        signal: Signal,
        *,
        clock: Clock,
        halted_secs: float = HALTED_SECS,
        expire_every: float = 3600.0,
    ) -> None:
        """Make it; `halted_secs`: people who wait for a trunk that was halted so long ago end as `expired`."""
        self._store = store
        self._signal = signal
        self._clock = clock
        self._halted_secs = halted_secs
        self._expire_every = min(expire_every, max(halted_secs / 4, 1.0))
        self._alarm = Alarm(clock)
        self._tasks = (
            Background("sweeper", self._sweep, clock=clock),
            Background("sweep signal", self._hear, clock=clock),
            Background("expiry", self._expire, clock=clock),
        )

    async def start(self) -> None:
        for task in self._tasks:
            await task.start()

    async def stop(self) -> None:
        for task in self._tasks:
            await task.stop()

    async def _hear(self) -> None:
        async for _ in self._signal.listen(Topic.SWEEP):
            self._alarm.ring()

    async def _sweep(self) -> None:
        while True:
            chunks = 0
            while await self._store.sweep(now=self._clock.now()):
                chunks += 1
                await self._clock.sleep(0)
            if chunks:
                log.info("decisions carried out", chunks=chunks)
                await self._signal.ring(Topic.WORK)
            await self._alarm.wait(at_most=IDLE_SECS)

    async def _expire(self) -> None:
        while True:
            now = self._clock.now()
            expired = await self._store.expire(halted_before=now - self._halted_secs, now=now)
            if expired:
                log.warning("waiting people expired with their halted trunk", recipients=expired)
            await self._clock.sleep(self._expire_every)
