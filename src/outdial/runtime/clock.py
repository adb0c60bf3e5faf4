"""The clock: the only place that reads the machine's time."""

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What everyone asks for the time."""

    def now(self) -> float:
        """Unix seconds, UTC. It may jump when the machine's clock is set."""
        ...

    def utc(self) -> datetime:
        """The same instant as an aware datetime in UTC."""
        ...

    def boottime(self) -> float:
        """CLOCK_BOOTTIME in seconds: never jumps, goes on while the machine sleeps, the same for all its processes."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; nothing or less lets others run once."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def utc(self) -> datetime:
        return datetime.now(UTC)

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))


class ManualClock:
    """A clock for tests: time passes only when told to."""

    def __init__(self, now: float = 1_700_000_000.0, *, boottime: float = 1_000.0) -> None:
        self._boottime = boottime
        self._offset = now - boottime
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._boottime + self._offset

    def utc(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def boottime(self) -> float:
        return self._boottime

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._boottime + seconds, next(self._order), woken))
        await woken

    @property
    def sleeping(self) -> int:
        """How many wait on this clock."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let time pass; whoever is due wakes in order, and runs until it waits again, at its own instant."""
        until = self._boottime + seconds
        await breathe()  # who is about to sleep begins to before time moves
        while self._sleepers and self._sleepers[0][0] <= until:
            due_at, _, woken = heapq.heappop(self._sleepers)
            self._boottime = max(self._boottime, due_at)
            if not woken.done():
                woken.set_result(None)
                await breathe()
        self._boottime = max(self._boottime, until)

    def pass_by(self, seconds: float) -> None:
        """Let time pass without waking anybody: for code that does not sleep."""
        self._boottime += seconds

    def set_wall(self, now: float) -> None:
        """Set the wall clock as an operator does, forwards or backwards; sleepers don't notice."""
        self._offset = now - self._boottime


async def breathe(turns: int = 10) -> None:
    """Give tasks that are ready some turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
