"""The right of this node to dial: registering, heartbeats, and taking back what dead nodes held."""

import asyncio

from outdial.calls.alarm import Alarm
from outdial.calls.tenure import Tenure
from outdial.ports.store import NodeLease, Store
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger
from outdial.runtime.service import Background

log = get_logger()


class Node:
    """A service: holds the lease, and reaps."""

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        clock: Clock,
        tenure: Tenure,
        work: Alarm,
        checks: Alarm,
        timeout_secs: float = 10.0,
        reap_secs: float | None = None,
    ) -> None:
        """Make it; `reap_secs`: how often to look for dead peers, None where there are none (SQLite)."""
        self._store = store
        self._name = name
        self._clock = clock
        self._tenure = tenure
        self._work = work
        self._checks = checks
        self._timeout_secs = timeout_secs
        self._tasks = [Background("heartbeat", self._beat, clock=clock, restart_after=0.5, restart_at_most=2.0)]
        if reap_secs is not None:
            self._reap_secs = reap_secs
            self._tasks.append(Background("reaper", self._reap_now_and_then, clock=clock))

    async def start(self) -> None:
        if self._tenure.lease is None:
            await self._register()
        for task in self._tasks:
            await task.start()

    async def stop(self) -> None:
        for task in self._tasks:
            await task.stop()
        if (lease := self._tenure.lease) is not None:
            self._tenure.lost()
            await self._store.retire_node(lease)

    async def _register(self) -> NodeLease:
        """A new epoch; whatever an earlier one held is taken back at once."""
        asked_at = self._clock.boottime()
        lease = await self._store.register_node(self._name, now=self._clock.now())
        self._tenure.renewed(lease, asked_at=asked_at)
        log.info("node registered", node=lease.node, epoch=lease.epoch)
        await self._reap(lease)
        self._work.ring()
        return lease

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._timeout_secs / 3)
            lease = self._tenure.lease
            if lease is None:
                await self._register()
                continue
            asked_at = self._clock.boottime()
            async with asyncio.timeout(self._timeout_secs):
                alive = await self._store.heartbeat(lease)
            if alive:
                stale = not self._tenure.holds(lease)
                self._tenure.renewed(lease, asked_at=asked_at)
                if stale:
                    self._work.ring()
            else:
                log.error("lease lost: nothing is dialled until this node is registered anew", epoch=lease.epoch)
                self._tenure.lost()
                await self._register()

    async def _reap_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(self._reap_secs)
            if (lease := self._tenure.lease) is not None:
                await self._reap(lease)

    async def _reap(self, lease: NodeLease) -> None:
        reaped = await self._store.reap(lease, now=self._clock.now())
        if reaped.nodes:
            log.warning("dead nodes reaped", nodes=reaped.nodes, given_back=reaped.given_back, to_check=reaped.to_check)
        if reaped.to_check:
            self._checks.ring()
        if reaped.given_back:
            self._work.ring()
