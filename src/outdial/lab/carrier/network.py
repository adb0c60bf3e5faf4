"""Calls in the network: how they ring, are answered and end. Whoever placed one, at whichever front, is told."""

import asyncio
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from outdial.lab.carrier.course import Call, Course, Report, pack, unpack
from outdial.lab.carrier.endings import (
    GIVEN_UP,
    HUNG_UP_BY_CALLER,
    RING_LIMIT,
    THROTTLES,
    TIME_LIMIT,
    Cause,
    Ending,
    Quirk,
    ending,
    quirk,
)
from outdial.lab.carrier.journal import Journal

LONGEST_GREETING = 2_000
"""Characters that are kept of what the agent says first."""


class Caller(Protocol):
    """Who placed a call."""

    def tell(self, report: Report) -> None:
        """Something happened in it."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """A call that somebody wants, however it was said."""

    call_key: str
    number: str
    """E.164."""
    greeting: str = ""
    """What the caller's agent says first, where that is known."""
    ring_secs: float = math.inf
    """The caller's ring limit."""
    talk_secs: float | None = math.inf
    """The caller's longest call; None: its front says when the talk is over, by `end`."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """What a hang-up did."""

    ended: int
    live: int


@dataclass(slots=True, eq=False)
class Live:
    """A call that is not over: whom to tell, and what happens next."""

    call: Call
    order: Order
    caller: Caller
    ending: Ending
    quirk: Quirk
    timer: asyncio.Handle | None = None


class Network:
    """All calls of this process."""

    def __init__(self, journal: Journal, *, ring_secs: float, talk_secs: float) -> None:
        self._journal = journal
        self._ring_secs = ring_secs
        self._talk_secs = talk_secs
        self._run = secrets.token_hex(4)
        self._live: dict[str, list[Live]] = {}
        self._over: dict[str, bytes] = {}
        self._throttled: dict[str, int] = {}
        self.placed = 0

    @property
    def live(self) -> int:
        """Call keys that ring or talk now."""
        return len(self._live)

    def place(self, order: Order, caller: Caller) -> Live | None:
        """Dial; None: throttled, and nothing was dialled. What follows never happens before this returns."""
        what_else = quirk(order.number)
        if what_else is Quirk.THROTTLED and self._throttle(order.number):
            return None
        digits = int(order.number)
        nth = self._journal.nth[digits] = self._journal.nth.get(digits, 0) + 1
        self.placed += 1
        behaviour = ending(order.number, nth)
        call = Call(
            call_key=order.call_key,
            run=self._run,
            seq=self.placed,
            number=order.number,
            nth=nth,
            greeting=order.greeting[:LONGEST_GREETING],
            machine=behaviour.machine,
            placed_at=time.time(),
        )
        live = Live(call, order, caller, behaviour, what_else)
        self._live.setdefault(order.call_key, []).append(live)
        self._note("dialled", call)
        self._after(0, self._reach_phone, live)
        return live

    def hang_up(self, call_key: str, *, even_if_answered: bool) -> HungUp | None:
        """End what that key has under way; None: the key is unknown."""
        if call_key not in self._live and call_key not in self._over:
            return None
        ended = 0
        for live in list(self._live.get(call_key, ())):
            if live.call.answered_at is None:
                self.end(live, GIVEN_UP)
            elif even_if_answered:
                self.end(live, HUNG_UP_BY_CALLER)
            else:
                continue
            ended += 1
        return HungUp(ended=ended, live=len(self._live.get(call_key, ())))

    def look_up(self, call_key: str) -> list[Course]:
        """Every call of that key, in the order in which they were placed."""
        calls = list(unpack(call_key, self._run, self._over.get(call_key, b"")))
        calls += [live.call for live in self._live.get(call_key, ())]
        return [call.course() for call in sorted(calls, key=lambda call: call.seq)]

    def _throttle(self, number: str) -> bool:
        times = self._throttled.get(number, 0)
        if times < THROTTLES:
            self._throttled[number] = times + 1
        return times < THROTTLES

    def end(self, live: Live, cause: Cause) -> None:
        """The call is over; one that is already stays as it is."""
        if live.call.ended_at is not None:
            return
        if live.timer is not None:
            live.timer.cancel()
            live.timer = None
        report = live.call.ended(time.time(), cause)
        self._forget(live)
        self._note("ended", live.call)
        live.caller.tell(report)

    def _reach_phone(self, live: Live) -> None:
        if not live.ending.rings:
            self.end(live, live.ending.cause)
            return
        live.caller.tell(live.call.ringing(time.time()))
        if live.call.ended_at is not None:  # whoever was told could not go on
            return
        if live.order.ring_secs < self._ring_secs:
            self._after(live.order.ring_secs, self.end, live, RING_LIMIT)
        elif live.ending.answers:
            self._after(self._ring_secs, self._answer, live)
        else:
            self._after(self._ring_secs, self.end, live, live.ending.cause)

    def _answer(self, live: Live) -> None:
        report = live.call.answered(time.time())
        self._note("answered", live.call)
        live.timer = None
        longest = live.order.talk_secs
        if longest is not None and longest < self._talk_secs:
            self._after(longest, self.end, live, TIME_LIMIT)
        elif longest is not None:
            self._after(self._talk_secs, self.end, live, live.ending.cause)
        live.caller.tell(report)

    def _forget(self, live: Live) -> None:
        """The call is over: only its packed course stays."""
        key = live.call.call_key
        others = self._live[key]
        others.remove(live)
        if not others:
            del self._live[key]
        self._over[key] = self._over.get(key, b"") + pack(live.call)

    def _note(self, event: str, call: Call) -> None:
        self._journal.write(event, number=call.number, call_key=call.call_key, nth=call.nth)

    def _after(self, secs: float, step: Callable[..., None], live: Live, *args: Cause) -> None:
        loop = asyncio.get_running_loop()
        live.timer = loop.call_later(secs, step, live, *args) if secs > 0 else loop.call_soon(step, live, *args)
