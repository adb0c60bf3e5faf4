"""What a node says of itself, and how long it waits for its calls when it stops."""

import asyncio
import time
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette

from outdial.app.health import Readiness, metrics_route, readiness_route
from outdial.app.meters import NodeCollector, PrometheusMeters
from outdial.app.phones import Crew, Drain, Phones
from outdial.calls.tenure import Tenure
from outdial.dispatch.lag import Lag
from outdial.domain.attempt import AttemptState
from outdial.domain.call import CallEvent, EventKind
from outdial.domain.errors import Unavailable
from outdial.domain.outcome import Ending, Outcome
from outdial.ports.lines import CallOrder
from outdial.ports.meters import Verdict
from outdial.ports.store import NodeLease, Store
from outdial.runtime.clock import ManualClock, SystemClock
from outdial.store.store import SqlStore
from tests.support.world import World

LEASE = NodeLease("a", 1)


class FakeStore:
    def __init__(self) -> None:
        self.answers = True
        self.hangs = False
        self.asked = 0

    async def ping(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(60)
        if not self.answers:
            raise Unavailable("away")

    async def under_way(self, lease: NodeLease) -> dict[tuple[str, AttemptState], int]:
        if not self.answers:
            raise Unavailable("away")
        return {("loopback", AttemptState.LIVE): 3}


class FakePhones:
    def __init__(self, **crews: Crew) -> None:
        self.known = crews

    def crews(self) -> dict[str, Crew]:
        return self.known


def held(clock: ManualClock) -> Tenure:
    tenure = Tenure(clock, timeout_secs=10)
    tenure.renewed(LEASE, asked_at=clock.boottime())
    return tenure


def readiness(store: Any, tenure: Tenure | None = None, **crews: Crew) -> Readiness:
    phones = cast("Phones", FakePhones(**crews)) if crews else None
    return Readiness(cast("Store", store), tenure, phones)


async def test_a_node_is_ready_when_nothing_is_in_the_way() -> None:
    assert await readiness(FakeStore(), held(ManualClock()), loopback=Crew(2, 2, 5)).reasons() == []
    assert await readiness(FakeStore()).reasons() == [], "one that only serves needs no lease and no workers"


async def test_each_thing_in_the_way_is_said_in_words() -> None:
    clock, store = ManualClock(), FakeStore()
    tenure = held(clock)
    one = readiness(store, tenure, loopback=Crew(1, 1, 0), sip_trunk=Crew(0, 2, 9))
    assert await one.reasons() == ["0 of 2 call workers of sip_trunk are up"]
    clock.pass_by(11)
    one.stopping = True
    store.answers = False
    app = Starlette(routes=[readiness_route(one)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == [
        "the server stops",
        "the database does not answer within 2 s",
        "the node is not registered: it may not dial",
        "0 of 2 call workers of sip_trunk are up",
    ]
    tenure.lost()
    assert "the node is not registered: it may not dial" in await one.reasons()


async def test_a_database_that_hangs_is_asked_once_however_many_ask_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outdial.app.health.ANSWER_SECS", 0.1)
    store = FakeStore()
    store.hangs = True
    one = readiness(store)
    answers = await asyncio.gather(*(one.reasons() for _ in range(20)))
    assert all(len(reasons) == 1 for reasons in answers)
    assert store.asked == 1
    assert one._ping is not None
    one._ping.cancel()


async def test_metrics_say_what_was_counted_and_what_is(store: SqlStore, engine_url: str) -> None:
    meters = PrometheusMeters(["loopback"])
    store.metered(meters)
    world = await World.make(store, engine_url)
    batch = await world.submit(4)
    claimed = await world.dial(batch)
    await world.report(claimed[0].call_key, EventKind.ANSWERED)
    meters.call_started("loopback")
    meters.call_ended("loopback", Outcome.BUSY)
    meters.call_ended("loopback", Outcome.UNKNOWN)
    meters.callback("", Verdict.UNKNOWN_PROVIDER)
    tenure = Tenure(SystemClock(), timeout_secs=10)
    tenure.renewed(world.lease, asked_at=SystemClock().boottime())
    phones = cast("Phones", FakePhones(loopback=Crew(1, 2, 3)))
    meters.registry.register(NodeCollector(writer=store.writer, clock=SystemClock(), lag=Lag(), phones=phones))
    app = Starlette(routes=[metrics_route(meters, store, tenure)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    for line in (
        'outdial_calls_started_total{provider="loopback"} 1.0',
        'outdial_calls_total{outcome="busy",provider="loopback"} 1.0',
        'outdial_calls_total{outcome="completed",provider="loopback"} 0.0',
        'outdial_unknown_attempts_total{provider="loopback"} 1.0',
        'outdial_callbacks_total{provider="other",verdict="unknown_provider"} 1.0',
        'outdial_calls_in_progress{provider="loopback",state="dialing"} 3.0',
        'outdial_calls_in_progress{provider="loopback",state="live"} 1.0',
        'outdial_call_workers{provider="loopback"} 1.0',
        'outdial_call_worker_restarts_total{provider="loopback"} 3.0',
        "outdial_dispatch_lag_seconds 0.0",
    ):
        assert line in lines
    hot = next(line for line in lines if line.startswith('outdial_store_seconds_count{lane="hot"}'))
    assert float(hot.split()[-1]) > 0
    assert batch.public_id not in answer.text
    assert "+1555" not in answer.text


async def test_an_ending_is_counted_once_however_many_reports_come_with_it(store: SqlStore, engine_url: str) -> None:
    world = await World.make(store, engine_url)
    (call,) = await world.dial(await world.submit(1))
    ended = CallEvent(call.call_key, EventKind.ENDED, world.now, event_id="e", ending=Ending(Outcome.BUSY))
    sent = CallEvent(call.call_key, EventKind.SENT, world.now)
    taken = await asyncio.gather(*(store.take([event], now=world.now) for event in (sent, ended, ended, sent)))
    assert [one.outcome for part in taken for one in part if one.outcome] == [Outcome.BUSY]


async def test_metrics_answer_while_the_database_is_away() -> None:
    store, meters = FakeStore(), PrometheusMeters(["loopback"])
    store.answers = False
    app = Starlette(routes=[metrics_route(meters, cast("Store", store), held(ManualClock()))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
        text = (await client.get("/metrics")).text
    assert "outdial_calls_total{" in text
    assert "outdial_calls_in_progress{" not in text, "nobody can say"


# --- stopping ------------------------------------------------------------------------------------------------------


def order(n: int, *, must_end_by: float = 1e12) -> CallOrder:
    return CallOrder(f"k{n}", "", "", "loopback", {}, {}, {}, 0, 0, must_end_by, "", "")


def drain(phones: Phones, left: list[int | None], *, within: float = 5.0) -> tuple[Drain, asyncio.Event]:
    hurry = asyncio.Event()

    async def told() -> int | None:
        return left.pop(0) if len(left) > 1 else left[0]

    return Drain(phones, clock=SystemClock(), within_secs=within, hurry=hurry, left=told), hurry


async def test_a_stop_waits_for_calls_whose_end_other_nodes_are_told() -> None:
    phones = Phones(SystemClock())
    phones.placed(order(1))
    stop, _ = drain(phones, [2, 1, 0])
    began = time.monotonic()
    await stop.stop()
    assert 0.9 < time.monotonic() - began < 3, "two polls: nobody told this node"


async def test_a_stop_ends_with_the_last_call() -> None:
    phones = Phones(SystemClock())
    phones.placed(order(1))
    stop, _ = drain(phones, [1, 0])
    asyncio.get_running_loop().call_later(0.1, phones.over, "k1")
    began = time.monotonic()
    await stop.stop()
    assert time.monotonic() - began < 0.4


async def test_a_stop_without_a_database_goes_by_what_the_node_knows() -> None:
    phones = Phones(SystemClock())
    phones.placed(order(1))
    stop, _ = drain(phones, [None])
    asyncio.get_running_loop().call_later(0.1, phones.over, "k1")
    await asyncio.wait_for(stop.stop(), 2)


async def test_a_stop_has_a_limit_and_can_be_hurried() -> None:
    phones = Phones(SystemClock())
    phones.placed(order(1))
    began = time.monotonic()
    stop, _ = drain(phones, [1], within=0.3)
    await stop.stop()
    assert 0.25 < time.monotonic() - began < 2
    stop, hurry = drain(phones, [1], within=60)
    asyncio.get_running_loop().call_later(0.1, hurry.set)
    await asyncio.wait_for(stop.stop(), 2)


def test_calls_whose_end_was_told_to_others_are_forgotten_in_time() -> None:
    clock = ManualClock()
    phones = Phones(clock)
    for n in range(900):
        phones.placed(order(n, must_end_by=clock.boottime()))
    clock.pass_by(120)
    for n in range(900, 1_100):
        phones.placed(order(n, must_end_by=clock.boottime()))
    assert phones.calls == 200
