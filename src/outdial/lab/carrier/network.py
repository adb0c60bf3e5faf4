"""Calls in the network: how they ring, are answered and end, and who is told."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

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
from outdial.lab.carrier.report import Reporter

LONGEST_GREETING = 2_000
"""Characters that are kept of what the agent says first."""


class Placing(msgspec.Struct):
    """The body of `place`."""

    call_key: str
    number: str
    callback_url: str
    callback_secret: str
    caller: str = ""
    ring_secs: float = 60.0
    talk_secs: float = 600.0
    greeting: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """The network took the call."""

    call_id: str
    quirk: Quirk


@dataclass(frozen=True, slots=True)
class HungUp:
    """What a hang-up did."""

    ended: int
    live: int


@dataclass(slots=True, eq=False)
class _Live:
    """A call that is not over: with whom to tell, and what happens next."""

    call: Call
    ending: Ending
    quirk: Quirk
    url: str
    secret: str
    ring_limit: float
    talk_limit: float
    timer: asyncio.Handle | None = None
    held: list[Report] = field(default_factory=list)
    """Reports that wait for the end (quirk 0902)."""


class Network:
    """All calls of this process."""

    def __init__(self, journal: Journal, reporter: Reporter, *, ring_secs: float, talk_secs: float) -> None:
        self._journal = journal
        self._reporter = reporter
        self._ring_secs = ring_secs
        self._talk_secs = talk_secs
        self._run = secrets.token_hex(4)
        self._live: dict[str, list[_Live]] = {}
        self._over: dict[str, bytes] = {}
        self._throttled: dict[str, int] = {}
        self._encode = msgspec.json.Encoder().encode
        self.placed = 0

    @property
    def live(self) -> int:
        """Call keys that ring or talk now."""
        return len(self._live)

    def place(self, order: Placing) -> Placed | None:
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
        live = _Live(
            call,
            behaviour,
            what_else,
            url=order.callback_url,
            secret=order.callback_secret,
            ring_limit=order.ring_secs,
            talk_limit=order.talk_secs,
        )
        self._live.setdefault(order.call_key, []).append(live)
        self._note("dialled", call)
        self._after(0, self._reach_phone, live)
        return Placed(call.call_id, what_else)

    def hang_up(self, call_key: str, *, even_if_answered: bool) -> HungUp | None:
        """End what that key has under way; None: the key is unknown."""
        if call_key not in self._live and call_key not in self._over:
            return None
        ended = 0
        for live in list(self._live.get(call_key, ())):
            if live.call.answered_at is None:
                self._end(live, GIVEN_UP)
            elif even_if_answered:
                self._end(live, HUNG_UP_BY_CALLER)
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

    def _reach_phone(self, live: _Live) -> None:
        if not live.ending.rings:
            self._end(live, live.ending.cause)
            return
        self._tell(live, live.call.ringing(time.time()))
        if live.ring_limit < self._ring_secs:
            self._after(live.ring_limit, self._end, live, RING_LIMIT)
        elif live.ending.answers:
            self._after(self._ring_secs, self._answer, live)
        else:
            self._after(self._ring_secs, self._end, live, live.ending.cause)

    def _answer(self, live: _Live) -> None:
        report = live.call.answered(time.time())
        self._note("answered", live.call)
        self._tell(live, report)
        if live.talk_limit < self._talk_secs:
            self._after(live.talk_limit, self._end, live, TIME_LIMIT)
        else:
            self._after(self._talk_secs, self._end, live, live.ending.cause)

    def _end(self, live: _Live, cause: Cause) -> None:
        if live.timer is not None:
            live.timer.cancel()
            live.timer = None
        report = live.call.ended(time.time(), cause)
        self._forget(live)
        self._note("ended", live.call)
        self._tell(live, report)

    def _forget(self, live: _Live) -> None:
        """The call is over: only its packed course stays."""
        key = live.call.call_key
        others = self._live[key]
        others.remove(live)
        if not others:
            del self._live[key]
        self._over[key] = self._over.get(key, b"") + pack(live.call)

    def _tell(self, live: _Live, report: Report) -> None:
        match live.quirk:
            case Quirk.SILENT if live.call.answered_at is not None and report.event != "answered":
                return
            case Quirk.REVERSED:
                live.held.append(report)
                if report.event == "ended":
                    twice = [again for held in reversed(live.held) for again in (held, held)]
                    self._send_in_turn(live, twice)
            case _:
                self._reporter.post(live.url, live.secret, self._encode(report))

    def _send_in_turn(self, live: _Live, reports: list[Report]) -> None:
        """Each after the one before was delivered or given up, so that they arrive in this order."""
        if reports:
            first, *rest = reports
            then: Callable[[], None] = lambda: self._send_in_turn(live, rest)  # noqa: E731 - it binds `rest`
            self._reporter.post(live.url, live.secret, self._encode(first), done=then)

    def _note(self, event: str, call: Call) -> None:
        self._journal.write(event, number=call.number, call_key=call.call_key, nth=call.nth)

    def _after(self, secs: float, step: Callable[..., None], live: _Live, *args: Cause) -> None:
        loop = asyncio.get_running_loop()
        live.timer = loop.call_later(secs, step, live, *args) if secs > 0 else loop.call_soon(step, live, *args)
