"""Where every report about a call arrives, from workers, callbacks and look-ups, and what follows from it."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from outdial.calls.alarm import Alarm
from outdial.domain.attempt import AttemptState
from outdial.domain.backoff import backoff
from outdial.domain.call import CallEvent
from outdial.ports.meters import UNMETERED, Meters
from outdial.ports.signal import Signal, Topic
from outdial.ports.store import Store, Taken
from outdial.runtime.clock import Clock
from outdial.runtime.failpoint import reach
from outdial.runtime.log import get_logger
from outdial.runtime.service import Background

RING_GAP_SECS = 0.02
"""Freed slots within this time wake the dispatchers once."""
_OVER = frozenset({AttemptState.ENDED, AttemptState.VOID, AttemptState.UNKNOWN})

log = get_logger()


class Intake:
    """Gives reports to the store, which settles, and acts on what they did."""

    def __init__(
        self,
        store: Store,
        signal: Signal,
        *,
        clock: Clock,
        checks: Alarm,
        give_up: Callable[[int], None],
        over: Callable[[str], None],
        meters: Meters = UNMETERED,
    ) -> None:
        """Make it; `give_up` is told the batch of a call that a cancel wants ended, `over` which call ended."""
        self._store = store
        self._signal = signal
        self._clock = clock
        self._checks = checks
        self._give_up = give_up
        self._over = over
        self.meters = meters
        """Calls are counted where their reports are kept."""
        self._freed = asyncio.Event()
        self._bell = Background("freed slots", self._ring, clock=clock)

    async def start(self) -> None:
        await self._bell.start()

    async def stop(self) -> None:
        await self._bell.stop()

    async def take(self, events: Sequence[CallEvent]) -> list[Taken]:
        """Keep these reports and act on them; raises when the store can't: then nothing happened."""
        if not events:
            return []
        reach("before_settle")
        taken = await self._store.take(events, now=self._clock.now())
        for one in taken:
            self._react(one)
        return taken

    async def keep(self, events: Sequence[CallEvent]) -> list[Taken]:
        """As `take`, for those who can't come again: repeated until the store takes them."""
        tries = 0
        while True:
            try:
                return await self.take(events)
            except Exception:
                log.exception("reports could not be kept yet", calls=[event.call_key for event in events], tries=tries)
            await self._clock.sleep(backoff(tries) / 4)
            tries += 1

    def _react(self, taken: Taken) -> None:
        if taken.freed or taken.tried or taken.finished_batch:
            self._freed.set()
        if taken.doubtful:
            self._checks.ring()
        if taken.give_up:
            self._give_up(taken.batch_id)
        if taken.state in _OVER:
            self._over(taken.call_key)
        if taken.outcome is not None:
            self.meters.call_ended(taken.provider, taken.outcome)
        if taken.was_unknown:
            self.meters.truth_came_late(taken.provider)

    async def _ring(self) -> None:
        while True:
            await self._freed.wait()
            self._freed.clear()
            with contextlib.suppress(ConnectionError):  # a lost ring costs time only
                await self._signal.ring(Topic.WORK)
            await self._clock.sleep(RING_GAP_SECS)
