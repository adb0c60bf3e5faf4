"""Looking calls up of which nothing was heard for too long, or whose sending is in doubt."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from outdial.calls.alarm import Alarm
from outdial.calls.call import Calls
from outdial.calls.hangups import bare_order
from outdial.calls.intake import Intake
from outdial.calls.network import Network, Networks
from outdial.calls.tenure import Tenure
from outdial.domain.attempt import AttemptState
from outdial.domain.backoff import backoff
from outdial.domain.call import SEND_SECS, CallEvent, EventKind
from outdial.ports.lines import CallOrder, LookUpFailed
from outdial.ports.store import Check, Store
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger
from outdial.runtime.service import Background

MOST = 32
"""Look-ups under way at one time. No more are taken in one turn: what is taken is reserved, even if we die over it."""
MOST_FAILING = 10_000
"""Calls whose failed look-ups are remembered."""
LOOK_UP_SECS = 8.0
IDLE_SECS = 60.0
"""The longest sleep, in case a wake-up was lost or the wall clock was set."""
GAP_SECS = 0.05
"""Doubts that come within this time are looked at together."""
SHORTEST_SECS = 0.5
"""Between two look-ups of the same call."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class CheckerSettings:
    """How patient it is."""

    look_up_every: float = 10.0
    """A call that was found and goes on is looked up again after so many seconds without news."""


class Checker:
    """A service: takes the checks that are due, asks the network, and reports what it says."""

    def __init__(
        self,
        store: Store,
        networks: Networks,
        intake: Intake,
        calls: Calls,
        *,
        clock: Clock,
        tenure: Tenure,
        checks: Alarm,
        settings: CheckerSettings,
    ) -> None:
        self._store = store
        self._networks = networks
        self._intake = intake
        self._calls = calls
        self._clock = clock
        self._tenure = tenure
        self._alarm = checks
        self._settings = settings
        self._failures: dict[str, int] = {}
        """Look-ups of a call that failed in a row; begun anew when there are too many: a short wait for each."""
        self._orphans: set[str] = set()
        self._work_task = Background("checker", self._work, clock=clock)

    def orphaned(self, call_keys: Sequence[str]) -> None:
        """The worker that had these calls died: they are looked up at once."""
        self._orphans.update(call_keys)
        self._alarm.ring()

    async def start(self) -> None:
        await self._work_task.start()

    async def stop(self) -> None:
        await self._work_task.stop()

    async def _work(self) -> None:
        while True:
            more = await self.turn()
            if not more:
                next_at = await self._store.next_event_at(now=self._clock.now())
                if next_at is not None:
                    self._alarm.at(next_at)
                await self._alarm.wait(at_most=IDLE_SECS)
                await self._clock.sleep(GAP_SECS)

    async def turn(self) -> bool:
        """Do what is due; whether more may be."""
        lease = self._tenure.lease
        if lease is None:
            await self._clock.sleep(SHORTEST_SECS)
            return True
        if orphans := list(self._orphans):
            await self._store.orphans(lease, orphans, now=self._clock.now())
            self._orphans.difference_update(orphans)
        due = await self._store.checks(lease, now=self._clock.now(), limit=MOST)
        async with asyncio.TaskGroup() as group:
            for check in due:
                group.create_task(self._check(check))
        return len(due) >= MOST

    async def _check(self, check: Check) -> None:
        try:
            await self._settle(check)
        except Exception:
            log.exception("check failed", call=check.call_key)  # reserved for a while, then due again

    async def _settle(self, check: Check) -> None:
        if check.state is AttemptState.INTENT:
            await self._intent(check)
            return
        network = self._networks.get(check.provider)
        if network is None:
            log.warning("call of a provider that this node does not have", call=check.call_key, provider=check.provider)
            await self._again(check, IDLE_SECS)
        elif network.traits.can_look_up:
            await self._look_up(check, network)
        else:
            await self._out_wait(check)

    async def _intent(self, check: Check) -> None:
        """An intent of a living owner that was forgotten goes back; one in hand is about to be decided."""
        lease = self._tenure.lease
        if self._calls.holds(check.call_key) or lease is None:
            await self._again(check, 30)
        else:
            await self._store.void(lease, check.call_key, reason="forgotten", now=self._clock.now(), forgotten=True)

    # --- where there is no look-up

    async def _out_wait(self, check: Check) -> None:
        """Nobody can be asked: unknown, but not before the call must be over."""
        over_at = check.go_at + SEND_SECS + check.ring_secs + check.talk_secs + check.horizon_secs
        if self._clock.now() >= over_at:
            await self._lost(check)
        else:
            await self._store.check_again(check.call_key, at=over_at)
            self._alarm.at(over_at)

    # --- where there is

    async def _look_up(self, check: Check, network: Network) -> None:
        order = await bare_order(self._store, check.call_key, check.provider, check.number_id)
        try:
            async with asyncio.timeout(LOOK_UP_SECS):
                sighting = await network.lines.look_up(check.call_key, order=order)
        except (LookUpFailed, TimeoutError) as failed:
            if len(self._failures) >= MOST_FAILING:
                self._failures.clear()  # some are of calls that ended by a callback meanwhile
            n = self._failures[check.call_key] = self._failures.get(check.call_key, -1) + 1
            log.warning("look-up failed", call=check.call_key, error=str(failed) or "time-out", failures=n + 1)
            await self._again(check, min(backoff(n), IDLE_SECS))
            return
        self._failures.pop(check.call_key, None)
        if sighting is None:
            await self._not_found(check)
            return
        log.info("call looked up", call=check.call_key, over=sighting.over)
        taken = await self._intake.take(sighting.events)
        ended = any(one.state in {AttemptState.ENDED, AttemptState.VOID} for one in taken)
        if not ended:
            await self._goes_on(check, network, order)

    async def _not_found(self, check: Check) -> None:
        """Never placed, if it is past the horizon; or forgotten by the network since we last heard of it."""
        gone_at = max(check.go_at + SEND_SECS, check.heard_at) + check.horizon_secs
        left = gone_at - self._clock.now()
        if left <= 0:
            await self._lost(check)
        else:
            await self._again(check, min(left, max(2.0, SHORTEST_SECS)))

    async def _goes_on(self, check: Check, network: Network, order: CallOrder) -> None:
        """Follow a found call to its end, and end it if nobody else does."""
        lease = self._tenure.lease
        if not check.owner_alive and lease is not None:
            await self._store.adopt(lease, check.call_key)
        limit = check.talk_secs if check.state is AttemptState.LIVE else check.ring_secs
        left = check.heard_at + limit - self._clock.now()
        if left + check.horizon_secs < 0:
            log.warning("call is up beyond its limit and is hung up", call=check.call_key)
            await network.lines.hang_up(check.call_key, even_if_answered=True, order=order)
        wait = self._settings.look_up_every if left <= 0 else min(left, self._settings.look_up_every)
        await self._again(check, wait)

    async def _lost(self, check: Check) -> None:
        reason = "no_news" if check.owner_alive else "node_lost"
        log.warning("call lost", call=check.call_key, reason=reason)
        await self._intake.take([CallEvent(check.call_key, EventKind.LOST, self._clock.now(), reason=reason)])

    async def _again(self, check: Check, seconds: float) -> None:
        at = self._clock.now() + max(seconds, SHORTEST_SECS)
        await self._store.check_again(check.call_key, at=at)
        self._alarm.at(at)
