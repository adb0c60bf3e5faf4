"""Small writes that go on while something big does: one call after the other, and how long each step waited."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from outdial.domain.call import CallEvent, EventKind
from outdial.domain.outcome import Ending, Outcome
from outdial.lab.bench.ground import Ground
from outdial.ports.store import BatchRow, ClaimWish, GoRequest, NodeLease

PEOPLE = 20_000
PAUSE_SECS = 0.002


class HotWrites:
    """Claims, permits and settles calls of a list of its own, one at a time."""

    def __init__(self, ground: Ground, batch: BatchRow, lease: NodeLease) -> None:
        self._ground = ground
        self._batch = batch
        self._lease = lease
        self.waits: list[float] = []
        """Seconds of each write, from the question to the answer."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.one()
            await asyncio.sleep(PAUSE_SECS)

    async def one(self) -> None:
        store, now = self._ground.store, time.time()
        wish = ClaimWish(self._batch.id, 1, (0,))
        (answer,) = await self._timed(store.claim(self._lease, [wish], now=now))
        for claimed in answer.claimed:
            request = GoRequest(claimed.call_key, self._batch.id, claimed.generation, True, now + 30, 60, 600, 5)  # noqa: FBT003 - the window is open
            await self._timed(store.go(self._lease, request, now=now))
            ended = CallEvent(claimed.call_key, EventKind.ENDED, now, ending=Ending(Outcome.COMPLETED))
            await self._timed(store.take([ended], now=now))

    async def _timed(self, asked: Any) -> Any:  # noqa: ANN401 - an awaitable and its answer
        began = time.perf_counter()
        answer = await asked
        self.waits.append(time.perf_counter() - began)
        return answer


@asynccontextmanager
async def hot_writes(ground: Ground) -> AsyncIterator[HotWrites]:
    """They go on inside; a first call is over before."""
    lease = await ground.store.register_node("bench", now=time.time())
    hot = HotWrites(ground, await ground.submit(PEOPLE), lease)
    for _ in range(50):
        await hot.one()
    hot.waits.clear()
    running = asyncio.create_task(hot.run())
    try:
        yield hot
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds: the median, the 99th percentile, the longest."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {
        "n": len(ordered),
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
        "p99_ms": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000, 2),
        "max_ms": round(ordered[-1] * 1000, 2),
    }
