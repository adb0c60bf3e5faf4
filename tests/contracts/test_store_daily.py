"""What the store promises about an agent's calls a day, on both engines: exact, and in force from the next step on."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from outdial.domain.call import CONNECTION_REFUSED, EventKind
from outdial.domain.daily import EVE_SECS, day_of, next_day
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus as S
from outdial.ports.store import AgentRow, BatchRow, Claimed, ClaimWish, GoRequest, GoVerdict, Hold
from outdial.store import migrate
from outdial.store.store import SqlStore, open_store
from tests.conftest import SECRET
from tests.contracts.test_store_calls import execute
from tests.support.postgres import Databases
from tests.support.world import NOW, World, agent_row, ask, found_by_doctor, number_of

MIDNIGHT = next_day(NOW)
# the clock of these tests stands at 2027-01-15 08:00:00 UTC


@pytest.fixture
async def world(store: SqlStore, engine_url: str) -> World:
    return await World.make(store, engine_url, agent={"daily_limit": 5})


async def limit(world: World, daily_limit: int | None, agent: AgentRow | None = None) -> None:
    """As a PATCH of the agent does."""

    def change(before: AgentRow) -> AgentRow:
        return replace(before, daily_limit=daily_limit)

    public_id = (agent or world.agent).public_id
    await world.store.change_agent(world.workspace_id, public_id, change, now=world.now)


async def why(world: World, batch: BatchRow) -> str:
    return (await world.store.batch(world.workspace_id, batch.public_id, now=world.now)).status_reason


async def count(world: World) -> int:
    """The calls of this day that count."""
    rows = world.sql(f"select calls from agent_day where agent_id = {world.agent.id} and day = {day_of(world.now)}")
    return int(rows[0][0]) if rows else 0


async def go(world: World, claimed: Claimed, *, send_by: float | None = None) -> GoVerdict:
    times = (world.now + 17, 60.0, 600.0, 5.0)
    request = GoRequest(claimed.call_key, claimed.batch_id, claimed.generation, True, *times, send_by=send_by)
    return await world.store.go(world.lease, request, now=world.now)


# --- exact ---------------------------------------------------------------------------------------------------------


async def test_claims_in_chunks_take_no_more_than_the_limit_and_say_when_it_goes_on(world: World) -> None:
    batch = await world.submit(12)
    assert [len(await world.dial(batch, 2)) for _ in range(4)] == [2, 2, 1, 0]
    answer = await world.answer(batch)
    assert (answer.claimed, answer.hold, answer.again_at) == ((), Hold.DAILY_LIMIT, MIDNIGHT)
    assert await world.statuses(batch) == {S.DISPATCHED: 5, S.PENDING: 7}
    assert (await world.read(batch)).status == "in_progress"
    await world.assert_recount(batch)


async def test_the_batches_of_one_agent_share_its_day_in_one_claim_and_others_do_not(world: World) -> None:
    mine = [await world.submit([number_of(100 * b + i) for i in range(4)]) for b in range(3)]
    free = await world.store.create_agent(world.workspace_id, agent_row(), now=world.now)
    other = await world.submit([number_of(900 + i) for i in range(9)], agent_id=free.id)
    wishes = [ClaimWish(batch.id, 50, (0,)) for batch in (*mine, other)]
    answers = await world.store.claim(world.lease, wishes, now=world.now)
    assert [len(answer.claimed) for answer in answers] == [4, 1, 0, 9]
    assert [answer.hold for answer in answers[1:3]] == [Hold.DAILY_LIMIT] * 2
    await world.assert_recount(mine[0])


async def test_many_claims_at_once_of_several_nodes_take_exactly_the_limit(store: SqlStore, engine_url: str) -> None:
    world = await World.make(store, engine_url, agent={"daily_limit": 61})
    batches = [
        await world.submit([number_of(1000 * b + i) for i in range(60)], target_concurrency_limit=1000)
        for b in range(3)
    ]
    stores, leases = [store], [world.lease]
    if store.engine.shared:
        stores.append(open_store(engine_url, secret=SECRET))
        await stores[1].start()
        leases.append(await stores[1].register_node("two", now=world.now))
    try:
        asked = [
            one.claim(lease, [ClaimWish(b.id, want, (0,)) for b in turn], now=world.now)
            for want, turn in itertools.product((1, 2, 3, 4), itertools.permutations(batches))
            for one, lease in zip(stores, leases, strict=True)
        ]
        answers = [answer for answers in await asyncio.gather(*asked) for answer in answers]
        claimed = [one for answer in answers for one in answer.claimed]
        assert len(claimed) == 61, "more was asked for, and no more is given"
        assert await count(world) == 61
    finally:
        for one in stores[1:]:
            await one.stop()
    for batch in batches:
        await world.assert_recount(batch)


# --- what counts ---------------------------------------------------------------------------------------------------


async def test_what_was_never_sent_does_not_count(world: World) -> None:
    batch = await world.submit(9)
    void, throttled, unsent, paused, sent = await world.claim(batch, 5)
    assert await world.store.void(world.lease, void.call_key, reason="stopping", now=world.now)
    for one in (throttled, unsent, sent):
        assert await world.go(one) is GoVerdict.GO
    await world.report(throttled.call_key, EventKind.THROTTLED, retry_after=0.2)
    await world.report(unsent.call_key, EventKind.UNSENT, reason=CONNECTION_REFUSED)
    assert await world.go(paused, window_open=False) is GoVerdict.WINDOW_CLOSED
    assert await count(world) == 1
    world.now += 3
    assert len(await world.claim(batch)) == 4
    assert (await world.answer(batch)).hold is Hold.DAILY_LIMIT
    await world.assert_recount(batch)


async def test_what_was_sent_counts_however_it_ended(world: World) -> None:
    endings = [*Outcome, None]
    await limit(world, len(endings))
    batch = await world.submit(len(endings) + 5)
    for one, ending in zip(await world.dial(batch), endings, strict=True):
        if ending is None:
            await world.report(one.call_key, EventKind.LOST)
        else:
            await world.end(one.call_key, ending)
    assert await count(world) == len(endings)
    assert (await world.answer(batch)).hold is Hold.DAILY_LIMIT
    await world.retry(batch)
    assert await world.claim(batch) == [], "another round is another call"
    await world.assert_recount(batch)


async def test_a_cancel_and_a_dead_node_give_the_intents_back(world: World) -> None:
    first, second = await world.submit(2), await world.submit([number_of(50 + i) for i in range(9)])
    await world.claim(first)
    await world.claim(second)
    assert await count(world) == 5
    await world.cancel(first)
    assert await count(world) == 3
    world.lease = await world.store.register_node("one", now=world.now)
    assert (await world.store.reap(world.lease, now=world.now)).given_back == 3
    assert await count(world) == 0
    assert len(await world.dial(second)) == 5
    await world.assert_recount(second)


async def test_calls_of_an_agent_without_a_limit_count_for_one_that_it_gets_later(world: World) -> None:
    await limit(world, None)
    batch = await world.submit(12)
    assert len(await world.dial(batch, 8)) == 8
    await limit(world, 9)
    assert len(await world.dial(batch)) == 1
    assert (await world.answer(batch)).hold is Hold.DAILY_LIMIT
    await world.assert_recount(batch)


async def test_single_calls_count_and_wait_too(world: World) -> None:
    for i in range(5):
        assert len(await world.dial(await world.submit([number_of(i)], hidden=True))) == 1
    sixth = await world.submit([number_of(6)], hidden=True)
    assert await world.dial(sixth) == []
    assert sixth.status_reason.startswith("daily limit reached: 5 of at most 5 calls a day of this agent are placed")


# --- changes -------------------------------------------------------------------------------------------------------


async def test_a_changed_limit_is_that_of_the_next_claim(world: World) -> None:
    batch = await world.submit(20)
    assert len(await world.dial(batch)) == 5
    await limit(world, 7)
    assert len(await world.dial(batch)) == 2
    await limit(world, 3)
    assert await world.dial(batch) == []
    assert "7 of at most 3 calls a day" in await why(world, batch)
    await limit(world, 0)
    assert await world.dial(batch) == []
    assert "may call nobody" in await why(world, batch)
    world.now = MIDNIGHT
    assert (await world.answer(batch)).hold is Hold.DAILY_LIMIT, "0 is for every day"
    await limit(world, None)
    assert len(await world.dial(batch)) == 13
    await world.assert_recount(batch)


async def test_no_go_beyond_a_limit_that_was_lowered_since_the_claim(world: World) -> None:
    batch = await world.submit(9)
    claimed = await world.claim(batch)
    assert await world.go(claimed[0]) is GoVerdict.GO
    await limit(world, 3)
    verdicts = await asyncio.gather(*(world.go(one) for one in claimed[1:]))
    assert sorted(verdicts) == [GoVerdict.DAILY_LIMIT] * 2 + [GoVerdict.GO] * 2
    assert await count(world) == 3
    assert await world.statuses(batch) == {S.DISPATCHED: 3, S.PENDING: 6}
    await limit(world, 0)
    await world.assert_recount(batch)


async def test_the_doctor_s_recount_finds_a_wrong_day(world: World) -> None:
    batch = await world.submit(3)
    await world.dial(batch)
    assert found_by_doctor(world.store) == []
    execute(world.url, "update agent_day set calls = calls + 1")
    (damage,) = found_by_doctor(world.store)
    assert damage.where == f"a:{world.agent.id}"
    assert damage.what == f"it counts 4 calls on day {day_of(NOW)} since 1970, 3 were placed"


# --- the next day --------------------------------------------------------------------------------------------------


async def test_the_next_day_they_go_on(world: World) -> None:
    batch = await world.submit(9, timezone="Asia/Tokyo")
    for one in await world.dial(batch):
        await world.end(one.call_key, Outcome.BUSY)
    assert await why(world, batch) == (
        "daily limit reached: 5 of at most 5 calls a day of this agent are placed; "
        "it goes on at 2027-01-16 09:00 Asia/Tokyo"
    )
    world.now = MIDNIGHT - 0.001
    assert await world.claim(batch) == []
    world.now = MIDNIGHT
    assert await why(world, batch) == ""
    assert len(await world.dial(batch)) == 4
    await world.retry(batch)
    assert len(await world.dial(batch)) == 1
    await world.assert_recount(batch)


async def test_nobody_is_claimed_or_sent_when_it_could_be_the_next_day_by_then(world: World) -> None:
    batch = await world.submit(9)
    world.now = MIDNIGHT - EVE_SECS - 0.5
    one, two, three = await world.claim(batch, 3)
    assert await go(world, one, send_by=MIDNIGHT - 0.5) is GoVerdict.GO
    world.now = MIDNIGHT - EVE_SECS
    answer = await world.answer(batch)
    assert (answer.claimed, answer.hold, answer.again_at) == ((), Hold.DAILY_LIMIT, MIDNIGHT)
    world.now = MIDNIGHT - 1
    assert await go(world, two, send_by=MIDNIGHT + 1) is GoVerdict.DAILY_LIMIT
    world.now = MIDNIGHT + 1
    assert await go(world, three, send_by=MIDNIGHT + 3) is GoVerdict.GO, "it is a call of the new day"
    assert world.sql("select calls from agent_day order by day") == [(1,), (1,)]
    assert len(await world.dial(batch)) == 4
    await world.assert_recount(batch)


async def test_an_intent_of_yesterday_needs_a_place_today(world: World) -> None:
    batch = await world.submit(20)
    world.now = MIDNIGHT - EVE_SECS - 1
    late, later = await world.claim(batch, 2)
    world.now = MIDNIGHT + 1
    assert len(await world.dial(batch, 4)) == 4
    verdicts = await asyncio.gather(world.go(late), world.go(later))
    assert sorted(verdicts) == [GoVerdict.DAILY_LIMIT, GoVerdict.GO]
    assert await count(world) == 5
    assert (await world.answer(batch)).hold is Hold.DAILY_LIMIT
    await world.assert_recount(batch)


async def test_an_agent_without_a_limit_calls_on_through_midnight(world: World) -> None:
    await limit(world, None)
    batch = await world.submit(4)
    world.now = MIDNIGHT - 0.5
    one, two = await world.claim(batch, 2)
    assert await go(world, one, send_by=MIDNIGHT + 1.5) is GoVerdict.GO
    world.now = MIDNIGHT + 0.5
    assert await go(world, two, send_by=MIDNIGHT + 2.5) is GoVerdict.GO
    assert world.sql("select calls from agent_day order by day") == [(1,), (1,)]
    await world.assert_recount(batch)


async def test_days_long_over_are_struck_off_and_do_not_come_back(world: World) -> None:
    batch = await world.submit(9)
    (left,) = await world.claim(batch, 1)
    world.now += 9 * 86_400
    await world.sweep()
    assert world.sql("select count(*) from agent_day") == [(0,)]
    assert await world.store.void(world.lease, left.call_key, reason="stopping", now=world.now)
    assert world.sql("select count(*) from agent_day") == [(0,)]
    assert len(await world.dial(batch)) == 5
    await world.assert_recount(batch)


# --- databases that are older than the limit -----------------------------------------------------------------------

BEFORE = {"sqlite": 3, "postgres": 4}
"""The schema version before days were counted."""
STORED: dict[str, int | None] = {
    '{"call_limits":{"daily_limit":3}}': 3,
    '{"call_limits":{"daily_limit":0}}': 0,
    '{"call_limits":{"daily_limit":-1}}': None,
    '{"call_limits":{"daily_limit":null}}': None,
    '{"call_limits":{"daily_limit":"3"}}': None,
    '{"call_limits":[]}': None,
    '{"words":"\\u0000"}': None,
    "{}": None,
}


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> Iterator[str]:
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path}/old.db"
        return
    databases: Databases = request.getfixturevalue("postgres_databases")
    url = databases.create_empty()
    yield url
    databases.drop(url)


async def started(url: str) -> None:
    """Open it once, with its migrations."""
    store = open_store(url, secret=SECRET)
    await store.start()
    await store.stop()


@pytest.mark.parametrize("engine", BEFORE)
async def test_what_was_stored_acts_after_the_upgrade_and_the_day_s_calls_count(
    empty_url: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = migrate.migrations
    with monkeypatch.context() as older:
        older.setattr(migrate, "migrations", lambda folder: itertools.islice(every(folder), BEFORE[engine]))
        await started(empty_url)
    execute(empty_url, "insert into workspace (public_id, name, created_at) values ('w', 'w', 0)")
    for n, settings in enumerate(STORED):
        execute(
            empty_url,
            "insert into agent (workspace_id, public_id, name, conversation_config, platform_settings, created_at, "
            f"updated_at) select id, 'agent_{n}', 'Ada', '{{}}', '{settings}', 0, 0 from workspace",
        )
    now = round(time.time() * 1_000_000)
    for n, (state, at) in enumerate((("ended", now), ("intent", now), ("void", now), ("ended", 1_000_000))):
        execute(
            empty_url,
            "insert into attempt (call_key, workspace_id, batch_id, ord, recipient_id, number, agent_id, number_id, "
            "trunk, provider, round, generation, state, holds, node, epoch, heard_at, claimed_at) "
            f"select 'k{n}', 1, 1, 1, 'r', '+1', id, 1, 't', 'loopback', 0, 0, '{state}', false, 'n', 1, {at}, {at} "
            "from agent where public_id = 'agent_0'",
        )
    await started(empty_url)
    kept = ask(empty_url, "select platform_settings, daily_limit from agent")
    assert dict(kept) == STORED
    assert ask(empty_url, "select day, calls from agent_day") == [(day_of(now / 1_000_000), 2)]
