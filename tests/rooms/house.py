"""A dialling node on a real SQLite store, with phones in memory and a clock that tests move."""

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from outdial.calls.call import CallSettings
from outdial.calls.callback_keys import CallbackKeys
from outdial.calls.network import Network
from outdial.dispatch.dialler import Dialler, DiallerSettings
from outdial.domain.call import CallEvent, EventKind
from outdial.domain.outcome import Ending, Outcome
from outdial.domain.recipient import RecipientStatus
from outdial.ports.lines import CallOrder, LinesTraits, LookUpFailed, Sighting
from outdial.ports.signal import Topic
from outdial.ports.store import BatchRow, Store
from outdial.runtime.clock import ManualClock
from outdial.runtime.service import ServiceGroup
from outdial.store.signals import LocalSignal
from outdial.store.store import SqlStore, open_store
from tests.support.world import NOW, World

TRAITS = LinesTraits("loopback", can_look_up=True, horizon_secs=5.0, place_timeout_secs=10.0)
ENDINGS = {"0486": Outcome.BUSY, "0480": Outcome.UNREACHABLE, "0301": Outcome.VOICEMAIL}


class WatchedStore:
    """The real store, with every question counted."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.asked: Counter[str] = Counter()
        self.under_way = 0
        self.before: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        """What happens before a method is passed on; it may raise, or let time pass."""
        self.after: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not asyncio.iscoroutinefunction(method):
            return method

        async def watched(*args: Any, **more: Any) -> Any:
            self.asked[name] += 1
            if name in self.before:
                await self.before[name]()
            self.under_way += 1
            try:
                answer = await method(*args, **more)
            finally:
                self.under_way -= 1
            if name in self.after:
                await self.after[name]()
            return answer

        return watched


class MemoryLines:
    """Phones in memory; the last four digits say what happens, and the test can say more."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.sent: list[tuple[float, CallOrder]] = []
        self.hung_up: list[str] = []
        self.looked_up: list[str] = []
        self.known: dict[str, list[CallEvent]] = {}
        """What the network would tell of each call."""
        self.away = False
        self._given_up: dict[str, asyncio.Event] = {}
        self._ids = itertools.count()

    def keys(self, ending: str = "") -> list[str]:
        return [order.call_key for _, order in self.sent if order.number.endswith(ending)]

    def tell(self, key: str, kind: EventKind, **more: Any) -> CallEvent:
        """An event that the network knows from now on."""
        event = CallEvent(key, kind, self.clock.now(), event_id=f"m{next(self._ids)}", **more)
        self.known.setdefault(key, []).append(event)
        return event

    async def start(self, order: CallOrder) -> AsyncIterator[CallEvent]:
        key, digits = order.call_key, order.number[-4:]
        self.sent.append((self.clock.boottime(), order))
        match digits:
            case "0904":
                yield CallEvent(key, EventKind.THROTTLED, self.clock.now(), retry_after=3.0)
            case "0910":  # in doubt, and never arrived
                yield CallEvent(key, EventKind.DOUBTFUL, self.clock.now(), reason="connection_broken")
            case "0900":  # in doubt, and arrived
                self.tell(key, EventKind.RINGING)
                yield CallEvent(key, EventKind.DOUBTFUL, self.clock.now(), reason="place_timeout")
            case "0911":
                raise RuntimeError("the script says so")
            case "0903":  # no word after the answer
                self.tell(key, EventKind.RINGING)
                self.tell(key, EventKind.ANSWERED)
                yield CallEvent(key, EventKind.SENT, self.clock.now())
                yield CallEvent(key, EventKind.ANSWERED, self.clock.now())
            case "0408":  # rings until somebody gives up
                yield CallEvent(key, EventKind.SENT, self.clock.now())
                yield self.tell(key, EventKind.RINGING)
                await self._given_up.setdefault(key, asyncio.Event()).wait()
                yield self.tell(key, EventKind.ENDED, ending=Ending(Outcome.NETWORK_ERROR, "node_lost"))
            case _:
                yield CallEvent(key, EventKind.SENT, self.clock.now())
                yield self.tell(key, EventKind.ENDED, ending=Ending(ENDINGS.get(digits, Outcome.COMPLETED)))

    async def hang_up(self, call_key: str, *, even_if_answered: bool, order: CallOrder | None = None) -> None:
        self.hung_up.append(call_key)
        self._given_up.setdefault(call_key, asyncio.Event()).set()

    async def look_up(self, call_key: str, *, order: CallOrder | None = None) -> Sighting | None:
        self.looked_up.append(call_key)
        if self.away:
            raise LookUpFailed("away")
        if call_key not in self.known:
            return None
        events = tuple(self.known[call_key])
        return Sighting(events, over=events[-1].kind is EventKind.ENDED)


@dataclass
class House:
    """The node and everything around it."""

    world: World
    store: WatchedStore
    clock: ManualClock
    lines: MemoryLines
    signal: LocalSignal
    dialler: Dialler
    group: ServiceGroup = field(default_factory=lambda: ServiceGroup([]))

    async def quiet(self) -> None:
        """Until nobody has anything to do but wait for the clock."""
        still = 0
        asked = self.store.asked.copy()
        try:
            async with asyncio.timeout(10):
                while still < 25:
                    await asyncio.sleep(0)
                    if self.store.under_way:
                        still = 0
                        await asyncio.sleep(0.001)
                    else:
                        still += 1
        except TimeoutError:
            raise AssertionError(f"somebody never rests: {self.store.asked - asked}") from None

    async def pass_secs(self, seconds: float, *, step: float = 0.25) -> None:
        """Let time pass in small steps, and everybody do what is due in each."""
        for _ in range(max(1, math.ceil(seconds / step - 1e-9))):
            await self.clock.advance(min(step, seconds))
            await self.quiet()

    async def submit(self, numbers: int | list[str], **batch: Any) -> BatchRow:
        self.world.now = self.clock.now()
        row = await self.world.submit(numbers, **batch)
        await self.signal.ring(Topic.WORK)
        return row

    async def statuses(self, batch: BatchRow) -> Counter[RecipientStatus]:
        return await self.world.statuses(batch)

    async def outcomes(self, batch: BatchRow) -> Counter[Outcome | None]:
        return Counter(person.outcome for person in await self.world.people(batch))


@asynccontextmanager
async def dialling(
    tmp_path: Path,
    *,
    traits: LinesTraits = TRAITS,
    capacity: int = 1_000,
    running: bool = True,
    settings: DiallerSettings | None = None,
    number: dict[str, Any] | None = None,
    agent: dict[str, Any] | None = None,
) -> AsyncIterator[House]:
    """A node that dials; `running=False` leaves it to the test to start `house.group`."""
    url = f"sqlite:///{tmp_path}/outdial.db"
    store = open_store(url, secret="a secret of thirty-two characters")
    await store.start()
    clock = ManualClock(NOW)
    watched = WatchedStore(store)
    world = await World.make(store, url, agent=agent, **(number or {}))
    lines = MemoryLines(clock)
    signal = LocalSignal()
    dialler = Dialler(
        cast("Store", watched),
        {"loopback": Network(lines, traits, capacity)},
        signal,
        clock=clock,
        keys=CallbackKeys(b"k" * 32),
        settings=settings or DiallerSettings("node-a", CallSettings("http://127.0.0.1:1")),
    )
    house = House(world, watched, clock, lines, signal, dialler)
    house.group = ServiceGroup([*dialler.below_the_lines, *dialler.above_the_lines])
    try:
        if running:
            await house.group.start()
            await house.quiet()
        yield house
    finally:
        async with asyncio.TaskGroup() as tasks:
            stopping = tasks.create_task(house.group.stop())
            while not stopping.done():  # some of them wait on the clock
                await clock.advance(1)
                await asyncio.sleep(0.005)
        await store.stop()


async def eventually(fact: Callable[[], bool], within: float = 10.0) -> None:
    """Until something outside of this loop, or in real time, has happened."""
    async with asyncio.timeout(within):
        while not fact():  # noqa: ASYNC110 - files, processes and threads ring no bell
            await asyncio.sleep(0.005)


def without_look_up(traits: LinesTraits = TRAITS) -> LinesTraits:
    return replace(traits, can_look_up=False)
