"""What the store promises about calls, on both engines: claim, GO, settle, late truth, leases."""

import asyncio
from typing import Any

import psycopg
import pytest

from outdial.domain.call import CONNECTION_REFUSED, CallEvent, EventKind, Utterance
from outdial.domain.errors import NotFound
from outdial.domain.outcome import Blame, Ending, Outcome
from outdial.domain.recipient import RecipientStatus as S
from outdial.ports.store import ClaimWish, GoVerdict, Hold
from outdial.store.store import SqlStore
from tests.support.world import World, number_of, number_row


@pytest.fixture
async def world(store: SqlStore, engine_url: str) -> World:
    return await World.make(store, engine_url)


async def test_a_call_from_claim_to_completed(world: World) -> None:
    batch = await world.submit(1)
    assert (batch.status, batch.counters.scheduled, batch.counters.dispatched) == ("pending", 1, 0)
    (claimed,) = await world.claim(batch)
    assert (await world.statuses(batch)) == {S.DISPATCHED: 1}
    assert (await world.read(batch)).status == "in_progress"
    assert await world.go(claimed) is GoVerdict.GO
    await world.report(claimed.call_key, EventKind.SENT, provider_call_id="net-1")
    await world.report(claimed.call_key, EventKind.RINGING)
    assert (await world.statuses(batch)) == {S.INITIATED: 1}
    await world.report(claimed.call_key, EventKind.ANSWERED)
    assert (await world.statuses(batch)) == {S.IN_PROGRESS: 1}
    said = (Utterance("agent", "Hello"), Utterance("user", "Yes", 2))
    taken = await world.end(claimed.call_key, Outcome.COMPLETED, said=said)
    assert taken.freed
    assert taken.finished_batch
    after = await world.read(batch)
    assert (after.status, after.counters.finished) == ("completed", 1)
    conversation = await world.store.conversation(world.workspace_id, claimed.call_key)
    assert conversation.said == said
    assert conversation.provider_call_id == "net-1"
    await world.assert_recount(batch)


async def test_second_settle_changes_nothing(world: World) -> None:
    batch = await world.submit(2)
    one, _ = await world.dial(batch)
    await world.end(one.call_key, Outcome.BUSY)
    before = await world.people(batch)
    for outcome in (Outcome.COMPLETED, Outcome.BUSY, Outcome.CANCELLED):
        taken = await world.end(one.call_key, outcome)
        assert not taken.changed
        assert not taken.freed
    assert await world.people(batch) == before
    await world.assert_recount(batch)


async def test_a_report_is_kept_once_even_in_one_group(world: World) -> None:
    batch = await world.submit(1)
    (one,) = await world.dial(batch)
    twice = CallEvent(one.call_key, EventKind.ENDED, world.now, event_id="same", ending=Ending(Outcome.BUSY))
    await world.store.take([twice, twice], now=world.now)
    assert not (await world.store.take([twice], now=world.now))[0].changed
    await world.assert_recount(batch)


async def test_reports_in_reverse_order_settle_the_same(world: World) -> None:
    batch = await world.submit(1)
    (one,) = await world.dial(batch)
    await world.end(one.call_key, Outcome.COMPLETED)
    await world.report(one.call_key, EventKind.ANSWERED)
    await world.report(one.call_key, EventKind.RINGING)
    assert (await world.statuses(batch)) == {S.COMPLETED: 1}
    await world.assert_recount(batch)


async def test_reports_about_unknown_calls_are_nobody_s(world: World) -> None:
    assert await world.store.take([CallEvent("no-such-key", EventKind.RINGING, world.now)], now=world.now) == []


@pytest.mark.parametrize("limit", ["workspace", "agent", "number", "trunk", "batch", "target"])
async def test_each_limit_holds(store: SqlStore, engine_url: str, limit: str) -> None:
    more: dict[str, Any] = {}
    if limit == "agent":
        more["agent"] = {"concurrency_limit": 5}
    if limit == "number":
        more["max_concurrent_calls"] = 5
    world = await World.make(store, engine_url, **more)
    first = await world.submit(200, target_concurrency_limit=5 if limit == "target" else 1000)
    second = await world.submit([number_of(i) for i in range(1000, 1200)], target_concurrency_limit=1000)
    expected = {"workspace": 100, "agent": 5, "number": 5, "trunk": 100, "batch": 100, "target": 5}[limit]
    if limit == "trunk":
        execute(engine_url, "update bucket set cap = 7 where key like 't:%'")
        expected = 7
    if limit == "batch":
        first = await world.submit([number_of(i) for i in range(2000, 2200)])
        expected = 50
    wishes = [ClaimWish(first.id, 300, (0,))] * 2
    if limit not in {"batch", "target"}:
        wishes.append(ClaimWish(second.id, 300, (0,)))
    answers = await store.claim(world.lease, wishes, now=world.now)
    assert sum(len(a.claimed) for a in answers) == expected
    assert answers[-1].hold is Hold.CAP
    one = next(c for a in answers for c in a.claimed)
    await world.go(one)
    await world.end(one.call_key, Outcome.BUSY)
    again = await store.claim(world.lease, wishes, now=world.now)
    assert sum(len(a.claimed) for a in again) == 1
    await world.assert_recount(first)


def execute(url: str, statement: str) -> None:
    """Change the database past the store."""
    import sqlite3

    import psycopg

    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute(statement)
    else:
        with psycopg.connect(url) as other:
            other.execute(statement)


async def test_a_number_that_moves_to_another_trunk_keeps_its_count_exact(store: SqlStore, engine_url: str) -> None:
    if store.engine.name == "sqlite":
        pytest.skip("nobody else writes")
    world = await World.make(store, engine_url)
    await store.create_number(world.workspace_id, number_row(trunk="t:other"), now=world.now)
    batch = await world.submit(2)
    with psycopg.connect(world.url) as claimer, psycopg.connect(world.url) as mover:
        claimer.execute("update bucket set live = live + 1 where key = 't:other'")  # another node claims
        mover.execute("select 1 from bucket where key = %s for update", (f"n:{world.number.id}",))
        claiming = asyncio.create_task(world.claim(batch))
        while not world.sql("select 1 from pg_stat_activity where wait_event_type = 'Lock'"):  # noqa: ASYNC110 - theirs
            await asyncio.sleep(0.01)
        mover.execute("update phone_number set trunk = 't:other', updated_at = updated_at + 1")
        mover.commit()
        await asyncio.sleep(0.2)  # it goes on, and may come to the other trunk's row
        claimer.commit()
        claimed = await claiming
    assert world.sql("select live from bucket where key = 't:other'") == [(1 + len(claimed),)]
    assert await world.claim(batch)


async def test_rate_lets_no_more_through_than_allowed(store: SqlStore, engine_url: str) -> None:
    world = await World.make(store, engine_url, max_calls_per_second=10)
    batch = await world.submit(300, target_concurrency_limit=1000)
    starts: list[float] = []
    for _ in range(400):
        await world.store.heartbeat(world.lease)  # on a loaded machine this lasts longer than a lease
        answer = await world.answer(batch)
        for one in answer.claimed:
            starts.append(world.now)
            await world.go(one)
            await world.end(one.call_key, Outcome.BUSY)
        assert answer.hold in {Hold.RATE, None}
        world.now += 0.01
    assert 30 <= len(starts) <= 40
    for start in starts:
        assert sum(start <= other < start + 1 for other in starts) <= 10


async def test_suppressed_people_leave_as_failed(world: World) -> None:
    batch = await world.submit(4)
    await world.store.suppress(world.workspace_id, [number_of(0)], reason="asked", now=world.now)
    claimed = await world.claim(batch)
    assert [one.ord for one in claimed] == [1, 2, 3]
    await world.store.suppress(world.workspace_id, [number_of(1)], reason="asked", now=world.now)
    assert await world.go(claimed[0]) is GoVerdict.SUPPRESSED
    assert [p.outcome for p in await world.people(batch)] == [Outcome.SUPPRESSED, Outcome.SUPPRESSED, None, None]
    await world.assert_recount(batch)


async def test_one_open_attempt_per_number_in_a_workspace(world: World) -> None:
    batch = await world.submit([number_of(1), number_of(1), number_of(2)])
    other = await world.submit([number_of(1)])
    claimed = await world.claim(batch)
    assert [one.ord for one in claimed] == [0, 2]
    world.now += 2
    assert await world.claim(other) == []
    await world.go(claimed[0])
    await world.end(claimed[0].call_key, Outcome.COMPLETED)
    world.now += 2
    assert [one.ord for one in await world.claim(batch)] == [1]
    assert await world.claim(other) == []
    await world.assert_recount(batch)


async def test_throttled_and_unsent_go_back_with_a_back_off(world: World) -> None:
    batch = await world.submit(2)
    first, second = await world.dial(batch)
    await world.report(first.call_key, EventKind.THROTTLED, retry_after=0.2)
    await world.report(second.call_key, EventKind.UNSENT, reason=CONNECTION_REFUSED)
    assert (await world.statuses(batch)) == {S.PENDING: 2}
    assert await world.claim(batch) == []
    world.now += 0.3
    (again,) = await world.claim(batch)
    assert (again.ord, again.round, again.setbacks) == (0, 0, 1)
    with pytest.raises(NotFound):
        await world.store.conversation(world.workspace_id, first.call_key)
    await world.assert_recount(batch)


async def test_three_refused_connections_make_the_trunk_probed(world: World) -> None:
    batch = await world.submit(10)
    for one in await world.dial(batch, 3):
        await world.report(one.call_key, EventKind.UNSENT, reason=CONNECTION_REFUSED)
    answer = await world.answer(batch)
    assert (answer.claimed, answer.hold) == ((), Hold.TRUNK)
    assert answer.again_at is not None
    world.now = answer.again_at + 0.01
    (probe,) = await world.dial(batch)
    assert (await world.answer(batch)).hold is Hold.TRUNK
    await world.report(probe.call_key, EventKind.SENT)
    assert len(await world.claim(batch)) == 9


async def test_three_errors_that_hit_everybody_halt_the_trunk_until_resumed(world: World) -> None:
    batch = await world.submit(10)
    ending = Ending(Outcome.PROVIDER_REJECTED, "wrong password", Blame.OURS, halts_trunk=True)
    for one in await world.dial(batch, 3):
        await world.report(one.call_key, EventKind.ENDED, ending=ending)
    assert (await world.answer(batch)).hold is Hold.TRUNK
    assert "wrong password" in (await world.read(batch)).status_reason
    await world.store.pause(world.workspace_id, batch.public_id, paused=False, now=world.now)
    assert (await world.read(batch)).status_reason == ""
    assert len(await world.claim(batch)) == 1
    assert await world.store.expire(halted_before=world.now, now=world.now) == 0


async def test_errors_one_after_the_other_halt_the_trunk_though_each_call_was_taken_note_of(world: World) -> None:
    batch = await world.submit(10)
    ending = Ending(Outcome.PROVIDER_REJECTED, "wrong password", Blame.OURS, halts_trunk=True)
    for _ in range(3):
        (one,) = await world.dial(batch, 1)
        await world.report(one.call_key, EventKind.SENT)
        await world.report(one.call_key, EventKind.ENDED, ending=ending)
        world.now += 1.0
    assert (await world.answer(batch)).hold is Hold.TRUNK
    await world.store.pause(world.workspace_id, batch.public_id, paused=False, now=world.now)
    (trying,) = await world.dial(batch)
    await world.report(trying.call_key, EventKind.SENT)
    assert (await world.answer(batch)).hold is Hold.TRUNK  # that call may be refused like the others
    await world.report(trying.call_key, EventKind.ANSWERED)
    assert len(await world.claim(batch)) == 6


async def test_an_error_between_calls_that_were_answered_halts_nothing(world: World) -> None:
    batch = await world.submit(10)
    ending = Ending(Outcome.PROVIDER_REJECTED, "wrong password", Blame.OURS, halts_trunk=True)
    for _ in range(4):
        (refused,) = await world.dial(batch, 1)
        await world.report(refused.call_key, EventKind.ENDED, ending=ending)
        world.now += 1.0
        (fine,) = await world.dial(batch, 1)
        await world.report(fine.call_key, EventKind.ANSWERED)
        await world.report(fine.call_key, EventKind.ENDED, ending=Ending(Outcome.COMPLETED, "hung_up"))
    assert (await world.read(batch)).status_reason == ""


async def test_undialled_people_of_a_trunk_halted_for_long_expire(world: World) -> None:
    batch = await world.submit(10)
    ending = Ending(Outcome.PROVIDER_REJECTED, "no balance", Blame.OURS, halts_trunk=True)
    for one in await world.dial(batch, 3):
        await world.report(one.call_key, EventKind.ENDED, ending=ending)
    assert await world.store.expire(halted_before=world.now, now=world.now) == 7
    after = await world.read(batch)
    assert (after.status, after.counters.finished) == ("failed", 10)
    await world.assert_recount(batch)


async def test_pause_stops_claims_and_go(world: World) -> None:
    batch = await world.submit(3)
    claimed = await world.claim(batch, 1)
    await world.store.pause(world.workspace_id, batch.public_id, paused=True, now=world.now)
    assert await world.go(claimed[0]) is GoVerdict.PAUSED
    assert (await world.answer(batch)).hold is Hold.NOT_OPEN
    assert await world.store.ready_batches(now=world.now, limit=10) == []
    await world.store.pause(world.workspace_id, batch.public_id, paused=False, now=world.now)
    assert len(await world.claim(batch)) == 3
    await world.assert_recount(batch)


async def test_a_closed_window_takes_the_intent_back(world: World) -> None:
    batch = await world.submit(1)
    (one,) = await world.claim(batch)
    assert await world.go(one, window_open=False) is GoVerdict.WINDOW_CLOSED
    assert (await world.statuses(batch)) == {S.PENDING: 1}
    assert await world.go(one) is GoVerdict.GONE
    await world.assert_recount(batch)


async def test_nothing_is_claimed_before_its_schedule(world: World) -> None:
    batch = await world.submit(1, scheduled_at=world.now + 60)
    assert (await world.answer(batch)).hold is Hold.NOT_OPEN
    assert await world.store.next_event_at(now=world.now) == world.now + 60
    world.now += 61
    assert [ready.batch.id for ready in await world.store.ready_batches(now=world.now, limit=10)] == [batch.id]
    assert len(await world.claim(batch)) == 1


async def test_least_recently_served_comes_first(world: World) -> None:
    batches = [await world.submit([number_of(100 * i), number_of(100 * i + 1)]) for i in range(3)]
    order = []
    for _ in range(6):
        world.now += 1
        first = (await world.store.ready_batches(now=world.now, limit=10))[0].batch
        order.append(first.id)
        await world.claim(first, 1)
    assert order == [b.id for b in batches] * 2


# --- leases ----------------------------------------------------------------------------------------------------------


async def test_a_new_epoch_ends_the_old_one(world: World) -> None:
    batch = await world.submit(3)
    intent, gone, live = await world.claim(batch)
    await world.go(gone)
    await world.go(live)
    await world.report(live.call_key, EventKind.ANSWERED)
    newer = await world.store.register_node("one", now=world.now)
    assert newer.epoch > world.lease.epoch
    assert await world.go(intent) is GoVerdict.GONE
    assert await world.store.heartbeat(world.lease) is False
    reaped = await world.store.reap(newer, now=world.now)
    assert (reaped.given_back, reaped.to_check) == (1, 2)
    assert (await world.store.reap(newer, now=world.now)).given_back == 0
    checks = await world.store.checks(newer, now=world.now, limit=10)
    assert {c.call_key for c in checks} == {gone.call_key, live.call_key}
    assert not any(c.owner_alive for c in checks)
    assert await world.store.checks(newer, now=world.now, limit=10) == []
    await world.store.adopt(newer, live.call_key)
    await world.report(gone.call_key, EventKind.LOST, reason="node_lost")
    assert (await world.statuses(batch)) == {S.PENDING: 1, S.FAILED: 1, S.IN_PROGRESS: 1}
    world.lease = newer
    assert [one.ord for one in await world.claim(batch)] == [intent.ord]
    await world.assert_recount(batch)


async def test_calls_that_nobody_can_be_asked_about_are_told_with_their_end(world: World) -> None:
    async def reason() -> str:
        return (await world.store.batch(world.workspace_id, batch.public_id, now=world.now)).status_reason

    batch = await world.submit(3, target_concurrency_limit=2)
    silent, live = await world.claim(batch)
    await world.go(silent)
    await world.go(live)
    await world.report(live.call_key, EventKind.ANSWERED)
    full = "limit reached: 2 of at most 2 calls at once of this batch are up; it goes on when one ends"
    assert await reason() == full
    world.now += 20
    assert (await reason()).startswith(f"{full}. 1 call is in doubt")
    newer = await world.store.register_node("one", now=world.now)
    await world.store.reap(newer, now=world.now)
    assert (await reason()).startswith(f"{full}. 2 calls are in doubt")
    await world.store.adopt(newer, live.call_key)
    await world.store.adopt(newer, silent.call_key)
    await world.report(silent.call_key, EventKind.RINGING)
    assert await reason() == full


async def test_a_living_node_keeps_what_it_has(world: World) -> None:
    batch = await world.submit(2)
    (one,) = await world.claim(batch, 1)
    reaped = await world.store.reap(world.lease, now=world.now)
    assert (reaped.given_back, reaped.to_check) == (0, 0)
    assert await world.go(one) is GoVerdict.GO


async def test_a_dead_worker_s_calls_are_looked_up_at_once(world: World) -> None:
    batch = await world.submit(2)
    one, other = await world.claim(batch)
    await world.go(one)
    await world.store.orphans(world.lease, [one.call_key, other.call_key], now=world.now)
    assert [c.call_key for c in await world.store.checks(world.lease, now=world.now, limit=9)] == [one.call_key]
    assert (await world.statuses(batch))[S.PENDING] == 1
    await world.assert_recount(batch)


async def test_an_own_intent_can_be_withdrawn_and_nothing_else(world: World) -> None:
    batch = await world.submit(2)
    one, other = await world.claim(batch)
    await world.go(other)
    assert await world.store.void(world.lease, one.call_key, reason="stopping", now=world.now)
    assert not await world.store.void(world.lease, one.call_key, reason="stopping", now=world.now)
    assert not await world.store.void(world.lease, other.call_key, reason="stopping", now=world.now)
    await world.assert_recount(batch)


async def test_an_intent_that_its_living_owner_forgot_is_taken_back_by_anybody(world: World) -> None:
    batch = await world.submit(1)
    (one,) = await world.claim(batch)
    other = await world.store.register_node("two", now=world.now)
    asked = {"reason": "forgotten", "forgotten": True}
    assert not await world.store.void(other, one.call_key, now=world.now + 5, **asked)
    assert await world.store.void(other, one.call_key, now=world.now + 31, **asked)
    assert await world.go(one) is GoVerdict.GONE
    assert await world.statuses(batch) == {S.PENDING: 1}
    await world.assert_recount(batch)


# --- late truth ------------------------------------------------------------------------------------------------------


async def lost_then_retried(world: World) -> tuple[Any, Any]:
    """A batch of one whose call was lost and who waits again; the batch, the old call."""
    batch = await world.submit(1)
    (old,) = await world.dial(batch)
    await world.report(old.call_key, EventKind.LOST)
    assert (await world.people(batch))[0].outcome is Outcome.UNKNOWN
    assert (await world.retry(batch)).taken == 1
    return batch, old


async def test_late_truth_replaces_unknown(world: World) -> None:
    batch = await world.submit(1)
    (old,) = await world.dial(batch)
    await world.report(old.call_key, EventKind.LOST)
    assert (await world.read(batch)).status == "completed"
    await world.report(old.call_key, EventKind.ANSWERED)
    assert (await world.statuses(batch)) == {S.IN_PROGRESS: 1}
    await world.end(old.call_key, Outcome.COMPLETED)
    assert (await world.people(batch))[0].outcome is Outcome.COMPLETED
    await world.assert_recount(batch)


async def test_late_completion_withdraws_the_wait(world: World) -> None:
    batch, old = await lost_then_retried(world)
    await world.end(old.call_key, Outcome.COMPLETED)
    assert (await world.statuses(batch)) == {S.COMPLETED: 1}
    assert await world.claim(batch) == []
    assert (await world.read(batch)).status == "completed"
    await world.assert_recount(batch)


async def test_late_busy_leaves_the_wait_alone(world: World) -> None:
    batch, old = await lost_then_retried(world)
    await world.end(old.call_key, Outcome.BUSY)
    assert (await world.statuses(batch)) == {S.PENDING: 1}
    assert len(await world.claim(batch)) == 1
    await world.assert_recount(batch)


async def test_late_answer_withdraws_a_newer_intent(world: World) -> None:
    batch, old = await lost_then_retried(world)
    (newer,) = await world.claim(batch)
    await world.report(old.call_key, EventKind.ANSWERED)
    assert (await world.statuses(batch)) == {S.IN_PROGRESS: 1}
    assert await world.go(newer) is GoVerdict.GONE
    await world.end(old.call_key, Outcome.COMPLETED)
    await world.assert_recount(batch)


async def test_late_truth_after_a_newer_go_changes_the_old_attempt_only(world: World) -> None:
    batch, old = await lost_then_retried(world)
    (newer,) = await world.dial(batch)
    await world.end(old.call_key, Outcome.COMPLETED)
    assert (await world.statuses(batch)) == {S.DISPATCHED: 1}
    await world.end(newer.call_key, Outcome.BUSY)
    assert (await world.people(batch))[0].outcome is Outcome.BUSY
    assert (await world.store.conversation(world.workspace_id, old.call_key)).ending == Ending(Outcome.COMPLETED)
    await world.assert_recount(batch)


async def test_late_completion_of_a_cancelled_wait(world: World) -> None:
    batch, old = await lost_then_retried(world)
    await world.cancel(batch)
    assert (await world.statuses(batch)) == {S.CANCELLED: 1}
    await world.end(old.call_key, Outcome.COMPLETED)
    assert (await world.statuses(batch)) == {S.COMPLETED: 1}
    await world.assert_recount(batch)


async def lost_once_more(world: World, batch: Any) -> str:
    """Dial, lose, retry: everybody waits again; the lost call."""
    (call,) = await world.dial(batch, 1)
    await world.report(call.call_key, EventKind.LOST)
    await world.retry(batch)
    return call.call_key


async def test_late_completion_beside_the_newer_call_coming_back_unsent(world: World) -> None:
    batch = await world.submit(2)
    old = await lost_once_more(world, batch)
    newer, _other = await world.dial(batch)
    events = [
        CallEvent(newer.call_key, EventKind.UNSENT, world.now, reason="too_late"),
        CallEvent(old, EventKind.ENDED, world.now, event_id="late", ending=Ending(Outcome.COMPLETED)),
    ]
    await world.store.take(events, now=world.now)
    world.now += 60
    assert await world.claim(batch) == []  # who was reached is not called again
    await world.assert_recount(batch)


@pytest.mark.parametrize("second", [EventKind.ANSWERED, EventKind.ENDED])
async def test_late_truths_of_two_older_calls_at_once(world: World, second: EventKind) -> None:
    batch = await world.submit(1)
    first, other = await lost_once_more(world, batch), await lost_once_more(world, batch)
    (newest,) = await world.claim(batch)
    ending = Ending(Outcome.COMPLETED) if second is EventKind.ENDED else None
    events = [
        CallEvent(first, EventKind.ANSWERED, world.now, event_id="first"),
        CallEvent(other, second, world.now, event_id="other", ending=ending),
    ]
    await world.store.take(events, now=world.now)
    states = dict(world.sql("select call_key, state from attempt"))
    assert states == {first: "live", other: "ended" if ending else "live", newest.call_key: "void"}
    assert (await world.statuses(batch)) == {S.IN_PROGRESS: 1}
    await world.end(first, Outcome.BUSY)
    await world.end(other, Outcome.COMPLETED)
    await world.assert_recount(batch)


async def test_a_lost_call_that_answers_holds_its_slots_again(world: World) -> None:
    batch = await world.submit(1)
    (old,) = await world.dial(batch)
    await world.report(old.call_key, EventKind.LOST)
    await world.report(old.call_key, EventKind.ANSWERED)
    await world.assert_recount(batch)
    assert world.sql("select live from bucket where key like 'n:%'") == [(1,)]
    assert (await world.store.conversation(world.workspace_id, old.call_key)).ending is None
    assert (await world.end(old.call_key, Outcome.COMPLETED)).freed
    await world.assert_recount(batch)


async def test_the_ends_of_earlier_calls_do_not_clear_a_trunk(world: World) -> None:
    batch = await world.submit(10)
    early = await world.dial(batch, 4)
    halting = Ending(Outcome.PROVIDER_REJECTED, "wrong password", Blame.OURS, halts_trunk=True)
    for one in early[:3]:
        world.now += 1
        (bad,) = await world.dial(batch, 1)
        await world.report(bad.call_key, EventKind.ENDED, ending=halting)
        await world.end(one.call_key, Outcome.COMPLETED)
    assert (await world.answer(batch)).hold is Hold.TRUNK
