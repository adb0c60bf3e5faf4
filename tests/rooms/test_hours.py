"""Calling hours and the do-not-call list while a node dials, with a clock that the tests move."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus as S
from outdial.domain.window import open_at, parse
from outdial.ports.signal import Topic
from outdial.ports.store import BatchRow
from outdial.workspace import suppression
from tests.rooms.house import House, dialling
from tests.support.world import NOW

# NOW is 2027-01-15 08:00:00 UTC, a Friday: 09:00 in Berlin, 17:00 in Tokyo, 03:00 in New York
BERLIN, TOKYO, NEW_YORK = "+4930123%04d", "+8131234%04d", "+1212555%04d"
DAYTIME = {"timezone": None, "rules": [{"weekdays": None, "start": "09:00", "end": "17:30"}]}
CLOSED = {"timezone": "UTC", "rules": [{"weekdays": None, "start": "01:00", "end": "02:00"}]}
SOON = {"timezone": "UTC", "rules": [{"weekdays": None, "start": "08:01", "end": "09:00"}]}


async def set_hours(house: House, hours: dict[str, Any] | None) -> None:
    await house.store.set_calling_hours(house.world.workspace_id, hours, now=house.clock.now())
    await house.signal.ring(Topic.WORK)


async def until_sorted(house: House, batch: BatchRow) -> None:
    """Zones are looked up in a thread, in real time."""
    async with asyncio.timeout(30):
        while await house.world.store.unsorted(batch.id, limit=1):
            await house.pass_secs(0.01)
            await asyncio.sleep(0.01)


def sent(house: House, prefix: str) -> int:
    return sum(order.number.startswith(prefix) for _, order in house.lines.sent)


async def test_a_workspace_s_hours_hold_up_who_was_listed_before_and_go_by_each_number_s_zone(tmp_path: Path) -> None:
    async with dialling(tmp_path, running=False) as house:
        numbers = [form % n for form in (BERLIN, TOKYO, NEW_YORK) for n in range(40)]
        batch = await house.submit(numbers)
        await set_hours(house, DAYTIME)
        await house.group.start()
        await until_sorted(house, batch)
        await house.pass_secs(5)
        assert (sent(house, "+4930"), sent(house, "+813"), sent(house, "+1212")) == (40, 40, 0)
        await house.pass_secs(21_000, step=600)  # 13:50 UTC and a few seconds
        assert sent(house, "+1212") == 0
        await house.pass_secs(690, step=5)
        assert sent(house, "+1212") == 40
        assert await house.statuses(batch) == {S.COMPLETED: 120}
        await house.world.assert_recount(batch)


async def test_hours_that_come_while_a_batch_runs_stop_it_from_the_next_go_on(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_calls_per_second": 2.0}) as house:
        batch = await house.submit(40)
        await house.pass_secs(3, step=0.1)
        before = len(house.lines.sent)
        assert 2 <= before < 20
        await set_hours(house, CLOSED)
        await house.pass_secs(30, step=0.5)
        assert len(house.lines.sent) - before <= 1, "one may have had GO"
        await set_hours(house, SOON)
        await house.pass_secs(25, step=1)
        assert len(house.lines.sent) - before <= 1
        await house.pass_secs(40, step=0.5)
        assert len(house.lines.sent) > before + 10, "the earlier opening is not slept through"
        await set_hours(house, None)
        await house.pass_secs(10, step=0.2)
        assert await house.statuses(batch) == {S.COMPLETED: 40}
        await house.world.assert_recount(batch)


async def test_a_batch_s_own_hours_win(tmp_path: Path) -> None:
    always = {"timezone": "UTC", "rules": [{"start": "00:00", "end": "24:00"}]}
    async with dialling(tmp_path) as house:
        await set_hours(house, CLOSED)
        free = await house.submit(3, calling_hours=always)
        bound = await house.submit([f"+1666000{n:04d}" for n in range(3)])
        await house.pass_secs(3)
        assert await house.statuses(free) == {S.COMPLETED: 3}
        assert await house.statuses(bound) == {S.PENDING: 3}


async def test_nobody_is_sent_in_the_last_moments_of_the_hours(tmp_path: Path) -> None:
    until = {"timezone": "UTC", "rules": [{"weekdays": None, "start": "07:00", "end": "08:00:10"}]}
    async with dialling(tmp_path, number={"max_calls_per_second": 5.0}) as house:
        batch = await house.submit(200, calling_hours=until)
        await house.pass_secs(30, step=0.1)
        times = [at for at, _ in house.lines.sent]
        assert 20 < len(times) < 60
        boot = house.clock.boottime() - (house.clock.now() - NOW)
        assert max(times) - boot < 10
        assert set(await house.statuses(batch)) == {S.COMPLETED, S.PENDING}
        turns = house.dialler.dispatcher.turns
        await house.pass_secs(600, step=5)
        assert house.dialler.dispatcher.turns - turns < 30, "it sleeps until they open"


async def test_who_opts_out_while_the_batch_runs_is_not_sent_afterwards(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_calls_per_second": 10.0}) as house:
        numbers = [f"+1555{n:07d}" for n in range(200)]
        batch = await house.submit(numbers)
        await house.pass_secs(3, step=0.1)
        out = set(numbers[::2])
        await house.store.suppress(house.world.workspace_id, sorted(out), reason="asked", now=house.clock.now())
        answered = house.clock.boottime()
        for _ in range(60):
            await house.pass_secs(1, step=0.1)
        late = [order.number for at, order in house.lines.sent if order.number in out and at > answered + 2.0]
        assert late == []
        outcomes = await house.outcomes(batch)
        assert set(outcomes) == {Outcome.COMPLETED, Outcome.SUPPRESSED}
        assert outcomes[Outcome.SUPPRESSED] >= 70
        assert (await house.world.read(batch)).suppressed == outcomes[Outcome.SUPPRESSED]
        await house.world.assert_recount(batch)


async def test_a_phone_that_rings_when_its_owner_opts_out_stops_ringing(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit(["+15557770408", "+15557780408"])
        await house.pass_secs(1)
        keeper = suppression.Keeper(house.world.store, house.signal, house.clock)
        await suppression.add(keeper, house.world.workspace_id, [("+15557770408", "asked")], source="api")
        await house.pass_secs(2)
        assert len(house.lines.hung_up) == 1
        assert await house.outcomes(batch) == {Outcome.SUPPRESSED: 1, None: 1}
        await house.world.assert_recount(batch)


@pytest.mark.parametrize("n", [100, 200])
async def test_many_batches_outside_their_hours_don_t_hide_one_that_is_open(tmp_path: Path, n: int) -> None:
    async with dialling(tmp_path) as house:
        for b in range(n):
            await house.submit([f"+1777{b:03d}{i:04d}" for i in range(2)], calling_hours=CLOSED)
        batch = await house.submit(3)
        await house.pass_secs(5)
        assert await house.statuses(batch) == {S.COMPLETED: 3}
        turns = house.dialler.dispatcher.turns
        await house.pass_secs(300, step=5)
        assert house.dialler.dispatcher.turns - turns < 60


async def test_every_send_of_a_day_lies_within_the_hours_of_its_zone(tmp_path: Path) -> None:
    hours = {"timezone": None, "rules": [{"weekdays": ["fri"], "start": "09:30", "end": "10:00"}]}
    rule = parse(hours)
    zone = {"+4930": "Europe/Berlin", "+813": "Asia/Tokyo", "+1212": "America/New_York"}
    async with dialling(tmp_path, number={"max_calls_per_second": 0.05}) as house:
        await set_hours(house, hours)
        batch = await house.submit([form % n for n in range(200) for form in (BERLIN, TOKYO, NEW_YORK)])
        await until_sorted(house, batch)
        await house.pass_secs(1_500, step=300)  # 08:25
        await house.pass_secs(2_400, step=5)  # 09:05
        await house.pass_secs(19_200, step=600)  # 14:25
        await house.pass_secs(2_400, step=5)
        offset = house.clock.now() - house.clock.boottime()
        rang = Counter[str]()
        for at, order in house.lines.sent:
            where = next(name for prefix, name in zone.items() if order.number.startswith(prefix))
            assert open_at(rule, [where], datetime.fromtimestamp(at + offset, UTC)), (where, at + offset - NOW)
            rang[where] += 1
        assert rang["Asia/Tokyo"] == 0
        assert min(rang["Europe/Berlin"], rang["America/New_York"]) > 40
