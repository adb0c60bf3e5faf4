"""The dispatcher: whose turn it is, how many may be claimed now, and when to look again."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from outdial.calls.alarm import Alarm
from outdial.calls.call import Calls
from outdial.calls.prepare import Hand
from outdial.calls.tenure import Tenure
from outdial.dispatch.lag import Lag
from outdial.dispatch.rounds import AT_ONCE, Round
from outdial.domain.call import SEND_SECS
from outdial.domain.errors import Invalid
from outdial.domain.window import CallingHours, Openings, open_at, open_through, parse, zones_of
from outdial.ports.meters import UNMETERED, Meters
from outdial.ports.signal import Signal, Topic
from outdial.ports.store import BatchRow, ClaimAnswer, ClaimWish, NodeLease, ReadyBatch, Store
from outdial.runtime.clock import Clock
from outdial.runtime.failpoint import reach
from outdial.runtime.log import get_logger
from outdial.runtime.service import Background

MOST_A_TURN = 50
"""Claims of one batch in one turn, so that others have theirs soon."""
LEAST_A_TURN = 20
"""Fewer are not worth a transaction, as long as there is room."""
BATCHES_A_TURN = 64
IDLE_SECS = 60.0
"""The longest sleep, in case a wake-up was lost or the wall clock was set."""
GAP_SECS = 0.01
"""The shortest sleep between two turns when the last one claimed less than it wished."""
OVERDUE_SECS = 0.5
STOP_SECS = 5.0
CLOSING = timedelta(seconds=SEND_SECS + 1.0)
"""Nobody is claimed so shortly before calling hours end: what has GO may be sent a send deadline later."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look at the waiting batches says."""

    wishes: list[ClaimWish]
    ready: dict[int, ReadyBatch]
    wake_at: float
    """Unix seconds; infinite: nothing is known to come."""
    more: bool
    """There were more batches than one look takes."""
    leaves_some: bool
    """Somewhere more people wait than this turn asks for."""


class Dispatcher:
    """A service: claims whenever somebody may be due and there is room, and hands each call over."""

    def __init__(
        self,
        store: Store,
        calls: Calls,
        signal: Signal,
        *,
        clock: Clock,
        tenure: Tenure,
        work: Alarm,
        poll_secs: float | None = None,
        meters: Meters = UNMETERED,
    ) -> None:
        """Make it; `poll_secs`: how often to look without a signal, None where none gets lost (SQLite)."""
        self._store = store
        self._calls = calls
        self._signal = signal
        self._clock = clock
        self._tenure = tenure
        self._work = work
        self._poll_secs = poll_secs
        self._full = False
        """The last turn could have claimed more, had there been room on this node."""
        self._stopping = False
        self._round = Round(BATCHES_A_TURN)
        self.sort: Callable[[BatchRow], None] = _nobody
        """Told of batches with people whose zones have to be looked up."""
        self._openings = Openings()
        self._ahead: asyncio.Future[list[ReadyBatch]] | None = None
        """The next turn's look at the batches, read while this turn's claim is under way: a claim checks everything."""
        self.turns = 0
        self.lag = Lag()
        self._meters = meters
        self._asked_at: float | None = None
        """Unix seconds of the first ring since the last turn began."""
        self._loop = Background("dispatcher", self._run, clock=clock, restart_at_most=5.0)
        self._ear = Background("work signal", self._hear, clock=clock)

    async def start(self) -> None:
        self._stopping = False
        self._calls.done = self._room_again
        self._calls.given_back = self._wanted
        await self._ear.start()
        await self._loop.start()

    async def stop(self) -> None:
        """No more claims; the turn that runs is finished, so that nothing is claimed without being known here."""
        self._stopping = True
        self._work.ring()
        await self._ear.stop()
        await _within(STOP_SECS, self._loop)
        self._look_anew()
        await self._calls.quiesce()

    async def _hear(self) -> None:
        async for _ in self._signal.listen(Topic.WORK):
            self._wanted()

    def _wanted(self) -> None:
        if self._asked_at is None:
            self._asked_at = self._clock.now()
        self._work.ring()

    def _room_again(self) -> None:
        if self._full:
            self._full = False
            self._wanted()

    async def _run(self) -> None:
        while not self._stopping:
            wake_at = await self.turn()
            if wake_at == AT_ONCE:
                if self._ahead is None:
                    await self._clock.sleep(0)
                continue
            self._look_anew()
            if not math.isinf(wake_at):
                self._work.at(max(wake_at, self._clock.now() + GAP_SECS))
            await self._work.wait(at_most=self._poll_secs or IDLE_SECS)

    def _look_anew(self) -> None:
        """What was read ahead would be old by the next turn."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()

    async def turn(self) -> float:
        """Claim once for everybody whose turn it is; when to look again (unix seconds)."""
        self.turns += 1
        self.lag.begin(self._clock.now())
        try:
            return await self._turn()
        finally:
            self.lag.end()

    async def _turn(self) -> float:
        lease = self._tenure.lease
        if lease is None or not self._tenure.holds(lease):
            return math.inf  # the node rings when it is registered again
        now = self._clock.now()
        asked_at, self._asked_at = self._asked_at, None
        ahead, self._ahead = self._ahead, None
        self._round.begin(now)
        ready = await (ahead or self._page(now))
        look = self._look(ready, now)
        wishes = {wish.batch_id: wish for wish in look.wishes}
        self.lag.look(ready, wishes, asked_at=now if asked_at is None else asked_at)
        wake_at = look.wake_at
        answers: Sequence[ClaimAnswer] = ()
        if look.wishes:
            if look.leaves_some and not look.more:
                self._ahead = asyncio.ensure_future(self._page(now))
            answers = await self._store.claim(lease, look.wishes, now=self._clock.now())
            reach("after_claim")
        if (waited := self.lag.claimed(answers, now=self._clock.now())) is not None:
            self._meters.dispatch_waited(waited)
        if answers:
            wake_at = min(wake_at, self._hand_over(lease, look, answers))
        claimed = any(answer.claimed for answer in answers)
        wake_at = self._round.goes_on(ready, wake_at, stay=self._full and (claimed or not look.wishes))
        if self._poll_secs is None and wake_at != AT_ONCE:
            wake_at = min(wake_at, await self._next_event(now))
        return wake_at

    async def _page(self, now: float) -> list[ReadyBatch]:
        return await self._store.ready_batches(now=now, limit=BATCHES_A_TURN, after=self._round.after)

    async def _next_event(self, now: float) -> float:
        """The next scheduled start. Where the store is polled anyway, that finds it."""
        next_at = await self._store.next_event_at(now=now)
        if next_at is None:
            return math.inf
        # a look-up that is overdue is not ours to do, and may hide a start that comes soon
        return next_at if next_at > now else now + OVERDUE_SECS

    # --- who may be claimed

    def _look(self, ready: Sequence[ReadyBatch], now: float) -> _Look:
        look = _Look([], {}, math.inf, more=len(ready) >= BATCHES_A_TURN, leaves_some=False)
        wakes = [math.inf]
        shares = _Shares(self._calls.room, sharers=len(ready))
        self._full = False
        for one in ready:
            if one.next_due is not None and one.next_due > now:
                wakes.append(one.next_due)
                continue
            hours = _hours(one.batch)
            if one.unsorted and hours is not None and hours.zone is None:
                self.sort(one.batch)
            open_classes = self._open_classes(one, hours, now, wakes)
            if not open_classes or one.batch.provider is None:
                continue
            if (want := shares.take(one.batch.provider)) == 0:
                self._full = True
                continue
            tried_first = self._calls.tried_first(one.batch.provider)
            look.wishes.append(ClaimWish(one.batch.id, want, open_classes, tried_first=tried_first))
            look.ready[one.batch.id] = one
        leaves_some = any(look.ready[wish.batch_id].batch.counters.waiting > wish.want for wish in look.wishes)
        return replace(look, wake_at=min(wakes), leaves_some=leaves_some)

    def _open_classes(
        self, one: ReadyBatch, hours: CallingHours | None, now: float, wakes: list[float]
    ) -> tuple[int, ...]:
        """The window classes that are open; when a closed one opens is added to `wakes`."""
        open_now = []
        for number, key in one.window_classes:
            if open_through(hours, zones_of(key), self._clock.utc(), CLOSING):
                open_now.append(number)
            else:
                wakes.append(self._opening(hours, key, now))
        return tuple(open_now)

    def _opening(self, hours: CallingHours | None, key: str, now: float) -> float:
        """When a window class that is closed, or about to close, opens next; unix seconds."""
        if hours is None:
            return now
        instant = self._clock.utc()
        after = instant + CLOSING if open_at(hours, zones_of(key), instant) else instant
        opening = self._openings.next(hours, key, after)
        return now + IDLE_SECS if opening is None else opening.timestamp()

    # --- what was claimed

    def _hand_over(self, lease: NodeLease, look: _Look, answers: Sequence[ClaimAnswer]) -> float:
        """Begin every claimed call; when to look again."""
        wakes = [math.inf]
        wanted = {wish.batch_id: wish.want for wish in look.wishes}
        claimed = 0
        for answer in answers:
            claimed += self._begin(lease, look, answer)
            if answer.again_at is not None:
                wakes.append(answer.again_at)
            if len(answer.claimed) >= wanted.get(answer.batch_id, 1):
                wakes.append(AT_ONCE)
        if claimed:
            log.debug("claimed", calls=claimed, batches=len(answers))
        return min(wakes)

    def _begin(self, lease: NodeLease, look: _Look, answer: ClaimAnswer) -> int:
        batch, agent, number = answer.batch, answer.agent, answer.number
        if batch is None or agent is None or number is None:
            return 0
        keys = dict(look.ready[answer.batch_id].window_classes)
        hours = _hours(batch)  # as they were in the claim's transaction
        for claimed in answer.claimed:
            zones = zones_of(keys.get(claimed.window_class, ""))
            self._calls.begin(Hand(lease, claimed, batch, agent, number, hours, zones))
        return len(answer.claimed)


class _Shares:
    """The room of this node, shared out in order; whoever got nothing is first in a later turn."""

    def __init__(self, room: Callable[[str], int], *, sharers: int) -> None:
        self._room_of = room
        self._sharers = max(sharers, 1)
        self._left: dict[str, int] = {}
        self._share: dict[str, int] = {}

    def take(self, provider: str) -> int:
        if provider not in self._left:
            room = self._left[provider] = self._room_of(provider)
            self._share[provider] = min(max(room // self._sharers, LEAST_A_TURN), MOST_A_TURN)
        share = min(self._left[provider], self._share[provider])
        self._left[provider] -= share
        return share


def _hours(batch: BatchRow) -> CallingHours | None:
    try:
        return parse(batch.hours)
    except Invalid:
        # they were checked when they were set; a zone may have left the machine's time zone data since
        log.exception("calling hours can't be read: nobody is called", batch=batch.public_id)
        return _NEVER


_NEVER = CallingHours(())


def _nobody(_batch: BatchRow) -> None:
    """Nobody looks zones up yet."""


async def _within(seconds: float, task: Background) -> None:
    """Let the task end by itself, and cancel it if it does not."""
    try:
        async with asyncio.timeout(seconds):
            await task.join()
    except TimeoutError:
        log.warning("task did not end by itself", task=task.name)
    await task.stop()
