"""The clocks: the machine's and the one that tests move."""

import asyncio
import time
from datetime import UTC, datetime

from outdial.runtime.clock import Clock, ManualClock, SystemClock


def test_system_clock_agrees_with_the_machine() -> None:
    clock: Clock = SystemClock()
    before = time.time()
    assert before <= clock.now() <= time.time()
    assert clock.utc().tzinfo is UTC
    assert clock.boottime() <= clock.boottime()


async def test_system_clock_sleeps_nothing_for_a_time_that_is_past() -> None:
    await SystemClock().sleep(-5)


def test_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(1_000_000.0)
    assert clock.now() == 1_000_000.0
    clock.pass_by(1.5)
    assert clock.now() == 1_000_001.5
    assert clock.utc() == datetime.fromtimestamp(1_000_001.5, UTC)


async def test_sleepers_wake_in_order_each_at_its_own_instant() -> None:
    clock = ManualClock(0.0)
    woke: list[tuple[str, float]] = []

    async def nap(name: str, *naps: float) -> None:
        for seconds in naps:
            await clock.sleep(seconds)
            woke.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        group.create_task(nap("late", 5))
        group.create_task(nap("twice", 1, 2))
        await clock.advance(4)
        assert woke == [("twice", 1.0), ("twice", 3.0)]
        assert clock.sleeping == 1
        await clock.advance(1)
    assert woke[-1] == ("late", 5.0)


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.advance(0.5)
    task.cancel()
    await clock.advance(1)
    assert task.cancelled()
    assert clock.sleeping == 0


async def test_setting_the_wall_clock_back_wakes_nobody_and_leaves_boottime() -> None:
    clock = ManualClock(5_000.0, boottime=10.0)
    task = asyncio.create_task(clock.sleep(1))
    await clock.advance(0)
    clock.set_wall(100.0)
    assert (clock.now(), clock.boottime()) == (100.0, 10.0)
    assert not task.done()
    await clock.advance(1)
    assert task.done()
    assert (clock.now(), clock.boottime()) == (101.0, 11.0)
