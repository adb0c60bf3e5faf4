"""What the store promises about the list at submit, calling hours, and the words for waiting; on both engines."""

from typing import Any

import pytest

from outdial.domain.call import CONNECTION_REFUSED, EventKind
from outdial.domain.outcome import Blame, Ending, Outcome
from outdial.domain.recipient import RecipientStatus as S
from outdial.domain.window import window_class_key
from outdial.ports.store import BatchRow, ClaimWish, GoRequest, GoVerdict, RequestKey
from outdial.store.store import SqlStore
from tests.contracts.test_store_calls import execute
from tests.support.world import World, number_of

NIGHT = {"timezone": "UTC", "rules": [{"weekdays": None, "start": "22:00", "end": "23:00"}]}
BY_NUMBER = {"timezone": None, "rules": [{"weekdays": None, "start": "09:00", "end": "18:00"}]}
# the clock of these tests stands at 2027-01-15 08:00:00 UTC, a Friday


@pytest.fixture
async def world(store: SqlStore, engine_url: str) -> World:
    return await World.make(store, engine_url)


async def suppress(world: World, *ords: int) -> None:
    await world.store.suppress(world.workspace_id, [number_of(i) for i in ords], reason="asked", now=world.now)


async def why(world: World, batch: BatchRow) -> str:
    return (await world.store.batch(world.workspace_id, batch.public_id, now=world.now)).status_reason


# --- submit --------------------------------------------------------------------------------------------------------


async def test_who_is_on_the_list_has_ended_when_the_batch_is_answered(world: World) -> None:
    await suppress(world, 1, 3, 99)
    batch = await world.submit(5)
    assert (batch.suppressed, batch.counters.scheduled, batch.counters.dispatched, batch.counters.finished) == (
        2,
        5,
        2,
        2,
    )
    assert batch.status == "pending"
    people = await world.people(batch)
    assert [person.outcome for person in people] == [None, Outcome.SUPPRESSED, None, Outcome.SUPPRESSED, None]
    assert [one.ord for one in await world.claim(batch)] == [0, 2, 4]
    await world.assert_recount(batch)
    hopper = world.sql(f"select count(*) from due where batch_id = {batch.id}")
    assert hopper == [(0,)]


async def test_a_batch_of_nobody_else_is_over_at_once(world: World) -> None:
    await suppress(world, 0, 1)
    batch = await world.submit(2)
    assert (batch.status, batch.suppressed) == ("completed", 2)
    assert batch.status_reason == "everybody on the list is on the do-not-call list"
    assert await world.claim(batch) == []
    await world.assert_recount(batch)
    told = world.sql(f"select topic from outbox where batch_id = {batch.id}")
    assert told == [("batch_over",)]


async def test_a_long_list_is_checked_in_its_chunks(world: World) -> None:
    await suppress(world, *range(0, 4_500, 3))
    batch = await world.submit(4_500)
    assert (batch.suppressed, batch.counters.finished) == (1_500, 1_500)
    await world.assert_recount(batch)


async def test_the_list_of_another_workspace_says_nothing(world: World) -> None:
    other, _ = await world.store.create_workspace("other", now=world.now)
    await world.store.suppress(other, [number_of(0)], reason="", now=world.now)
    assert (await world.submit(1)).suppressed == 0


async def test_a_retry_never_takes_them_and_its_counters_stay_exact(world: World) -> None:
    await suppress(world, 0)
    batch = await world.submit(3)
    await world.dial_all(batch, Outcome.BUSY)
    await world.assert_recount(batch)
    answered = await world.retry(batch)
    assert (answered.taken, answered.batch.suppressed) == (2, 1)
    await world.sweep()
    await world.assert_recount(batch)
    await world.cancel(batch)
    await world.sweep()
    assert await world.statuses(batch) == {S.FAILED: 1, S.CANCELLED: 2}
    await world.assert_recount(batch)


async def test_who_comes_on_the_list_later_is_found_at_claim_and_counted(world: World) -> None:
    batch = await world.submit(3)
    await suppress(world, 2)
    await world.claim(batch)
    assert (await world.read(batch)).suppressed == 1
    await world.assert_recount(batch)


async def test_who_comes_on_the_list_after_the_claim_gets_no_go(world: World) -> None:
    batch = await world.submit(1)
    (one,) = await world.claim(batch)
    await suppress(world, 0)
    assert await world.go(one) is GoVerdict.SUPPRESSED
    after = await world.read(batch)
    assert (after.status, after.suppressed) == ("completed", 1)
    await world.assert_recount(batch)


async def test_what_rings_when_its_number_comes_on_the_list_is_given_up_and_ends_as_suppressed(world: World) -> None:
    batch = await world.submit(6)
    ringing, answered, answering, unsent, blocked, other = await world.dial(batch)
    for one in (ringing, answered, answering, blocked, other):
        await world.report(one.call_key, EventKind.RINGING)
    await world.report(answered.call_key, EventKind.ANSWERED)
    await suppress(world, 0, 1, 2, 3, 4)
    marked = {one.call_key: one.even_if_answered for one in await world.store.given_up(batch_id=batch.id)}
    assert marked == dict.fromkeys([one.call_key for one in (ringing, answering, unsent, blocked)], False)
    await world.store.unsuppress(world.workspace_id, [number_of(0)])
    await world.end(ringing.call_key, Outcome.NO_ANSWER)
    await world.end(answered.call_key, Outcome.COMPLETED)
    await world.report(answering.call_key, EventKind.ANSWERED)
    await world.end(answering.call_key, Outcome.COMPLETED)
    await world.report(unsent.call_key, EventKind.UNSENT, reason="given_up")
    await world.end(blocked.call_key, Outcome.BLOCKED)
    await world.end(other.call_key, Outcome.BUSY)
    outcomes = [person.outcome for person in await world.people(batch)]
    assert outcomes == [
        Outcome.SUPPRESSED,
        Outcome.COMPLETED,
        Outcome.COMPLETED,
        Outcome.SUPPRESSED,
        Outcome.BLOCKED,
        Outcome.BUSY,
    ]
    conversation = await world.store.conversation(world.workspace_id, ringing.call_key)
    assert conversation.ending is not None
    assert (conversation.ending.outcome, conversation.ending.reason) == (Outcome.SUPPRESSED, "given_up")
    after = await world.read(batch)
    assert (after.status, after.suppressed) == ("completed", 2)
    await world.assert_recount(batch)


async def test_a_cancel_after_an_opt_out_still_ends_the_conversation_where_it_is_asked_to(world: World) -> None:
    batch = await world.submit(2)
    one, two = await world.dial(batch)
    for call in (one, two):
        await world.report(call.call_key, EventKind.RINGING)
    await suppress(world, 0, 1)
    await world.report(one.call_key, EventKind.ANSWERED)
    await world.cancel(batch, hang_up=True)
    marked = {call.call_key: call.even_if_answered for call in await world.store.given_up(batch_id=batch.id)}
    assert marked == {one.call_key: True, two.call_key: True}
    await world.end(one.call_key, Outcome.COMPLETED)
    await world.end(two.call_key, Outcome.NO_ANSWER)
    assert [person.outcome for person in await world.people(batch)] == [Outcome.CANCELLED, Outcome.SUPPRESSED]
    await world.assert_recount(batch)


async def test_a_twin_of_the_submit_is_told_the_same(world: World) -> None:
    await suppress(world, 0)
    request = RequestKey(world.workspace_id, "key", 10)
    first = await world.submit(2, request=request)
    await suppress(world, 1)
    assert await world.submit(2, request=request) == first


async def test_what_is_left_of_a_list_that_was_never_sealed_goes_with_its_tally(world: World) -> None:
    await suppress(world, 0)
    request = RequestKey(world.workspace_id, "key", 10)
    await world.submit(2, request=request)
    await world.submit(2, request=request)
    await world.sweep()
    assert world.sql("select count(*) from batch") == [(1,)]
    assert world.sql("select count(*) from tally") == [(1,)]


# --- the list itself -----------------------------------------------------------------------------------------------


async def test_entries_tell_when_why_and_from_where(world: World) -> None:
    store, workspace = world.store, world.workspace_id
    await store.suppress_each(workspace, {"+492": "wrote", "+491": ""}, now=5.0, source="import")
    await store.suppress(workspace, ["+491", "+493"], reason="said so", now=6.0)
    rows = await store.suppressions(workspace, limit=10)
    assert [(row.number, row.reason, row.source, row.created_at) for row in rows] == [
        ("+491", "", "import", 5.0),
        ("+492", "wrote", "import", 5.0),
        ("+493", "said so", "api", 6.0),
    ]
    assert [row.number for row in await store.suppressions(workspace, limit=1, after="+491")] == ["+492"]
    assert [row.number for row in await store.suppressions_of(workspace, ["+493", "+494", "+492"])] == ["+492", "+493"]


# --- hours of the workspace ----------------------------------------------------------------------------------------


async def test_a_workspace_s_hours_count_where_a_batch_has_none(world: World) -> None:
    plain, own = await world.submit(1), await world.submit([number_of(9)], calling_hours=BY_NUMBER)
    assert (await world.read(plain)).hours is None
    await world.store.set_calling_hours(world.workspace_id, NIGHT, now=world.now)
    assert await world.store.calling_hours(world.workspace_id) == NIGHT
    assert (await world.read(plain)).hours == NIGHT
    assert (await world.read(own)).hours == BY_NUMBER
    await world.store.set_calling_hours(world.workspace_id, None, now=world.now)
    assert (await world.read(plain)).hours is None


async def go(world: World, claimed: Any, version: int | None) -> GoVerdict:
    times = (world.now + 17, 60.0, 600.0, 5.0)
    asked = GoRequest(claimed.call_key, claimed.batch_id, claimed.generation, True, *times, hours_version=version)
    return await world.store.go(world.lease, asked, now=world.now)


async def test_no_go_for_a_call_that_was_judged_by_older_hours(world: World) -> None:
    batch = await world.submit(3)
    answer = await world.answer(batch)
    assert answer.batch is not None
    before = answer.batch.hours_version
    assert await go(world, answer.claimed[0], before) is GoVerdict.GO
    await world.store.set_calling_hours(world.workspace_id, NIGHT, now=world.now)
    assert await go(world, answer.claimed[1], before) is GoVerdict.WINDOW_CLOSED
    assert await go(world, answer.claimed[2], None) is GoVerdict.GO
    again = await world.answer(batch)
    assert again.batch is not None
    assert again.batch.hours_version != before
    assert [one.ord for one in again.claimed] == [1]
    assert await go(world, again.claimed[0], again.batch.hours_version) is GoVerdict.GO
    await world.assert_recount(batch)


async def test_setting_the_same_hours_again_holds_nobody_up(world: World) -> None:
    await world.store.set_calling_hours(world.workspace_id, NIGHT, now=world.now)
    before = (await world.submit(1)).hours_version
    await world.store.set_calling_hours(world.workspace_id, dict(reversed(NIGHT.items())), now=world.now)
    assert (await world.submit(1)).hours_version == before


# --- zones that are looked up later --------------------------------------------------------------------------------


async def test_people_are_sorted_into_the_classes_of_their_zones(world: World) -> None:
    batch = await world.submit(3)
    assert not (await world.store.ready_batches(now=world.now, limit=10))[0].unsorted
    await world.store.set_calling_hours(world.workspace_id, BY_NUMBER, now=world.now)
    assert (await world.store.ready_batches(now=world.now, limit=10))[0].unsorted
    people = await world.store.unsorted(batch.id, limit=2)
    assert [(one.ord, one.number) for one in people] == [(0, number_of(0)), (1, number_of(1))]
    berlin, both = "Europe/Berlin", window_class_key(["America/Chicago", "America/New_York"])
    await world.store.sort(batch.id, [(0, berlin), (1, both)], now=world.now)
    await world.store.sort(batch.id, [(0, both), (2, berlin)], now=world.now)  # the first one stays
    (ready,) = await world.store.ready_batches(now=world.now, limit=10)
    assert not ready.unsorted
    classes = {key: number for number, key in ready.window_classes}
    assert classes.keys() == {"", berlin, both}
    claim = await world.store.claim(world.lease, [ClaimWish(batch.id, 9, (classes[berlin],))], now=world.now)
    assert sorted(one.ord for one in claim[0].claimed) == [0, 2]
    assert await world.claim(batch) == []
    for one in claim[0].claimed:
        await world.go(one)
        await world.end(one.call_key, Outcome.BUSY)
    await world.retry(batch)
    again = await world.store.claim(world.lease, [ClaimWish(batch.id, 9, (classes[berlin],))], now=world.now)
    assert sorted(one.ord for one in again[0].claimed) == [0, 2], "the class is kept for later rounds"
    await world.assert_recount(batch)


async def test_sorting_leaves_alone_who_was_cancelled_meanwhile(world: World) -> None:
    batch = await world.submit(2)
    (one,) = await world.claim(batch, 1)
    people = await world.store.unsorted(batch.id, limit=10)
    assert [person.ord for person in people] == [1]
    await world.cancel(batch)
    await world.store.sort(batch.id, [(0, "Europe/Berlin"), (1, "Europe/Berlin")], now=world.now)
    await world.sweep()
    assert world.sql(f"select count(*) from due where batch_id = {batch.id}") == [(0,)]
    assert await world.statuses(batch) == {S.CANCELLED: 2}
    assert await world.go(one) is GoVerdict.GONE
    await world.assert_recount(batch)


# --- why nobody is dialled -----------------------------------------------------------------------------------------


async def test_scheduled_for_later(world: World) -> None:
    batch = await world.submit(1, scheduled_at=world.now + 3600, timezone="Europe/Berlin")
    assert batch.status_reason == "scheduled: it begins at 2027-01-15 10:00 Europe/Berlin"
    world.now += 3600
    assert await why(world, batch) == ""


async def test_paused_and_resumed(world: World) -> None:
    batch = await world.submit(1)
    paused = await world.store.pause(world.workspace_id, batch.public_id, paused=True, now=world.now)
    assert paused.status_reason == "paused: nobody new is called until it is resumed"
    resumed = await world.store.pause(world.workspace_id, batch.public_id, paused=False, now=world.now)
    assert resumed.status_reason == ""


async def test_outside_the_hours_of_batch_and_workspace(world: World) -> None:
    own = await world.submit(1, calling_hours=NIGHT)
    assert own.status_reason == "outside calling hours: they open next at 2027-01-15 22:00 UTC"
    plain = await world.submit([number_of(5)])
    assert plain.status_reason == ""
    await world.store.set_calling_hours(world.workspace_id, NIGHT, now=world.now)
    assert await why(world, plain) == "outside calling hours of the workspace: they open next at 2027-01-15 22:00 UTC"
    await world.store.set_calling_hours(world.workspace_id, BY_NUMBER, now=world.now)
    assert await why(world, plain) == (
        "outside calling hours of the workspace: the time zones of its numbers are being looked up"
    )
    await world.store.sort(plain.id, [(0, "America/New_York")], now=world.now)
    assert await why(world, plain) == (
        "outside calling hours of the workspace: they open next at 2027-01-15 09:00 America/New_York"
    )
    world.now += 6.5 * 3600
    assert await why(world, plain) == ""


async def test_a_halted_and_a_probed_trunk(world: World) -> None:
    batch = await world.submit(10)
    for one in await world.dial(batch, 3):
        await world.report(one.call_key, EventKind.UNSENT, reason=CONNECTION_REFUSED)
    assert (await why(world, batch)).startswith(
        "the network takes no connections (`outdial doctor` tells more): one call tries again at 2027-01-15"
    )
    world.now += 2
    for _ in range(3):
        (one,) = await world.dial(batch, 1)
        ending = Ending(Outcome.PROVIDER_REJECTED, "wrong password", Blame.OURS, halts_trunk=True)
        await world.report(one.call_key, EventKind.ENDED, ending=ending)
    assert "wrong password" in await why(world, batch)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("workspace", "4 of at most 4 calls at once of this workspace are up"),
        ("agent", "3 of at most 3 calls at once of this agent are up"),
        ("number", "2 of at most 2 calls at once of this phone number are up"),
        ("trunk", "2 of at most 2 calls at once of this trunk are up"),
        ("batch", "1 of at most 1 calls at once of this batch are up"),
    ],
)
async def test_which_limit_is_reached(store: SqlStore, engine_url: str, limit: str, words: str) -> None:
    agent = {"concurrency_limit": 3} if limit == "agent" else None
    world = await World.make(store, engine_url, agent=agent, max_concurrent_calls=2 if limit == "number" else None)
    if limit in {"workspace", "trunk"}:
        key, cap = {"workspace": ("w:%", 4), "trunk": ("t:%", 2)}[limit]
        execute(engine_url, f"update bucket set cap = {cap} where key like '{key}'")
    batch = await world.submit(20, target_concurrency_limit=1 if limit == "batch" else 100)
    await world.dial(batch)
    assert words in await why(world, batch)
    if limit == "batch":
        return
    other = await world.submit([number_of(77)])
    assert words in other.status_reason, "it holds up batches that have nobody up"


async def test_the_rate_of_a_number(store: SqlStore, engine_url: str) -> None:
    world = await World.make(store, engine_url, max_calls_per_second=0.5)
    batch = await world.submit(3)
    await world.dial(batch)
    assert await why(world, batch) == "paced: this phone number places 0.5 calls a second"


async def test_numbers_that_are_in_calls_of_another_batch(world: World) -> None:
    first = await world.submit(2)
    await world.dial(first)
    second = await world.submit(2)
    words = "the numbers that wait are in calls of other batches just now; it goes on when those end"
    assert await why(world, second) == words
    assert await world.claim(second) == []
    world.now += 5
    assert await why(world, second) == words
    third = await world.submit([number_of(0), number_of(50)])
    assert await why(world, third) == "", "somebody else is free"


async def test_held_back_after_a_setback(world: World) -> None:
    batch = await world.submit(1)
    (one,) = await world.dial(batch)
    await world.report(one.call_key, EventKind.THROTTLED, retry_after=60)
    world.now += 3
    assert await why(world, batch) == (
        "everybody who waits is held back after a setback; it goes on at 2027-01-15 08:01:00 UTC"
    )


async def test_a_batch_under_way_and_one_that_is_over_have_no_reason(world: World) -> None:
    batch = await world.submit(3)
    (one,) = await world.dial(batch, 1)
    assert await why(world, batch) == ""
    await world.end(one.call_key, Outcome.COMPLETED)
    await world.dial_all(batch, Outcome.BUSY)
    assert await why(world, batch) == ""


async def test_a_list_of_batches_tells_each_one_s_reason(world: World) -> None:
    later = await world.submit(1, scheduled_at=world.now + 60)
    night = await world.submit([number_of(1)], calling_hours=NIGHT)
    rows = await world.store.batches(world.workspace_id, limit=9, before=None, agent_public_id=None, now=world.now)
    reasons = {row.id: row.status_reason for row in rows}
    assert reasons[later.id].startswith("scheduled")
    assert reasons[night.id].startswith("outside calling hours")
