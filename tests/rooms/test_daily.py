"""An agent's calls a day, as a node dials them: never one more, and the next day wakes it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from outdial.domain.daily import day_of, next_day
from outdial.domain.recipient import RecipientStatus as S
from outdial.ports.signal import Topic
from outdial.ports.store import AgentRow
from tests.rooms.house import House, dialling
from tests.support.world import NOW, number_of


def sent_by_day(house: House) -> list[int]:
    """How many orders went out on each day of UTC."""
    wall = house.clock.now() - house.clock.boottime()
    days = Counter(day_of(at + wall) for at, _ in house.lines.sent)
    return [days[day] for day in sorted(days)]


async def until_midnight(house: House, *, but: float) -> None:
    """Let time pass, but for the last seconds of the day."""
    left = next_day(house.clock.now()) - house.clock.now() - but
    await house.pass_secs(left, step=left / 20)


async def patch_limit(house: House, daily_limit: int | None) -> None:
    def change(before: AgentRow) -> AgentRow:
        return replace(before, daily_limit=daily_limit)

    world = house.world
    await house.store.change_agent(world.workspace_id, world.agent.public_id, change, now=house.clock.now())
    await house.signal.ring(Topic.WORK)


async def test_who_is_too_many_for_a_day_waits_and_is_called_on_the_next_by_itself(tmp_path: Path) -> None:
    async with dialling(tmp_path, agent={"daily_limit": 30}) as house:
        first, second = await house.submit(50), await house.submit([number_of(100 + n) for n in range(50)])
        await house.pass_secs(5)
        assert sent_by_day(house) == [30]
        turns = house.dialler.dispatcher.turns
        await house.pass_secs(600, step=5)
        assert house.dialler.dispatcher.turns - turns < 30, "it sleeps"
        for days in ([30], [30, 30], [30, 30, 30]):
            await until_midnight(house, but=10)
            assert sent_by_day(house) == days
            await house.pass_secs(15, step=1)
        assert sent_by_day(house) == [30, 30, 30, 10]
        for batch in (first, second):
            assert await house.statuses(batch) == {S.COMPLETED: 50}
            await house.world.assert_recount(batch)
        assert len({order.number for _, order in house.lines.sent}) == 100


async def test_a_day_begins_exactly_and_nothing_is_sent_that_could_be_of_either(tmp_path: Path) -> None:
    async with dialling(tmp_path, agent={"daily_limit": 25}, number={"max_calls_per_second": 4.0}) as house:

        async def slow() -> None:
            await house.clock.sleep(0.9)

        house.store.before["go"] = slow
        batch = await house.submit(200, scheduled_at=next_day(NOW) - 9)
        await until_midnight(house, but=20)
        await house.pass_secs(60, step=0.1)
        one, two = sent_by_day(house)
        assert 10 < one < 25, "some, and then the quiet moments before midnight"
        assert two == 25
        await house.world.assert_recount(batch)


async def test_a_raised_limit_acts_at_once_and_a_lowered_one_from_the_next_go_on(tmp_path: Path) -> None:
    async with dialling(tmp_path, agent={"daily_limit": 0}, number={"max_calls_per_second": 5.0}) as house:
        batch = await house.submit(60)
        await house.pass_secs(3)
        assert not house.lines.sent
        await patch_limit(house, 4)
        await house.pass_secs(3, step=0.1)
        assert len(house.lines.sent) == 4
        await patch_limit(house, 40)
        await house.pass_secs(3, step=0.1)
        assert 10 < len(house.lines.sent) < 30
        await patch_limit(house, 0)
        before = len(house.lines.sent)
        await house.pass_secs(10, step=0.1)
        assert len(house.lines.sent) - before <= 1, "one may have had GO"
        await patch_limit(house, None)
        await house.pass_secs(15, step=0.1)
        assert await house.statuses(batch) == {S.COMPLETED: 60}
        await house.world.assert_recount(batch)


async def test_throttled_calls_come_back_within_the_day_s_limit(tmp_path: Path) -> None:
    async with dialling(tmp_path, agent={"daily_limit": 3}) as house:
        throttled = [f"+1555999{n}0904" for n in range(4)]
        await house.submit(throttled)
        await house.pass_secs(1)
        batch = await house.submit(6)
        await house.pass_secs(2)
        assert await house.statuses(batch) == {S.COMPLETED: 3, S.PENDING: 3}, "who was throttled left them the day"
        assert house.dialler.dispatcher.lag.seconds < 1


async def test_agents_whose_day_is_used_up_don_t_hide_one_who_may_call(tmp_path: Path) -> None:
    async with dialling(tmp_path, agent={"daily_limit": 1}) as house:
        for b in range(100):
            await house.submit([f"+1777{b:03d}{i:04d}" for i in range(2)])
        free = await house.store.create_agent(
            house.world.workspace_id, replace(house.world.agent, public_id="agent_free", daily_limit=None), now=NOW
        )
        batch = await house.submit(3, agent_id=free.id)
        await house.pass_secs(3)
        assert await house.statuses(batch) == {S.COMPLETED: 3}
        turns = house.dialler.dispatcher.turns
        await house.pass_secs(300, step=5)
        assert house.dialler.dispatcher.turns - turns < 60
