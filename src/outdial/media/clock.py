"""The 20 ms clock of a call worker: one for all its calls, by absolute deadline, so that it never drifts."""

import asyncio
from collections.abc import Callable

from outdial.ports.voice import FRAME_SECS
from outdial.runtime.log import get_logger

LATE_SECS = FRAME_SECS
"""A tick that is more than this behind its deadline is late."""
_RESYNC_TICKS = 25
"""After a stall of half a second the missed ticks are left out: nobody wants them any more."""

log = get_logger()


class FrameClock:
    """Calls everyone who is on it 50 times a second; runs only while somebody is."""

    def __init__(self) -> None:
        self._ticks: dict[object, Callable[[], None]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.ticked = 0
        self.late = 0
        """Ticks that came more than LATE_SECS after their deadline."""

    def join(self, who: object, tick: Callable[[], None]) -> None:
        """`tick` is called every 20 ms from now on."""
        self._ticks[who] = tick
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._due = loop.time() + FRAME_SECS
            self._handle = loop.call_at(self._due, self._run)

    def leave(self, who: object) -> None:
        """Not any more; also for who never was on it."""
        self._ticks.pop(who, None)
        if not self._ticks and self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self) -> None:
        loop = asyncio.get_running_loop()
        behind = loop.time() - self._due
        self.ticked += 1
        if behind > LATE_SECS:
            self.late += 1
        for who, tick in list(self._ticks.items()):
            try:
                tick()
            except Exception:
                # the edge of one call's audio: the others go on
                log.exception("audio of a call failed")
                self._ticks.pop(who, None)
        self._due += FRAME_SECS
        if behind > _RESYNC_TICKS * FRAME_SECS:
            self._due = loop.time() + FRAME_SECS
        self._handle = loop.call_at(self._due, self._run) if self._ticks else None
