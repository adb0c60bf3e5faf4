"""Whose turn it is, how fast, when, and how quiet a node is that has nothing to do."""

from itertools import pairwise
from pathlib import Path

import pytest

from outdial.calls.call import CallSettings
from outdial.dispatch.dialler import DiallerSettings
from outdial.domain.recipient import RecipientStatus as S
from outdial.ports.signal import Topic
from tests.rooms.house import House, dialling
from tests.support.world import NOW, number_of

RINGS = "+15557770408"


def ringing(n: int, prefix: str = "") -> list[str]:
    """Numbers that ring until given up."""
    return [f"+1555{prefix}{i:05d}0408" for i in range(n)]


async def test_everybody_is_called_once_and_the_batch_completes(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit(300)
        await house.pass_secs(3)
        assert await house.statuses(batch) == {S.COMPLETED: 300}
        assert (await house.world.read(batch)).status == "completed"
        assert sorted(order.number for _, order in house.lines.sent) == sorted(number_of(i) for i in range(300))
        await house.world.assert_recount(batch)


async def test_ten_beside_ten_thousand_are_served_at_once(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        big = await house.submit([f"+1555{i:07d}" for i in range(10_000)])
        for _ in range(200):
            await house.pass_secs(0.01, step=0.01)
            if len(house.lines.sent) > 200:
                break
        before = len(house.lines.sent)
        small = await house.submit([f"+1666{i:07d}" for i in range(10)])
        for _ in range(200):
            await house.pass_secs(0.01, step=0.01)
            if await house.statuses(small) == {S.COMPLETED: 10}:
                break
        last = max(n for n, (_, order) in enumerate(house.lines.sent) if order.number.startswith("+1666"))
        assert await house.statuses(small) == {S.COMPLETED: 10}
        assert last - before < 500
        assert (await house.statuses(big))[S.PENDING] > 5_000


async def test_no_sliding_second_has_more_sends_than_the_number_allows(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_calls_per_second": 5.0}) as house:
        await house.submit(60)
        await house.pass_secs(14, step=0.02)
        times = [at for at, _ in house.lines.sent]
        assert len(times) >= 55  # nearly as fast as allowed
        for n, at in enumerate(times):
            assert sum(at <= other < at + 1.0 for other in times[n:]) <= 5


async def test_slower_than_one_a_second(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_calls_per_second": 0.5}) as house:
        await house.submit(5)
        await house.pass_secs(12, step=0.1)
        times = [at for at, _ in house.lines.sent]
        assert len(times) == 5
        assert all(later - earlier >= 2.0 for earlier, later in pairwise(times))


async def test_calls_at_once_stay_within_the_number_s_cap(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_concurrent_calls": 3}) as house:
        batch = await house.submit(ringing(10))
        await house.pass_secs(1)
        assert len(house.lines.sent) == 3
        await house.lines.hang_up(house.lines.keys()[0], even_if_answered=False)
        await house.pass_secs(1)
        assert len(house.lines.sent) == 4  # a freed slot is taken without anybody asking
        assert (await house.statuses(batch))[S.PENDING] == 6


async def test_calls_in_hand_stay_within_the_node_s_capacity(tmp_path: Path) -> None:
    async with dialling(tmp_path, capacity=4) as house:
        await house.submit(ringing(10))
        await house.pass_secs(1)
        assert len(house.lines.sent) == 4
        await house.lines.hang_up(house.lines.keys()[0], even_if_answered=False)
        await house.pass_secs(1)
        assert len(house.lines.sent) == 5


async def test_a_scheduled_batch_starts_at_its_time(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        await house.submit(3, scheduled_at=NOW + 100)
        await house.pass_secs(99.5, step=0.5)
        assert not house.lines.sent
        await house.pass_secs(1)
        assert len(house.lines.sent) == 3


async def test_a_paused_batch_calls_nobody_until_it_is_resumed(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_concurrent_calls": 2}) as house:
        batch = await house.submit(ringing(5))
        await house.pass_secs(0.5)
        assert len(house.lines.sent) == 2
        await house.store.pause(house.world.workspace_id, batch.public_id, paused=True, now=house.clock.now())
        for _, order in list(house.lines.sent):
            await house.lines.hang_up(order.call_key, even_if_answered=False)
        await house.pass_secs(5)
        assert len(house.lines.sent) == 2
        await house.store.pause(house.world.workspace_id, batch.public_id, paused=False, now=house.clock.now())
        await house.signal.ring(Topic.WORK)
        await house.pass_secs(0.5)
        assert len(house.lines.sent) == 4


async def test_outside_calling_hours_nobody_is_called_and_the_opening_wakes_the_node(tmp_path: Path) -> None:
    # NOW is 2027-01-15 08:00:00 UTC, a Friday
    hours = {"timezone": "UTC", "rules": [{"weekdays": None, "start": "08:02", "end": "09:00"}]}
    async with dialling(tmp_path) as house:
        await house.submit(3, calling_hours=hours)
        await house.pass_secs(119, step=1)
        assert not house.lines.sent
        await house.pass_secs(2, step=0.5)
        assert len(house.lines.sent) == 3


async def test_a_throttled_recipient_is_called_again_after_its_wait(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit(["+15550000904"])
        await house.pass_secs(2)
        assert len(house.lines.sent) == 1
        assert await house.statuses(batch) == {S.PENDING: 1}
        await house.pass_secs(2)
        assert len(house.lines.sent) == 2


async def idle(house: House, seconds: float) -> float:
    """Questions to the store per second while nothing happens."""
    await house.pass_secs(5)
    house.store.asked.clear()
    await house.pass_secs(seconds, step=0.5)
    return sum(house.store.asked.values()) / seconds


async def test_a_node_alone_is_nearly_silent_when_idle(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        await house.submit(5)
        assert await idle(house, 120) < 0.6, house.store.asked


async def test_a_node_among_others_asks_less_than_twice_a_second_when_idle(tmp_path: Path) -> None:
    settings = DiallerSettings("node-a", CallSettings("http://127.0.0.1:1"), alone=False)
    async with dialling(tmp_path, settings=settings) as house:
        assert await idle(house, 60) < 2, house.store.asked


async def test_work_without_a_signal_is_found_by_the_poll(tmp_path: Path) -> None:
    settings = DiallerSettings("node-a", CallSettings("http://127.0.0.1:1"), alone=False)
    async with dialling(tmp_path, settings=settings) as house:
        await house.world.submit(3)
        await house.pass_secs(1.5)
        assert len(house.lines.sent) == 3


async def test_a_node_that_lost_its_lease_registers_anew_and_goes_on(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        first = house.dialler.dispatcher._tenure.lease
        assert first is not None
        await house.store.register_node("node-a", now=house.clock.now())  # a twin with our name took over
        batch = await house.submit(2)
        await house.pass_secs(1)
        assert await house.statuses(batch) == {S.PENDING: 2}
        await house.pass_secs(8)
        assert await house.statuses(batch) == {S.COMPLETED: 2}
        again = house.dialler.dispatcher._tenure.lease
        assert again is not None
        assert again.epoch > first.epoch + 1


@pytest.mark.parametrize("n", [1, 64, 200])
async def test_many_batches_all_come_to_their_end(tmp_path: Path, n: int) -> None:
    async with dialling(tmp_path) as house:
        batches = [await house.submit([f"+1555{b:03d}{i:04d}" for i in range(3)]) for b in range(n)]
        await house.pass_secs(5)
        for batch in batches:
            assert await house.statuses(batch) == {S.COMPLETED: 3}
