"""What wakes a loop: somebody who rings, or an instant that has come."""

import asyncio
import math

from outdial.runtime.clock import Clock


class Alarm:
    """One loop waits on it; anybody may ring it or set it. Rings while nobody waits are kept, several become one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = False
        self._due_at = math.inf
        self._changed = asyncio.Event()

    def ring(self) -> None:
        """Wake the loop now."""
        self._rung = True
        self._changed.set()

    def at(self, when: float) -> None:
        """Wake the loop at this time (unix seconds), if nothing does so before."""
        if when < self._due_at:
            self._due_at = when
            self._changed.set()

    async def wait(self, *, at_most: float) -> bool:
        """Until it rings, is due, or `at_most` seconds are over; whether it rang or was due."""
        until = self._clock.boottime() + at_most
        while True:
            if self._rung or self._due_at <= self._clock.now():
                self._rung, self._due_at = False, math.inf
                return True
            left = min(until - self._clock.boottime(), self._due_at - self._clock.now())
            if left <= 0:
                return False
            self._changed.clear()
            await self._changed_or(left)

    async def _changed_or(self, seconds: float) -> None:
        changed = asyncio.ensure_future(self._changed.wait())
        slept = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({changed, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            slept.cancel()
