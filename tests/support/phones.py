"""SIP lines in this process, and talks that note what they hear."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from outdial.domain.call import CallEvent, EventKind, Utterance
from outdial.ports.blobs import Blobs
from outdial.ports.lines import CallOrder
from outdial.ports.voice import Audio, Heard, HungUp, Key, Leg, Talk, Talker, TalkResult
from outdial.runtime.clock import SystemClock
from outdial.runtime.ids import new_call_key
from tests.media.test_codec import power_at

CLOCK = SystemClock()
CALLER = "+493099990000"


def order(
    address: str,
    number: str = "+493012345678",
    *,
    within: float = 2.0,
    ring_secs: float = 30.0,
    talk_secs: float = 60.0,
    first_message: str = "Hello, this is Outdial.",
    variables: dict[str, Any] | None = None,
    **trunk: Any,
) -> CallOrder:
    return CallOrder(
        call_key=new_call_key(),
        number=number,
        caller=CALLER,
        provider="sip_trunk",
        trunk={"outbound_trunk_config": {"address": address, "transport": "udp", **trunk}},
        agent={"conversation_config": {"agent": {"first_message": first_message}}},
        variables=variables or {},
        ring_secs=ring_secs,
        talk_secs=talk_secs,
        send_by=CLOCK.boottime() + within,
        callback_url="",
        callback_secret="",
    )


class NotingTalk:
    """Does what it is told with the leg, and notes what it hears until that is done, or the person hangs up.

    With `until` the doing alone is no end: that must be heard.
    """

    def __init__(self, act: Callable[[Leg], Any], until: Heard | None = None) -> None:
        self._act = act
        self._until = until
        self.keys = ""
        self.heard = bytearray()
        self.rate = 0
        self.dropped = False

    async def run(self, leg: Leg) -> None:
        self.rate = leg.rate
        acting = asyncio.ensure_future(self._do(leg))
        try:
            while not acting.done() or self._until is not None:
                hearing = asyncio.ensure_future(leg.recv())
                ends = {hearing} if self._until is not None else {acting, hearing}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if not hearing.done():
                    hearing.cancel()
                    return
                match hearing.result():
                    case HungUp():
                        return
                    case end if end == self._until:
                        return
                    case Key(digit):
                        self.keys += digit
                    case Audio(pcm):
                        self.heard += pcm
        finally:
            acting.cancel()

    async def _do(self, leg: Leg) -> None:
        await self._act(leg)

    def result(self) -> TalkResult:
        return TalkResult((Utterance("agent", "noted"),), self.keys)

    def drop(self) -> None:
        self.dropped = True


class NotingTalker:
    """A `Talker` whose talks all do the same."""

    def __init__(self, act: Callable[[Leg], Any] | None = None, until: Heard | None = None) -> None:
        self._act = act or _listen
        self._until = until
        self.talks: list[NotingTalk] = []

    async def open(self) -> None:
        pass

    def prepare(self, order: CallOrder, rates: Sequence[int]) -> Talk:
        self.talks.append(NotingTalk(self._act, self._until))
        return self.talks[-1]

    async def close(self) -> None:
        pass


async def _listen(_leg: Leg) -> None:
    await asyncio.sleep(3600)


def clearest(pcm: bytes, hertz: int, rate: int) -> float:
    """How much of the clearest quarter of a second is this tone: a loaded machine tears gaps, which make no tone."""
    size = rate // 4 * 2
    pieces = (pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size))
    return max((power_at(piece, hertz, rate) for piece in pieces if any(piece)), default=0.0)


def saying_nothing_for(seconds: float) -> NotingTalker:
    async def act(_leg: Leg) -> None:
        await asyncio.sleep(seconds)

    return NotingTalker(act)


@asynccontextmanager
async def sip_lines(talker: Talker | None = None, blobs: Blobs | None = None, **settings: Any) -> AsyncIterator[Any]:
    """The lines of one call worker; there can be one stack a process."""
    from outdial.telephony.sip.client import SipLines
    from outdial.telephony.sip.config import read

    lines = SipLines(read({"interface": "127.0.0.1", **settings}))
    if talker is not None:
        lines.talk_with(talker, blobs)
    await lines.open()
    try:
        yield lines
    finally:
        await lines.close()


async def course(lines: Any, given: CallOrder, within: float = 30.0) -> list[CallEvent]:
    """Everything that is reported of one call."""
    async with asyncio.timeout(within):
        return [event async for event in lines.start(given)]


class Following:
    """A call under way, and its events so far."""

    def __init__(self, lines: Any, given: CallOrder) -> None:
        self.order = given
        self.events: list[CallEvent] = []
        self._lines = lines
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._follow())

    async def _follow(self) -> list[CallEvent]:
        async for event in self._lines.start(self.order):
            self.events.append(event)
            self._news.set()
        return self.events

    async def until(self, kind: EventKind, within: float = 10.0) -> None:
        async with asyncio.timeout(within):
            while all(event.kind is not kind for event in self.events):
                self._news.clear()
                await self._news.wait()

    async def over(self, within: float = 20.0) -> list[CallEvent]:
        async with asyncio.timeout(within):
            return await self.task
