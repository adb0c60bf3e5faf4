"""A batch over SIP: store, dispatcher, call workers as processes, and sipp as everybody who is called."""

import asyncio
import os
import signal
import wave
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outdial.app.pool import PoolSettings, WorkerPool
from outdial.calls.call import CallSettings
from outdial.calls.callback_keys import CallbackKeys
from outdial.calls.network import Network
from outdial.dispatch.dialler import Dialler, DiallerSettings
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import FINAL, RecipientStatus
from outdial.ports.signal import Topic
from outdial.ports.store import BatchRow, ClaimLimits
from outdial.runtime.clock import SystemClock
from outdial.runtime.service import ServiceGroup
from outdial.store.signals import LocalSignal
from outdial.store.store import open_store
from tests.rooms.house import eventually
from tests.support.peers import needs
from tests.support.sipp import ACK, ANSWERS, BYE, CANCEL, HANGS_UP, Sipp, box, reply, sipp, wait
from tests.support.world import World

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = [pytest.mark.sip, needs("sipp")]

CLOCK = SystemClock()
KEYS = CallbackKeys(b"k" * 32)


def final(line: str, *headers: str) -> str:
    return reply(line, *headers, again=True) + ACK


ENDINGS = {
    "0486": final("486 Busy Here", 'Reason: Q.850;cause=17;text="User busy"'),
    "0408": reply("180 Ringing") + CANCEL,
    "0480": final("480 Temporarily Unavailable"),
    "0603": reply("180 Ringing") + final("603 Decline"),
    "0404": final("404 Not Found"),
    "0503": final("503 Service Unavailable"),
    "0607": final("607 Unwanted"),
    "7777": ANSWERS + wait(700) + HANGS_UP,
}


@dataclass
class Node:
    world: World
    signal: LocalSignal
    pool: WorkerPool
    recordings: Path

    async def submit(self, numbers: list[str], **batch: Any) -> BatchRow:
        self.world.now = CLOCK.now()
        submitted = await self.world.submit(numbers, **batch)
        await self.signal.ring(Topic.WORK)
        return submitted

    async def over(self, batch: BatchRow, within: float = 40) -> Counter[Outcome | None]:
        async with asyncio.timeout(within):
            while True:
                people = await self.world.people(batch)
                if all(person.status in FINAL for person in people):
                    await self.world.assert_recount(batch)
                    return Counter(person.outcome for person in people)
                await asyncio.sleep(0.05)

    async def has(self, batch: BatchRow, status: RecipientStatus, within: float = 10) -> None:
        async with asyncio.timeout(within):
            while True:
                if any(person.status is status for person in await self.world.people(batch)):
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def node(tmp_path: Path, far: Sipp, *, workers: int = 1, talk_secs: float = 60) -> AsyncIterator[Node]:
    url = f"sqlite:///{tmp_path}/outdial.db"
    store = open_store(url, secret="a secret of thirty-two characters", limits=ClaimLimits(1_000, look_up_secs=2.0))
    await store.start()
    signal_ = LocalSignal()
    networks: dict[str, Network] = {}
    recordings = tmp_path / "recordings"
    settings = {"interface": "127.0.0.1", "recordings": str(recordings), "reply_secs": 2.0, "horizon_secs": 0.5}
    pool = WorkerPool(
        PoolSettings("sip_trunk", settings, workers, cap=60, spec="outdial.telephony.sip.spec:SPEC"),
        clock=CLOCK,
        networks=networks,
    )
    dialler = Dialler(
        store,
        networks,
        signal_,
        clock=CLOCK,
        keys=KEYS,
        settings=DiallerSettings("a", CallSettings("http://127.0.0.1:1"), look_up_every=1.0),
        over=pool.forget,
    )
    pool.on_death = dialler.checker.orphaned
    agent = {"conversation_config": {"agent": {"first_message": "Hello, this is Outdial."},
                                     "conversation": {"max_duration_seconds": talk_secs}}}  # fmt: skip
    trunk = {"outbound_trunk_config": {"address": far.address, "transport": "udp"}}
    world = await World.make(store, url, agent=agent, provider="sip_trunk", settings=trunk)
    group = ServiceGroup([*dialler.below_the_lines, ("pool", pool), *dialler.above_the_lines])
    try:
        await group.start()
        yield Node(world, signal_, pool, recordings)
    finally:
        await group.stop()
        await store.stop()


async def test_a_batch_with_every_ending_is_dialled_over_sip(tmp_path: Path) -> None:
    numbers = [f"+1555000{digits}" for digits in ENDINGS] + ["+15550001111"]
    with sipp(tmp_path, box(ENDINGS, ANSWERS + BYE), calls=len(numbers)) as far:
        async with node(tmp_path, far) as dialling:
            batch = await dialling.submit(numbers, telephony_call_config={"ringing_timeout_secs": 2})
            outcomes = await dialling.over(batch)
            assert outcomes == {
                Outcome.BUSY: 1,
                Outcome.NO_ANSWER: 1,
                Outcome.UNREACHABLE: 1,
                Outcome.REJECTED: 1,
                Outcome.INVALID_NUMBER: 1,
                Outcome.NETWORK_ERROR: 1,
                Outcome.BLOCKED: 1,
                Outcome.COMPLETED: 2,
            }
        assert far.done()  # every call went by its scenario: ACK, CANCEL and BYE included
        assert far.came("OPTIONS") == []  # a trunk that is not halted is not asked whether it is there
        assert len(far.came("INVITE")) == len(numbers)
        recorded = sorted(dialling.recordings.glob("*/*.wav"))
        assert len(recorded) == 2
        for path in recorded:
            with wave.open(str(path)) as file:
                assert (file.getnchannels(), file.getframerate()) == (2, 8_000)
                assert file.getnframes() > 8_000 * 0.5


@pytest.mark.parametrize(
    ("number", "status"),
    [("+15550000408", RecipientStatus.INITIATED), ("+15550002222", RecipientStatus.IN_PROGRESS)],
    ids=["ringing", "live"],
)
async def test_a_killed_worker_loses_nobody_and_calls_nobody_twice(
    tmp_path: Path, number: str, status: RecipientStatus
) -> None:
    endings = {"0408": reply("180 Ringing") + wait(8_000), "2222": ANSWERS + wait(8_000)}
    with sipp(tmp_path, box(endings, ANSWERS + BYE), calls=None) as far:
        async with node(tmp_path, far, talk_secs=1) as dialling:
            batch = await dialling.submit([number], telephony_call_config={"ringing_timeout_secs": 2})
            await dialling.has(batch, status)
            os.kill(dialling.pool.pids[0], signal.SIGKILL)
            assert await dialling.over(batch) == {Outcome.UNKNOWN: 1}
            await eventually(lambda: len(dialling.pool.pids) == 1)
            assert len(far.came("INVITE")) == 1
            # the next worker serves, and what was lost may be called again by the deliberate act alone
            after = await dialling.submit(["+15550001111"])
            assert await dialling.over(after) == {Outcome.COMPLETED: 1}
            assert len(far.came("INVITE")) == 2


async def test_a_pool_that_stops_cancels_what_rings(tmp_path: Path) -> None:
    with sipp(tmp_path, box({"0408": reply("180 Ringing") + CANCEL}, ANSWERS + BYE), calls=1) as far:
        async with node(tmp_path, far) as dialling:
            batch = await dialling.submit(["+15550000408"])
            await dialling.has(batch, RecipientStatus.INITIATED)
        assert far.done()
        assert len(far.came("CANCEL")) == 1
