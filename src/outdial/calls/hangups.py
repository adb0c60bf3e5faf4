"""Giving up the calls that a cancel or a deletion wants ended."""

import asyncio
from dataclasses import dataclass

from outdial.calls.alarm import Alarm
from outdial.calls.call import Calls
from outdial.calls.network import Networks
from outdial.ports.lines import CallOrder
from outdial.ports.signal import Signal, Topic
from outdial.ports.store import GivenUp, Store
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger
from outdial.runtime.service import Background

AT_ONCE = 50
"""Hang-ups under way at one time, of one provider."""
HANG_UP_SECS = 10.0
AGAIN_SECS = (2.0, 30.0)
"""A call that is still up so long after it was hung up is hung up again: at first, and at most."""
IDLE_SECS = 3600.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that is still up although it was asked to end."""

    next_at: float
    """Boottime."""
    wait: float


class Hangups:
    """A service: on Signal STOP, and for as long as such calls are up, hangs them up."""

    def __init__(
        self,
        store: Store,
        networks: Networks,
        calls: Calls,
        signal: Signal,
        *,
        clock: Clock,
        poll_secs: float | None = None,
    ) -> None:
        """Make it; `poll_secs`: how often to look without a signal while calls may be up, None: never."""
        self._store = store
        self._networks = networks
        self._calls = calls
        self._signal = signal
        self._clock = clock
        self._poll_secs = poll_secs
        self._alarm = Alarm(clock)
        self._asked: dict[str, _Asked] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._gates: dict[str, asyncio.Semaphore] = {}
        """By provider: one that does not answer holds up nobody else's."""
        self._services = (
            Background("hang-ups", self._work, clock=clock),
            Background("hang-up signal", self._hear, clock=clock),
        )

    async def start(self) -> None:
        for service in self._services:
            await service.start()

    async def stop(self) -> None:
        for service in self._services:
            await service.stop()
        if tasks := list(self._under_way.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def soon(self) -> None:
        """Some call turned out to be up although it was given up."""
        self._alarm.ring()

    async def _hear(self) -> None:
        async for _ in self._signal.listen(Topic.STOP):
            self._alarm.ring()

    async def _work(self) -> None:
        while True:
            await self._alarm.wait(at_most=await self._turn())

    async def _turn(self) -> float:
        """Begin to hang up who must be; after how many seconds to look again."""
        given_up = await self._store.given_up()
        now = self._clock.boottime()
        before, self._asked = self._asked, {}
        for one in given_up:
            asked = before.get(one.call_key, _Asked(now, AGAIN_SECS[0]))
            if asked.next_at <= now and one.call_key not in self._under_way:
                self._calls.drop(one.call_key)
                self._begin(one)
                asked = _Asked(now + asked.wait, min(asked.wait * 2, AGAIN_SECS[1]))
            self._asked[one.call_key] = asked
        if given_up:
            return AGAIN_SECS[0]
        return self._poll_secs if self._poll_secs and now < self._calls.busy_until else IDLE_SECS

    def _begin(self, one: GivenUp) -> None:
        """The next cancel does not wait for this hang-up: a network may take its time."""
        task = self._under_way[one.call_key] = asyncio.create_task(self._hang_up(one), name=f"hang-up {one.call_key}")
        task.add_done_callback(lambda _: self._under_way.pop(one.call_key, None))

    async def _hang_up(self, one: GivenUp) -> None:
        network = self._networks.get(one.provider)
        if network is None:
            return
        async with self._gates.setdefault(one.provider, asyncio.Semaphore(AT_ONCE)):
            try:
                order = await bare_order(self._store, one.call_key, one.provider, one.number_id)
                async with asyncio.timeout(HANG_UP_SECS):
                    await network.lines.hang_up(one.call_key, even_if_answered=one.even_if_answered, order=order)
            except Exception as error:  # noqa: BLE001 - the edge of one call: it is tried again while it is up
                log.warning("hang-up failed", call=one.call_key, error=str(error))
            else:
                log.info("call given up", call=one.call_key)


async def bare_order(store: Store, call_key: str, provider: str, number_id: int) -> CallOrder:
    """An order that only has the trunk's settings: credentials for asking about a call whose order nobody has."""
    number = await store.number_by_id(number_id)
    return CallOrder(call_key, "", number.phone_number, provider, number.settings, {}, {}, 0, 0, 0, "", "")
