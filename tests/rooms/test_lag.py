"""What counts as the dispatcher's delay, and what does not."""

from pathlib import Path
from typing import Any

from outdial.domain.batch import BatchStatus
from outdial.ports.meters import Unmetered
from tests.rooms.house import House, dialling

RINGS = "+1555777{:02d}0408"


class Waits(Unmetered):
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def dispatch_waited(self, seconds: float) -> None:
        self.seconds.append(seconds)


def metered(house: House) -> Waits:
    house.dialler.dispatcher._meters = waits = Waits()
    return waits


async def test_who_is_due_and_claimed_at_once_did_not_wait(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        waits = metered(house)
        await house.submit(30)
        await house.quiet()
        await house.pass_secs(2)
        assert waits.seconds
        assert max(waits.seconds) < 0.1
        assert house.dialler.dispatcher.lag.at(house.clock.now()) < 0.1


async def test_a_slow_turn_is_seen_in_it_and_after_it(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        waits = metered(house)
        seen: list[float] = []

        async def stall() -> None:
            house.store.before.pop("ready_batches")
            house.clock.pass_by(4.0)
            seen.append(house.dialler.dispatcher.lag.at(house.clock.now()))

        house.store.before["ready_batches"] = stall
        await house.submit(5)
        await house.pass_secs(1)
        assert seen == [4.0], "while it goes on"
        assert 3.9 < max(waits.seconds) < 4.5


async def test_waiting_for_a_slot_is_no_delay(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_concurrent_calls": 1}) as house:
        waits = metered(house)
        await house.submit([RINGS.format(n) for n in range(3)])
        await house.pass_secs(20)
        await house.lines.hang_up(house.lines.keys()[0], even_if_answered=False)
        await house.pass_secs(1)
        assert len(house.lines.sent) == 2
        assert max(waits.seconds) < 0.5


async def test_waiting_for_a_rate_is_no_delay(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_calls_per_second": 1.0}) as house:
        waits = metered(house)
        await house.submit(6)
        await house.pass_secs(8, step=0.1)
        assert len(house.lines.sent) == 6
        assert max(waits.seconds) < 1.2, "not the six seconds that the last one waited"


async def test_neither_a_pause_nor_a_later_start_is_a_delay(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        waits = metered(house)
        await house.submit(2, scheduled_at=house.clock.now() + 30)
        await house.pass_secs(40, step=1)
        batch = await house.submit([RINGS.format(n) for n in range(2)], scheduled_at=house.clock.now() + 5)
        store, workspace = house.world.store, house.world.workspace_id
        await store.pause(workspace, batch.public_id, paused=True, now=house.clock.now())
        await house.pass_secs(60, step=1)
        await resume(house, batch)
        await house.pass_secs(2)
        assert len(house.lines.sent) == 4
        assert max(waits.seconds) < 1.1


async def resume(house: House, batch: Any) -> None:
    from outdial.ports.signal import Topic

    store, workspace = house.world.store, house.world.workspace_id
    resumed = await store.pause(workspace, batch.public_id, paused=False, now=house.clock.now())
    assert resumed.status in {BatchStatus.PENDING, BatchStatus.IN_PROGRESS}
    await house.signal.ring(Topic.WORK)
