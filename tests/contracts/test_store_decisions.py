"""What the store promises about decisions: who is meant, once, in order, however far the row work has come."""

import asyncio
import random
from dataclasses import replace

import psycopg
import pytest

from outdial.domain.call import CallEvent, EventKind
from outdial.domain.errors import Invalid, NotFound
from outdial.domain.outcome import Ending, Outcome
from outdial.domain.recipient import RecipientStatus as S
from outdial.ports.store import GoVerdict, RequestKey
from outdial.store import deciding
from outdial.store.store import SqlStore
from tests.support.world import World, number_of

CYCLE = [Outcome.COMPLETED, Outcome.BUSY, Outcome.NO_ANSWER, Outcome.VOICEMAIL, Outcome.INVALID_NUMBER]


@pytest.fixture
async def world(store: SqlStore, engine_url: str) -> World:
    return await World.make(store, engine_url)


@pytest.fixture(params=["at_once", "in_chunks"])
def pace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the row work is done in the decision's transaction or follows."""
    if request.param == "in_chunks":
        monkeypatch.setattr(deciding, "AT_ONCE", 0)
        monkeypatch.setattr(deciding, "STRIDE", 7)
    return str(request.param)


async def test_retry_takes_exactly_those_who_failed_or_did_not_respond(world: World, pace: str) -> None:
    batch = await world.submit(50)
    await world.dial_all(batch, CYCLE)
    assert (await world.read(batch)).status == "completed"
    answered = await world.retry(batch)
    assert (answered.taken, answered.batch.retry_count) == (20, 1)
    assert (answered.batch.status, answered.batch.counters.finished) == ("pending", 30)
    expected = {S.PENDING: 20, S.COMPLETED: 10, S.VOICEMAIL: 10, S.FAILED: 10}
    assert await world.statuses(batch) == expected
    await world.sweep()
    assert await world.statuses(batch) == expected
    await world.assert_recount(batch)
    again = await world.claim(batch)
    assert {one.ord % 5 for one in again} == {1, 2}
    assert {one.round for one in again} == {1}


async def test_retry_with_nobody_to_call_changes_nothing(world: World) -> None:
    batch = await world.submit(5)
    await world.dial_all(batch, Outcome.COMPLETED)
    before = await world.read(batch)
    world.now += 5
    answered = await world.retry(batch)
    assert (answered.taken, answered.batch) == (0, before)


async def test_retry_includes_voicemail_and_cancelled_only_when_asked(world: World, pace: str) -> None:
    batch = await world.submit(20)
    for one in await world.dial(batch, 10):
        await world.end(one.call_key, CYCLE[one.ord % 5])
    await world.cancel(batch)
    assert (await world.retry(batch)).taken == 4
    assert (await world.retry(batch, S.VOICEMAIL)).taken == 2
    assert (await world.retry(batch, S.CANCELLED)).taken == 10
    assert (await world.statuses(batch))[S.PENDING] == 16
    await world.sweep()
    assert (await world.statuses(batch))[S.PENDING] == 16
    await world.assert_recount(batch)
    await world.dial_all(batch, Outcome.COMPLETED)
    assert (await world.read(batch)).status == "completed"
    await world.assert_recount(batch)


async def test_retry_on_a_running_batch_takes_those_settled_before_it(world: World, pace: str) -> None:
    batch = await world.submit(30)
    early = await world.dial(batch, 10)
    late = await world.dial(batch, 10)
    for one in early:
        await world.end(one.call_key, Outcome.BUSY)
    assert (await world.retry(batch)).taken == 10
    for one in late:
        await world.end(one.call_key, Outcome.BUSY)
    await world.sweep()
    rounds = {p.ord: (p.status, p.round) for p in await world.people(batch)}
    assert {rounds[one.ord] for one in early} == {(S.PENDING, 1)}
    assert {rounds[one.ord] for one in late} == {(S.FAILED, 0)}
    await world.assert_recount(batch)


async def test_two_retries_at_once_queue_nobody_twice(world: World, pace: str) -> None:
    batch = await world.submit(20)
    await world.dial_all(batch, Outcome.BUSY)
    answers = await asyncio.gather(*(world.retry(batch) for _ in range(20)))
    assert sorted(a.taken for a in answers) == [0] * 19 + [20]
    await world.sweep()
    assert len(await world.claim(batch, 100)) == 20
    assert (await world.read(batch)).retry_count == 1
    await world.assert_recount(batch)


async def test_cancel_answers_with_everybody_waiting_cancelled(world: World, pace: str) -> None:
    batch = await world.submit(40)
    intents = await world.claim(batch, 5)
    ringing = await world.dial(batch, 5)
    live = await world.dial(batch, 5)
    for one in ringing:
        await world.report(one.call_key, EventKind.RINGING)
    for one in live:
        await world.report(one.call_key, EventKind.ANSWERED)
    answered = await world.cancel(batch)
    assert (answered.batch.status, answered.taken) == ("cancelled", 30)
    assert await world.statuses(batch) == {S.CANCELLED: 30, S.INITIATED: 5, S.IN_PROGRESS: 5}
    assert {g.call_key for g in await world.store.given_up()} == {one.call_key for one in ringing}
    for one in intents:
        assert await world.go(one) is GoVerdict.GONE
    assert await world.claim(batch) == []
    for one in ringing:
        await world.end(one.call_key, Outcome.NETWORK_ERROR)
    for one in live:
        await world.end(one.call_key, Outcome.COMPLETED)
    await world.sweep()
    assert await world.statuses(batch) == {S.CANCELLED: 35, S.COMPLETED: 5}
    assert (await world.read(batch)).status == "cancelled"
    assert await world.store.given_up() == []
    await world.assert_recount(batch)
    again = await world.cancel(batch)
    assert again.taken == 0
    assert again.batch == await world.read(batch)


async def test_cancel_with_hang_up_ends_conversations_too(world: World) -> None:
    batch = await world.submit(2)
    (live,) = await world.dial(batch, 1)
    await world.report(live.call_key, EventKind.ANSWERED)
    await world.cancel(batch)
    assert await world.store.given_up() == []
    await world.cancel(batch, hang_up=True)
    assert [(g.call_key, g.even_if_answered) for g in await world.store.given_up()] == [(live.call_key, True)]
    await world.end(live.call_key, Outcome.COMPLETED)
    assert await world.statuses(batch) == {S.CANCELLED: 2}
    await world.assert_recount(batch)


async def test_cancel_of_a_batch_that_is_over_leaves_it(world: World) -> None:
    batch = await world.submit(2)
    await world.dial_all(batch, Outcome.BUSY)
    before = await world.read(batch)
    world.now += 3
    assert (await world.cancel(batch)).batch == before


async def test_unsent_after_a_cancel_is_cancelled_not_waiting(world: World) -> None:
    batch = await world.submit(1)
    (one,) = await world.dial(batch)
    await world.cancel(batch)
    await world.report(one.call_key, EventKind.UNSENT, reason="stopped")
    assert await world.statuses(batch) == {S.CANCELLED: 1}
    await world.assert_recount(batch)


async def test_cancel_then_retry_before_any_sweep_calls_only_the_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "AT_ONCE", 0)
    monkeypatch.setattr(deciding, "STRIDE", 3)
    batch = await world.submit(30)
    for one in await world.dial(batch, 10):
        await world.end(one.call_key, Outcome.BUSY)
    await world.cancel(batch)
    assert (await world.retry(batch)).taken == 10
    assert await world.claim(batch) == []  # whoever the cancel meant is in the hopper still, with an old generation
    await world.sweep()
    assert {one.ord for one in await world.claim(batch)} == set(range(10))
    assert await world.statuses(batch) == {S.DISPATCHED: 10, S.CANCELLED: 20}
    await world.assert_recount(batch)


async def test_retry_then_cancel_before_any_sweep_leaves_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "AT_ONCE", 0)
    monkeypatch.setattr(deciding, "STRIDE", 4)
    batch = await world.submit(30)
    await world.dial_all(batch, Outcome.BUSY)
    await world.retry(batch)
    await world.store.sweep(now=world.now)
    assert (await world.cancel(batch)).taken == 30
    assert await world.statuses(batch) == {S.CANCELLED: 30}
    await world.sweep()
    assert await world.statuses(batch) == {S.CANCELLED: 30}
    assert world.sql("select count(*) from due") == [(0,)]
    await world.retry(batch, S.CANCELLED)
    assert (await world.statuses(batch)) == {S.PENDING: 30}
    await world.sweep()
    await world.assert_recount(batch)
    assert len(await world.claim(batch)) == 30


async def test_late_truth_meets_an_undone_retry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "AT_ONCE", 0)
    batch = await world.submit(3)
    calls = await world.dial(batch)
    for one in calls:
        await world.report(one.call_key, EventKind.LOST)
    await world.retry(batch)
    await world.end(calls[0].call_key, Outcome.COMPLETED)
    await world.end(calls[1].call_key, Outcome.BUSY)
    assert await world.statuses(batch) == {S.COMPLETED: 1, S.PENDING: 2}
    await world.assert_recount(batch)
    await world.sweep()
    assert await world.statuses(batch) == {S.COMPLETED: 1, S.PENDING: 2}
    assert sorted(one.ord for one in await world.claim(batch)) == [1, 2]
    await world.assert_recount(batch)


async def test_delete_hides_at_once_and_erases_when_no_call_is_open(world: World, pace: str) -> None:
    batch = await world.submit(20)
    (live,) = await world.dial(batch, 1)
    await world.report(live.call_key, EventKind.ANSWERED)
    await world.store.delete_batch(world.workspace_id, batch.public_id, now=world.now)
    with pytest.raises(NotFound):
        await world.read(batch)
    await world.sweep()
    assert world.sql(f"select count(*) from recipient where batch_id = {batch.id}") == [(20,)]
    await world.end(live.call_key, Outcome.COMPLETED)
    await world.sweep()
    assert world.sql(f"select count(*) from recipient where batch_id = {batch.id}") == [(0,)]
    assert world.sql("select count(*) from due") == [(0,)]
    conversation = await world.store.conversation(world.workspace_id, live.call_key)
    assert conversation.recipient_id == "r0"
    with pytest.raises(NotFound):
        await world.store.delete_batch(world.workspace_id, batch.public_id, now=world.now)


async def test_preview_tells_whom_a_retry_would_take(world: World) -> None:
    batch = await world.submit(10)
    await world.dial_all(batch, CYCLE)
    preview = await world.store.preview(world.workspace_id, batch.public_id, frozenset())
    assert preview.would_call == 4
    assert preview.by_outcome == {Outcome.BUSY: 2, Outcome.NO_ANSWER: 2}
    assert {(left.outcome, left.count) for left in preview.would_not} == {
        (Outcome.COMPLETED, 2),
        (Outcome.VOICEMAIL, 2),
        (Outcome.INVALID_NUMBER, 2),
    }


# --- replay ----------------------------------------------------------------------------------------------------------


def key(world: World, name: str = "k") -> RequestKey:
    return RequestKey(world.workspace_id, name, 10)


async def test_a_twin_of_a_submit_gets_the_first_answer_and_makes_no_second_batch(world: World) -> None:
    first = await world.submit(5, request=key(world))
    second = await world.submit(5, request=key(world))
    assert second == first
    assert len(await world.store.batches(world.workspace_id, limit=10, before=None, agent_public_id=None)) == 1
    await world.sweep()
    assert world.sql("select count(*) from recipient") == [(5,)]
    assert len(await world.claim(first)) == 5
    world.now += 11
    assert (await world.submit(5, request=key(world))).id != first.id


async def test_a_twin_of_a_retry_opens_no_second_round(world: World) -> None:
    batch = await world.submit(5)
    await world.dial_all(batch, Outcome.BUSY)
    first = await world.retry(batch, request=key(world))
    await world.dial_all(batch, Outcome.BUSY)
    twin = await world.retry(batch, request=key(world))
    assert (twin.replayed, twin.batch, twin.taken) == (True, first.batch, 5)
    assert (await world.retry(batch, request=key(world, "other"))).batch.retry_count == 2


async def test_an_act_whose_answer_nobody_heard_is_repeated_for_longer(world: World) -> None:
    unheard = replace(key(world), unheard_secs=120)
    first = await world.submit(5, request=unheard)
    world.now += 100
    assert (await world.submit(5, request=unheard)).id == first.id
    await world.store.note_answer(unheard, now=world.now)
    world.now += 9
    assert (await world.submit(5, request=unheard)).id == first.id
    world.now += 2
    assert (await world.submit(5, request=unheard)).id != first.id


async def test_a_note_makes_no_time_longer(world: World) -> None:
    first = await world.submit(5, request=key(world))
    world.now += 9
    await world.store.note_answer(key(world), now=world.now)
    world.now += 2
    assert (await world.submit(5, request=key(world))).id != first.id


async def test_a_twin_after_a_cancel_gets_the_batch_as_it_is_and_after_a_delete_nothing(world: World) -> None:
    batch = await world.submit(5, request=key(world))
    await world.cancel(batch)
    twin = await world.submit(5, request=key(world))
    assert (twin.id, twin.status) == (batch.id, "cancelled")
    await world.store.delete_batch(world.workspace_id, batch.public_id, now=world.now)
    with pytest.raises(NotFound):
        await world.submit(5, request=key(world))
    with pytest.raises(NotFound):
        await world.store.replayed(key(world), now=world.now)


async def test_a_callers_own_key_for_another_body_is_refused(world: World) -> None:
    mine = RequestKey(world.workspace_id, "mine", 10, "one body")
    batch = await world.submit(2, request=mine)
    assert (await world.submit(2, request=mine)).id == batch.id
    with pytest.raises(Invalid):
        await world.submit(3, request=replace(mine, content="another body"))
    assert len(await world.store.batches(world.workspace_id, limit=10, before=None, agent_public_id=None)) == 1


async def test_cancel_ends_a_pause(world: World) -> None:
    batch = await world.submit(2)
    await world.store.pause(world.workspace_id, batch.public_id, paused=True, now=world.now)
    assert not (await world.cancel(batch)).batch.paused
    await world.retry(batch, S.CANCELLED)
    assert len(await world.claim(batch)) == 2


# --- everything at random --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
async def test_random_courses_keep_every_promise(world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ring without GO, at most one GO per person and round, and every counter equal to a recount."""
    rng = random.Random(seed)
    monkeypatch.setattr(deciding, "AT_ONCE", rng.choice([0, 4, 2000]))
    monkeypatch.setattr(deciding, "STRIDE", rng.choice([3, 8, 4000]))
    batch = await world.submit([number_of(i % 28) for i in range(30)])
    went: set[tuple[int, int]] = set()
    calls = []
    ends = [*CYCLE, Outcome.NETWORK_ERROR, Outcome.BLOCKED]

    async def dial() -> None:
        for one in await world.claim(batch, rng.randint(1, 8)):
            if rng.random() < 0.8 and await world.go(one) is GoVerdict.GO:
                assert (one.ord, one.round) not in went or one.ord in unsent
                went.add((one.ord, one.round))
                unsent.discard(one.ord)
                calls.append(one)

    unsent: set[int] = set()

    async def report() -> None:
        together: list[CallEvent] = []
        for one in rng.sample(calls, min(len(calls), 6)):
            kind = rng.choice(list(EventKind))
            if kind in {EventKind.UNSENT, EventKind.THROTTLED} and rng.random() < 0.7:
                kind = EventKind.ENDED
            event = CallEvent(
                one.call_key,
                kind,
                world.now,
                event_id=f"x{next(world.ids)}" if rng.random() < 0.5 else None,
                ending=Ending(rng.choice(ends)) if kind is EventKind.ENDED else None,
                reason="r",
            )
            together += [event] * rng.randint(1, 2)
            unsent.add(one.ord)
            if rng.random() < 0.6:
                await world.store.take(together, now=world.now)
                together.clear()
        await world.store.take(together, now=world.now)

    moves = {
        "dial": dial,
        "report": report,
        "sweep": lambda: world.store.sweep(now=world.now),
        "retry": lambda: world.retry(batch, *rng.sample([S.VOICEMAIL, S.CANCELLED], rng.randint(0, 2))),
        "cancel": lambda: world.cancel(batch, hang_up=rng.random() < 0.5),
        "pause": lambda: world.store.pause(world.workspace_id, batch.public_id, paused=True, now=world.now),
        "resume": lambda: world.store.pause(world.workspace_id, batch.public_id, paused=False, now=world.now),
        "reap": lambda: world.store.reap(world.lease, now=world.now),
    }
    weights = {"dial": 10, "report": 14, "sweep": 5, "retry": 3, "cancel": 1, "pause": 1, "resume": 3, "reap": 1}
    for _ in range(120):
        world.now += rng.choice([0.0, 0.5, 3.0])
        name = rng.choices(list(weights), list(weights.values()))[0]
        await moves[name]()
        if rng.random() < 0.3:
            await world.assert_recount(batch)
    await world.sweep()
    await world.assert_recount(batch)
    waiting = {p.ord for p in await world.people(batch) if p.status is S.PENDING}
    control = world.sql(f"select generation from batch_control where batch_id = {batch.id}")
    hopper = world.sql(f"select ord, generation from due where batch_id = {batch.id}")
    assert sorted(ord_ for ord_, _ in hopper) == sorted(waiting)
    assert {generation for _, generation in hopper} <= {control[0][0]}


async def test_what_nobody_asks_for_any_more_goes(world: World) -> None:
    day = 86_400.0
    old = await world.submit(3, request=RequestKey(world.workspace_id, "act", day))
    await world.dial_all(old, Outcome.COMPLETED)
    world.now += 6 * day
    new = await world.submit(1, request=RequestKey(world.workspace_id, "another act", day))
    await world.dial_all(new, Outcome.BUSY)
    await world.sweep()
    assert world.sql("select key from request") == [("another act",)]
    assert world.sql("select batch_id, count(*) from outbox group by 1 order by 1") == [(old.id, 4), (new.id, 2)]
    world.now += 1.5 * day
    await world.sweep()
    assert world.sql("select key from request") == []
    assert world.sql("select batch_id, count(*) from outbox group by 1") == [(new.id, 2)]


async def test_a_deletion_that_comes_next_while_a_sweep_waits_waits_for_the_calls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if world.store.engine.name == "sqlite":
        pytest.skip("nobody else writes")
    monkeypatch.setattr(deciding, "AT_ONCE", 0)
    batch = await world.submit(3)
    await world.dial(batch, 1)
    await world.cancel(batch)
    await world.store.delete_batch(world.workspace_id, batch.public_id, now=world.now)
    with psycopg.connect(world.url) as other:
        other.execute("select 1 from batch where id = %s for update", (batch.id,))
        sweeping = asyncio.create_task(world.store.sweep(now=world.now))
        while not world.sql("select 1 from pg_stat_activity where wait_event_type = 'Lock'"):  # noqa: ASYNC110 - a session of another program
            await asyncio.sleep(0.01)
        # what another node does: it comes to the end of the cancel's row work
        other.execute("delete from decision where batch_id = %s and number = 1", (batch.id,))
        other.execute("update batch set undone = undone - 1 where id = %s", (batch.id,))
        other.commit()
        assert await sweeping
    assert world.sql(f"select count(*) from recipient where batch_id = {batch.id}") == [(3,)]
