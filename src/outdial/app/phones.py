"""The phone providers of this node: their call workers, started together, and the calls that are up."""

import asyncio
from collections.abc import AsyncIterator

from outdial.app.pool import PoolSettings, WorkerPool
from outdial.calls.network import Network
from outdial.domain.call import CallEvent, EventKind
from outdial.ports.lines import CallOrder, Lines, Sighting
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger

log = get_logger()


class Phones:
    """A Service; `networks` fills when it has started."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pools: dict[str, WorkerPool] = {}
        self._up: set[str] = set()
        self._ended = asyncio.Event()
        self.networks: dict[str, Network] = {}
        """By provider."""

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

    def placed(self, call_key: str) -> None:
        """The call may be up from now on."""
        self._up.add(call_key)

    def over(self, call_key: str) -> None:
        """The call is over: no worker needs to give it up when the node stops."""
        self._up.discard(call_key)
        if not self._up:
            self._ended.set()
        for pool in self._pools.values():
            pool.forget(call_key)

    async def quiet(self, within_secs: float) -> int:
        """Wait until no call of this node is up, but not longer; how many still are."""
        try:
            async with asyncio.timeout(within_secs):
                while self._up:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            log.warning("calls are still up and are ended now", calls=len(self._up))
        return len(self._up)


class Noted:
    """Lines that note which calls were placed, so that a stop can wait for them."""

    def __init__(self, lines: Lines, phones: Phones) -> None:
        self._lines = lines
        self._phones = phones

    async def start(self, order: CallOrder) -> AsyncIterator[CallEvent]:
        self._phones.placed(order.call_key)
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

    def __init__(self, phones: Phones, *, within_secs: float) -> None:
        self._phones = phones
        self._within_secs = within_secs

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        await self._phones.quiet(self._within_secs)
