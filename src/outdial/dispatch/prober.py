"""Asking halted trunks whether they are there, so that people who mend something see when it helped.

What they answer is told, and nothing else: dialling is resumed by people, or by a changed setting. A trunk that is not
halted is never asked: its calls tell.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from outdial.ports.provider import Reach
from outdial.ports.store import NumberRow, Store
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger
from outdial.runtime.service import Background

PROBE_SECS = 60.0
LOOKS = 4
"""How often it looks for a halted trunk within that time."""

LEAST_SECS = 0.25

Ask = Callable[[NumberRow], Coroutine[Any, Any, Reach]]
"""Asks the network of a number; raises nothing."""

log = get_logger()


class Prober:
    """A service: each halted trunk is asked every `every` seconds, by one node; 0: never."""

    def __init__(self, store: Store, asks: Mapping[str, Ask], *, clock: Clock, every: float = PROBE_SECS) -> None:
        """Make it; `asks`: by provider, for those that can be asked."""
        self._store = store
        self._asks = asks
        self._clock = clock
        self._every = every
        self._task = Background("prober", self._look, clock=clock)

    async def start(self) -> None:
        if self._every and self._asks:
            await self._task.start()

    async def stop(self) -> None:
        await self._task.stop()

    async def _look(self) -> None:
        while True:
            now = self._clock.now()
            for_now = await self._store.probes_due(tuple(self._asks), before=now - self._every, now=now)
            await asyncio.gather(*(self._probe(number) for number in for_now))
            await self._clock.sleep(max(LEAST_SECS, self._every / LOOKS))

    async def _probe(self, number: NumberRow) -> None:
        reach = await self._asks[number.provider](number)
        log.info("halted trunk was asked", number=number.public_id, there=reach.there, took_ms=reach.took_ms)
        await self._store.note_probe(number.trunk, reach.says, now=self._clock.now())
