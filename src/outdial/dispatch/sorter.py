"""Looking up the zones of people who were listed before their workspace had calling hours, off the event loop."""

import asyncio
from collections.abc import Sequence

from outdial.calls.alarm import Alarm
from outdial.domain.number import zones
from outdial.domain.window import NOWHERE, window_class_key
from outdial.ports.store import BatchRow, Store, Unsorted
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger
from outdial.runtime.service import Background

PAGE = 500
"""People in one step: about 50 ms in a thread of their own."""
IDLE_SECS = 60.0

log = get_logger()


class Sorter:
    """A service: gives waiting people their window class, batch after batch; nobody is called before he has one."""

    def __init__(self, store: Store, *, clock: Clock, work: Alarm) -> None:
        """Make it; `work` is rung whenever somebody may be due in a new class."""
        self._store = store
        self._clock = clock
        self._work = work
        self._wanted: dict[int, BatchRow] = {}
        self._alarm = Alarm(clock)
        self._task = Background("sorter", self._run, clock=clock)

    async def start(self) -> None:
        await self._task.start()

    async def stop(self) -> None:
        await self._task.stop()

    def want(self, batch: BatchRow) -> None:
        """Sort this batch soon; asking again while it is being sorted changes nothing."""
        if batch.id not in self._wanted:
            self._wanted[batch.id] = batch
            self._alarm.ring()

    async def _run(self) -> None:
        while True:
            while self._wanted:
                batch = next(iter(self._wanted.values()))
                people = 0
                try:
                    while n := await self._page(batch):
                        people += n
                finally:
                    self._wanted.pop(batch.id, None)
                log.info("zones looked up", batch=batch.public_id, recipients=people)
            await self._alarm.wait(at_most=IDLE_SECS)

    async def _page(self, batch: BatchRow) -> int:
        people = await self._store.unsorted(batch.id, limit=PAGE)
        if people:
            classes = await asyncio.to_thread(_classes, people, batch.timezone)
            await self._store.sort(batch.id, classes, now=self._clock.now())
            self._work.ring()
        return len(people)


def _classes(people: Sequence[Unsorted], otherwise: str | None) -> list[tuple[int, str]]:
    """Each one's window class; `otherwise` is the zone to assume for a number whose own nobody can tell."""
    return [(one.ord, window_class_key(zones(one.number)) or otherwise or NOWHERE) for one in people]
