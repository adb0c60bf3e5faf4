"""Wake-ups, within a process and between nodes."""

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from outdial.ports.signal import Signal, Topic
from outdial.runtime.clock import SystemClock
from outdial.store.op import Kind, Tx
from outdial.store.signals import LocalSignal, PostgresSignal, open_signal
from outdial.store.store import open_store
from tests.conftest import SECRET


async def soon(listening: Any) -> frozenset[Topic]:
    async with asyncio.timeout(5):
        rung: frozenset[Topic] = await anext(listening)
        return rung


async def quiet(listening: Any) -> bool:
    try:
        async with asyncio.timeout(0.2):
            await anext(listening)
    except TimeoutError:
        return True
    return False


@pytest.fixture
async def signal(engine_url: str) -> Any:
    opened = open_signal(engine_url, SystemClock())
    await opened.start()
    if isinstance(opened, PostgresSignal):
        await opened.connected.wait()
    yield opened
    await opened.stop()


async def test_rings_become_one_turn_and_others_are_left_alone(signal: Signal) -> None:
    work, stop = signal.listen(Topic.WORK, Topic.SWEEP), signal.listen(Topic.STOP)
    await signal.ring(Topic.WORK)
    await signal.ring(Topic.WORK)
    await signal.ring(Topic.SWEEP)
    assert await soon(work) == {Topic.WORK, Topic.SWEEP}
    assert await quiet(work), "its own ring does not come back to it from the database"
    assert await quiet(stop)


async def test_a_ring_between_two_turns_is_not_lost(signal: Signal) -> None:
    work = signal.listen(Topic.WORK)
    for _ in range(3):
        await signal.ring(Topic.WORK)
        assert await soon(work) == {Topic.WORK}


async def test_everybody_who_listens_is_woken(signal: Signal) -> None:
    all_of_them = [signal.listen(Topic.STOP) for _ in range(3)]
    await signal.ring(Topic.STOP)
    assert [await soon(one) for one in all_of_them] == [{Topic.STOP}] * 3


async def test_a_ring_without_listeners_is_nothing() -> None:
    await LocalSignal().ring(Topic.WORK)


async def test_nodes_wake_each_other(postgres_url: str) -> None:
    here, there = (PostgresSignal(postgres_url, SystemClock()) for _ in range(2))
    for one in (here, there):
        await one.start()
        await one.connected.wait()
    heard = there.listen(Topic.WORK, Topic.STOP)
    await here.ring(Topic.STOP)
    assert await soon(heard) == {Topic.STOP}
    await here.stop()
    await here.stop()
    await there.stop()


async def test_a_committed_notification_is_heard_and_a_rolled_back_one_is_not(postgres_url: str) -> None:
    class Telling(Kind[bool, None]):
        name = "telling"

        def run(self, tx: Tx, requests: Sequence[bool]) -> list[None]:
            tx.notify(Topic.WORK)
            tx.notify(Topic.WORK)
            if not all(requests):
                raise ValueError
            return [None] * len(requests)

    store = open_store(postgres_url, secret=SECRET)
    await store.start()
    signal = PostgresSignal(postgres_url, SystemClock())
    await signal.start()
    await signal.connected.wait()
    heard = signal.listen(Topic.WORK)
    with pytest.raises(ValueError):  # noqa: PT011 - ours
        await store._ask(Telling(), False)
    assert await quiet(heard)
    await store._ask(Telling(), True)
    assert await soon(heard) == {Topic.WORK}
    await signal.stop()
    await store.stop()


async def test_after_a_lost_connection_everybody_is_woken_and_rings_are_heard_again(postgres_url: str) -> None:
    here, there = (PostgresSignal(postgres_url, SystemClock()) for _ in range(2))
    for one in (here, there):
        await one.start()
        await one.connected.wait()
    heard = there.listen(Topic.WORK)
    await here.ring(Topic.WORK)
    assert await soon(heard) == {Topic.WORK}
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and application_name = 'outdial'"
        )
    assert await soon(heard) == {Topic.WORK}, "something may have been missed"
    await there.connected.wait()
    await here.connected.wait()
    await here.ring(Topic.WORK)  # the first may be lost with the old connection; a poll is behind it
    await here.ring(Topic.WORK)
    async with asyncio.timeout(5):
        while await quiet(heard):
            await here.ring(Topic.WORK)
    await here.stop()
    await there.stop()
