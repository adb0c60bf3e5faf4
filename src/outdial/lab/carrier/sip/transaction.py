"""Answers, and requests of ours, that are said until they are heard (RFC 3261 17, 13.3.1.4; RFC 6026)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from outdial.lab.carrier.sip.transport import Path


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds, as RFC 3261 has them (17.1.1.1)."""

    t1: float = 0.5
    """There and back, as far as is known."""
    t2: float = 4.0
    """The longest wait between two of the same."""
    t4: float = 5.0
    """How long a message may stay on its way."""

    @property
    def all(self) -> float:
        """After so long nobody is waited for any more."""
        return 64 * self.t1


class Repeated:
    """Something that is said again after T1, 2 T1, 4 T1, … at most T2, until it is heard or 64 T1 are over."""

    def __init__(self, say: Callable[[], None], timers: Timers, gave_up: Callable[[], None]) -> None:
        self._say = say
        self._timers = timers
        self._wait = timers.t1
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = self._loop.call_later(self._wait, self._again)
        self._last = self._loop.call_later(timers.all, self._give_up, gave_up)

    def _again(self) -> None:
        self._wait = min(2 * self._wait, self._timers.t2)
        self._next = self._loop.call_later(self._wait, self._again)
        self._say()

    def _give_up(self, gave_up: Callable[[], None]) -> None:
        self.stop()
        gave_up()

    def stop(self) -> None:
        """It was heard; may be called twice."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._last.cancel()


class Transaction:
    """One request of a caller, and our answers to it."""

    def __init__(self, path: Path, timers: Timers, *, invite: bool, over: Callable[[], None]) -> None:
        self.path = path
        self._timers = timers
        self._invite = invite
        self._over = over
        self._last = b""
        self._again: Repeated | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = False
        """The ACK of a refusal came."""
        self.code = 0
        """The final one, 0 before."""

    def reply(self, code: int, response: bytes) -> None:
        """Answer; nothing follows a final answer."""
        if self.code:
            return
        self._last = response
        self.repeat()
        if code >= 200:
            self.code = code
            self._finish(code)

    def _finish(self, code: int) -> None:
        if self._invite and code >= 300:
            if not self.path.reliable:
                self._again = Repeated(self.repeat, self._timers, lambda: None)  # timer G
            self._end_after(self._timers.all)  # timer H
        elif self._invite:
            self._end_after(self._timers.all)  # timer L; the 200 is repeated by the dialog (13.3.1.4)
        else:
            self._end_after(0 if self.path.reliable else self._timers.all)  # timer J

    def repeat(self) -> None:
        """The request came again: so does the last answer."""
        if self._last:
            self.path.send(self._last)

    def acknowledged(self) -> None:
        """The ACK of a refusal came."""
        if self._invite and self.code >= 300 and not self._heard:
            self._heard = True
            if self._again is not None:
                self._again.stop()
            self._end_after(0 if self.path.reliable else self._timers.t4)  # timer I

    def _end_after(self, secs: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(secs, self._end)

    def _end(self) -> None:
        self.close()
        self._over()

    def close(self) -> None:
        """Stop every timer; may be called twice."""
        if self._again is not None:
            self._again.stop()
        if self._timer is not None:
            self._timer.cancel()


class Asking:
    """A request of ours that is no INVITE (RFC 3261 17.1.2): said until somebody answers."""

    def __init__(self, request: bytes, path: Path, timers: Timers, over: Callable[[], None]) -> None:
        self._over = over
        self._again: Repeated | None = None
        self._last: asyncio.TimerHandle | None = None
        path.send(request)
        if path.reliable:
            self._last = asyncio.get_running_loop().call_later(timers.all, over)  # timer F
        else:
            self._again = Repeated(lambda: path.send(request), timers, over)  # timers E and F

    def answered(self, code: int) -> None:
        """A response came."""
        if code >= 200:
            self.close()
            self._over()

    def close(self) -> None:
        """Stop every timer; may be called twice."""
        if self._again is not None:
            self._again.stop()
        if self._last is not None:
            self._last.cancel()
