"""The phone providers of this node: their call workers, started together, and the calls that are up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from outdial.app.pool import PoolSettings, WorkerPool
from outdial.calls.network import Network
from outdial.domain.call import CallEvent, EventKind
from outdial.ports.lines import CallOrder, Lines, Sighting
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger

LOOK_OVER_SECS = 60.0
"""So long after a call must be over we believe that it is: its end may have been told to another node."""
LOOK_OVER_FROM = 1_000
POLL_SECS = 0.5
"""How often a stopping node asks the store for its calls: their ends may be told to other nodes."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Crew:
    """A provider's call workers."""

    up: int
    """That take orders."""
    wanted: int
    restarts: int


class Phones:
    """A Service; `networks` fills when it has started."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pools: dict[str, WorkerPool] = {}
        self._up: dict[str, float] = {}
        """Calls that may be up, each with the boottime at which it must be over."""
        self._look_over_from = LOOK_OVER_FROM
        self.changed = asyncio.Event()
        """Set when the last call that is up has ended."""
        self.networks: dict[str, Network] = {}
        """By provider."""

    @property
    def calls(self) -> int:
        """How many calls may be up."""
        return len(self._up)

    def crews(self) -> dict[str, Crew]:
        """The call workers of each provider in use."""
        return {name: Crew(pool.up, pool.wanted, pool.restarts) for name, pool in self._pools.items()}

    def add(self, settings: PoolSettings) -> WorkerPool:
        """A provider's workers; before `start`."""
        pool = self._pools[settings.provider] = WorkerPool(settings, clock=self._clock)
        return pool

    async def start(self) -> None:
        for name, pool in self._pools.items():
            await pool.start()
            if pool.traits is not None:
                self.networks[name] = Network(Noted(pool.lines, self), pool.traits, pool.capacity)

    async def stop(self) -> None:
        await asyncio.gather(*(pool.stop() for pool in self._pools.values()))

    def placed(self, order: CallOrder) -> None:
        """The call may be up from now on."""
        self._up[order.call_key] = order.send_by + order.ring_secs + order.talk_secs + LOOK_OVER_SECS
        if len(self._up) >= self._look_over_from:
            now = self._clock.boottime()
            self._up = {key: over_at for key, over_at in self._up.items() if over_at > now}
            self._look_over_from = max(LOOK_OVER_FROM, 2 * len(self._up))

    def over(self, call_key: str) -> None:
        """The call is over: no worker needs to give it up when the node stops."""
        self._up.pop(call_key, None)
        if not self._up:
            self.changed.set()
        for pool in self._pools.values():
            pool.forget(call_key)


class Noted:
    """Lines that note which calls were placed, so that a stop can wait for them."""

    def __init__(self, lines: Lines, phones: Phones) -> None:
        self._lines = lines
        self._phones = phones

    async def start(self, order: CallOrder) -> AsyncIterator[CallEvent]:
        self._phones.placed(order)
        async for event in self._lines.start(order):
            if event.kind in {EventKind.UNSENT, EventKind.THROTTLED, EventKind.ENDED}:
                self._phones.over(order.call_key)
            yield event

    async def hang_up(self, call_key: str, *, even_if_answered: bool, order: CallOrder | None = None) -> None:
        await self._lines.hang_up(call_key, even_if_answered=even_if_answered, order=order)

    async def look_up(self, call_key: str, *, order: CallOrder | None = None) -> Sighting | None:
        return await self._lines.look_up(call_key, order=order)


class Drain:
    """A Service that does its work when it stops: nobody new is dialled any more, and calls that are up may end."""

    def __init__(
        self,
        phones: Phones,
        *,
        clock: Clock,
        within_secs: float,
        hurry: asyncio.Event,
        left: Callable[[], Awaitable[int | None]],
    ) -> None:
        """Make it; `left`: how many calls of this node are not over, as the store has it, None where it can't say.

        `hurry` ends the waiting: somebody asked a second time.
        """
        self._phones = phones
        self._clock = clock
        self._within_secs = within_secs
        self._hurry = hurry
        self._left = left

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        until = self._clock.boottime() + self._within_secs
        told = False
        while calls := await self._calls():
            left = until - self._clock.boottime()
            if left <= 0 or self._hurry.is_set():
                log.warning("calls are still up and are ended now", calls=calls)
                return
            if not told:
                log.info("calls that are up may end", calls=calls, within_s=round(left, 1))
                told = True
            await self._wait(min(left, POLL_SECS))

    async def _calls(self) -> int:
        self._phones.changed.clear()
        known = await self._left()
        return self._phones.calls if known is None else known

    async def _wait(self, seconds: float) -> None:
        """Until something may have changed, or the time is over."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._phones.changed, self._hurry)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
