"""Start, stop, and tasks that have an owner."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from outdial.runtime.clock import ManualClock, breathe
from outdial.runtime.service import Background, Service, ServiceGroup


class Noted:
    """A service that writes down what it was asked."""

    def __init__(self, name: str, heard: list[str], *, fails: frozenset[str] = frozenset()) -> None:
        self.name, self.heard, self.fails = name, heard, fails

    async def start(self) -> None:
        self._note("start")

    async def stop(self) -> None:
        self._note("stop")

    def _note(self, what: str) -> None:
        self.heard.append(f"{what} {self.name}")
        if what in self.fails:
            raise OSError(what)


class Stuck:
    async def start(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        await asyncio.Event().wait()


async def test_services_start_in_order_and_stop_in_reverse() -> None:
    heard: list[str] = []
    group = ServiceGroup([("a", Noted("a", heard)), ("b", Noted("b", heard))])
    await group.start()
    await group.stop()
    assert heard == ["start a", "start b", "stop b", "stop a"]


async def test_starting_and_stopping_twice_is_forgiven() -> None:
    heard: list[str] = []
    group = ServiceGroup([("a", Noted("a", heard))])
    await group.stop()
    await group.start()
    await group.start()
    await group.stop()
    await group.stop()
    assert heard == ["start a", "stop a"]


async def test_a_group_is_a_service_and_starts_again_after_its_stop() -> None:
    heard: list[str] = []
    inner: Service = ServiceGroup([("a", Noted("a", heard))])
    outer = ServiceGroup([("inner", inner)])
    for _ in range(2):
        await outer.start()
        await outer.stop()
    assert heard == ["start a", "stop a"] * 2


async def test_a_service_that_can_not_start_stops_those_before_it() -> None:
    heard: list[str] = []
    group = ServiceGroup(
        [("a", Noted("a", heard)), ("b", Noted("b", heard, fails=frozenset({"start"}))), ("c", Noted("c", heard))]
    )
    with pytest.raises(OSError, match="start"):
        await group.start()
    assert heard == ["start a", "start b", "stop b", "stop a"]


async def test_a_service_that_fails_to_stop_does_not_keep_the_others() -> None:
    heard: list[str] = []
    group = ServiceGroup([("a", Noted("a", heard)), ("b", Noted("b", heard, fails=frozenset({"stop"})))])
    await group.start()
    await group.stop()
    assert heard[-2:] == ["stop b", "stop a"]


async def test_starting_and_stopping_are_bounded() -> None:
    heard: list[str] = []
    group = ServiceGroup([("a", Noted("a", heard)), ("stuck", Stuck())], start_within=0.01, stop_within=0.01)
    with pytest.raises(TimeoutError):
        await group.start()
    assert heard == ["start a", "stop a"]


def failing(times: int, then: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Work that fails so often before it goes on as told."""
    left = [times]

    async def work() -> None:
        if left[0] > 0:
            left[0] -= 1
            msg = f"{left[0]} to go"
            raise OSError(msg)
        await then()

    return work


async def forever() -> None:
    await asyncio.Event().wait()


async def test_background_work_runs_until_it_is_stopped() -> None:
    task = Background("forever", forever, clock=ManualClock())
    await task.start()
    await task.start()
    await breathe()
    assert (task.running, task.failures) == (True, 0)
    await task.stop()
    await task.stop()
    assert (task.running, task.failures) == (False, 0)


async def test_background_work_that_dies_is_reported_and_started_again_later_each_time() -> None:
    clock, heard = ManualClock(), list[str]()
    task = Background(
        "reaper",
        failing(3, forever),
        clock=clock,
        restart_after=1,
        died=lambda name, error: heard.append(f"{name}: {error}"),
    )
    await task.start()
    for seconds, failures in ((0, 1), (0.9, 1), (0.2, 2), (1.8, 2), (0.3, 3), (3.9, 3)):
        await clock.advance(seconds)
        assert task.failures == failures
    assert heard == ["reaper: 2 to go", "reaper: 1 to go", "reaper: 0 to go"]
    await clock.advance(0.2)
    assert clock.sleeping == 0
    assert task.running
    await task.stop()


async def test_background_work_that_lived_long_is_restarted_soon_again() -> None:
    clock = ManualClock()
    began: list[float] = []

    async def lives_a_minute() -> None:
        began.append(clock.boottime() - 1_000)
        await clock.sleep(60)
        raise OSError

    task = Background("long", lives_a_minute, clock=clock, restart_after=1)
    await task.start()
    await clock.advance(130)
    assert began == [0, 61, 122]
    await task.stop()


async def test_background_work_without_restart_is_reported_once() -> None:
    clock, heard = ManualClock(), list[str]()
    task = Background(
        "once", failing(1, forever), clock=clock, restart_after=None, died=lambda name, _: heard.append(name)
    )
    await task.start()
    await task.join()
    assert heard == ["once"]
    assert not task.running


async def test_background_work_that_returns_has_finished() -> None:
    async def nothing() -> None: ...

    clock, heard = ManualClock(), list[str]()
    task = Background("done", nothing, clock=clock, died=lambda name, _: heard.append(name))
    await task.start()
    await task.join()
    assert (task.running, heard, clock.sleeping) == (False, [], 0)


async def test_work_that_is_cancelled_from_inside_did_not_stop_but_die() -> None:
    async def cancelled_by_its_own_future() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    task = Background("victim", cancelled_by_its_own_future, clock=ManualClock(), restart_after=None)
    await task.start()
    await task.join()
    assert task.failures == 1


async def test_stopping_while_waiting_for_a_restart_is_at_once() -> None:
    clock = ManualClock()
    task = Background("waiting", failing(1, forever), clock=clock)
    await task.start()
    await breathe()
    assert (task.failures, clock.sleeping) == (1, 1)
    await task.stop()
    assert not task.running
