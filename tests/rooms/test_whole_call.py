"""Store, dispatcher, call workers as processes, a real network in a box, and its reports over HTTP."""

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from outdial.app.pool import PoolSettings, WorkerPool
from outdial.callbacks.inbox import Inbox
from outdial.calls.call import CallSettings
from outdial.calls.callback_keys import CallbackKeys
from outdial.calls.network import Network
from outdial.dispatch.dialler import Dialler, DiallerSettings
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import FINAL
from outdial.ports.signal import Topic
from outdial.ports.store import BatchRow, ClaimLimits
from outdial.runtime.clock import SystemClock
from outdial.runtime.service import ServiceGroup
from outdial.store.signals import LocalSignal
from outdial.store.store import open_store
from outdial.telephony.registry import provider
from tests.support.carrier import Carrier
from tests.support.world import World

CLOCK = SystemClock()
KEYS = CallbackKeys(b"k" * 32)


@dataclass
class Node:
    world: World
    signal: LocalSignal
    pool: WorkerPool
    dialler: Dialler
    group: ServiceGroup

    async def submit(self, numbers: list[str]) -> BatchRow:
        self.world.now = CLOCK.now()
        batch = await self.world.submit(numbers)
        await self.signal.ring(Topic.WORK)
        return batch

    async def over(self, batch: BatchRow, within: float = 30) -> Counter[Outcome | None]:
        async with asyncio.timeout(within):
            while True:
                people = await self.world.people(batch)
                if all(person.status in FINAL for person in people):
                    await self.world.assert_recount(batch)
                    return Counter(person.outcome for person in people)
                await asyncio.sleep(0.05)


@asynccontextmanager
async def node(
    tmp_path: Path, carrier: Carrier, *, workers: int = 1, name: str = "a", world: World | None = None
) -> AsyncIterator[Node]:
    url = f"sqlite:///{tmp_path}/outdial.db"
    limits = ClaimLimits(workspace_concurrency=2_000, look_up_secs=2.0)
    store = open_store(url, secret="a secret of thirty-two characters", limits=limits)
    await store.start()
    port = _free_port()
    public_url = f"http://127.0.0.1:{port}"
    signal_ = LocalSignal()
    networks: dict[str, Network] = {}
    pool = WorkerPool(
        PoolSettings("loopback", {"carrier_url": carrier.url, "horizon_secs": 1.0, "place_timeout_secs": 1.0}, workers),
        clock=CLOCK,
        networks=networks,
    )
    settings = DiallerSettings(name, CallSettings(public_url), look_up_every=1.0)
    dialler = Dialler(store, networks, signal_, clock=CLOCK, keys=KEYS, settings=settings, over=pool.forget)
    pool.on_death = dialler.checker.orphaned
    inbox = Inbox({"loopback": provider("loopback").read_callback}, KEYS, dialler.intake.take, public_url)
    http = uvicorn.Server(
        uvicorn.Config(Starlette(routes=[inbox.route()]), port=port, log_config=None, access_log=False, lifespan="off")
    )
    serving = asyncio.create_task(http.serve())
    if world is None:
        world = await World.make(store, url)
    else:
        world.store = store
    group = ServiceGroup([*dialler.below_the_lines, ("pool", pool), *dialler.above_the_lines])
    try:
        await group.start()
        yield Node(world, signal_, pool, dialler, group)
    finally:
        await group.stop()
        http.should_exit = True
        await serving
        await store.stop()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def network(tmp_path: Path, **settings: float) -> AsyncIterator[Carrier]:
    carrier = Carrier(tmp_path / "carrier.jsonl", **settings).start()  # type: ignore[arg-type]
    try:
        yield carrier
    finally:
        carrier.stop()


def assert_nobody_rang_twice(carrier: Carrier) -> None:
    dialled = Counter(line["number"] for line in carrier.journal() if line["event"] == "dialled")
    assert set(dialled.values()) <= {1}


async def test_a_batch_with_every_ending(tmp_path: Path) -> None:
    endings = [
        "0486",
        "0408",
        "0480",
        "0603",
        "0404",
        "0503",
        "0607",
        "0301",
        "0900",
        "0901",
        "0902",
        "0903",
        "0904",
        "1234",
        "1235",
    ]
    async with network(tmp_path, ring_secs=0.1, talk_secs=0.1) as carrier, node(tmp_path, carrier) as dialling:
        batch = await dialling.submit([f"+1555000{ending}" for ending in endings])
        outcomes = await dialling.over(batch)
        assert outcomes == {
            Outcome.BUSY: 1,
            Outcome.NO_ANSWER: 1,
            Outcome.UNREACHABLE: 1,
            Outcome.REJECTED: 1,
            Outcome.INVALID_NUMBER: 1,
            Outcome.NETWORK_ERROR: 1,
            Outcome.BLOCKED: 1,
            Outcome.VOICEMAIL: 1,
            Outcome.COMPLETED: 7,
        }
        assert_nobody_rang_twice(carrier)


async def test_workers_that_are_killed_lose_nobody_and_call_nobody_twice(tmp_path: Path) -> None:
    async with (
        network(tmp_path, ring_secs=0.05, talk_secs=0.2) as carrier,
        node(tmp_path, carrier, workers=2) as dialling,
    ):
        batch = await dialling.submit([f"+1555100{7000 + i}" for i in range(600)])
        for _ in range(3):
            await asyncio.sleep(0.25)
            for pid in dialling.pool.pids[:1]:
                with suppress(ProcessLookupError):  # the one before: its death is not noticed yet
                    os.kill(pid, signal.SIGKILL)
        outcomes = await dialling.over(batch)
        assert sum(outcomes.values()) == 600
        assert outcomes[Outcome.COMPLETED] > 200
        assert set(outcomes) <= {Outcome.COMPLETED, Outcome.UNKNOWN}
        assert_nobody_rang_twice(carrier)


async def test_a_node_that_stops_and_another_life_that_goes_on(tmp_path: Path) -> None:
    async with network(tmp_path, ring_secs=0.3, talk_secs=0.3) as carrier:
        async with node(tmp_path, carrier) as dialling:
            batch = await dialling.submit([f"+1555200{7000 + i}" for i in range(300)])
            await asyncio.sleep(0.5)
            world = dialling.world
        async with node(tmp_path, carrier, world=world) as dialling:
            outcomes = await dialling.over(batch)
            assert sum(outcomes.values()) == 300
            assert set(outcomes) <= {Outcome.COMPLETED, Outcome.NETWORK_ERROR}
        assert_nobody_rang_twice(carrier)
