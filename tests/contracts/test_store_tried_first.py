"""What the store promises of a trunk that has not proven itself: three calls try it for all others, on both engines."""

import asyncio
from dataclasses import replace

import pytest

from outdial.domain.call import CONNECTION_REFUSED, EventKind
from outdial.domain.outcome import Blame, Ending, Outcome
from outdial.domain.recipient import RecipientStatus as S
from outdial.ports.store import BatchRow, Claimed, GoVerdict, Hold, NodeLease
from outdial.store.store import SqlStore
from tests.support.world import World, number_of

FAULT = Ending(Outcome.PROVIDER_REJECTED, "bad_credentials", Blame.OURS, halts_trunk=True)


@pytest.fixture
async def world(store: SqlStore, engine_url: str) -> World:
    return await World.make(store, engine_url)


async def dial(world: World, batch: BatchRow, want: int = 20, lease: NodeLease | None = None) -> list[Claimed]:
    claimed = (await world.answer(batch, want, tried_first=True, lease=lease)).claimed
    for one in claimed:
        assert await world.go(one, lease=lease) is GoVerdict.GO
    return list(claimed)


async def test_a_trunk_that_refuses_everybody_costs_three_calls(world: World) -> None:
    batch = await world.submit(30)
    trying = await dial(world, batch)
    assert len(trying) == 3
    for one in trying:
        answer = await world.answer(batch, 20, tried_first=True)
        assert (answer.claimed, answer.hold) == ((), Hold.TRUNK)
        assert not (await world.report(one.call_key, EventKind.SENT)).tried  # 100 Trying: it says so before it refuses
        assert await dial(world, batch) == []
        await world.report(one.call_key, EventKind.ENDED, ending=FAULT)
    assert "bad_credentials" in (await world.read(batch)).status_reason
    assert await world.statuses(batch) == {S.FAILED: 3, S.PENDING: 27}
    await world.store.pause(world.workspace_id, batch.public_id, paused=False, now=world.now)
    (again,) = await dial(world, batch)
    world.now += 60  # long after its turn as a probe: it has not shown anything yet, and no time helps
    answer = await world.answer(batch, 20, tried_first=True)
    assert (answer.claimed, answer.hold, answer.again_at) == ((), Hold.TRUNK, None)
    await world.report(again.call_key, EventKind.ENDED, ending=FAULT)
    assert await world.statuses(batch) == {S.FAILED: 4, S.PENDING: 26}
    await world.assert_recount(batch)


async def test_nodes_and_batches_share_the_three(world: World) -> None:
    nodes = [world.lease, await world.store.register_node("one" if "sqlite" in world.url else "two", now=world.now)]
    leases = nodes[1:] * 2 if "sqlite" in world.url else nodes * 2  # SQLite has one node
    batches = [await world.submit([number_of(i + 100 * n) for i in range(20)]) for n in range(4)]
    answers = await asyncio.gather(
        *(
            world.answer(batch, 20, tried_first=True, lease=lease)
            for batch, lease in zip(batches, leases * 2, strict=False)
        )
    )
    assert sum(len(answer.claimed) for answer in answers) == 3
    # the twin: where nothing has to be proven, all of them go
    answers = await asyncio.gather(*(world.answer(batch, 5, lease=leases[0]) for batch in batches))
    assert [len(answer.claimed) for answer in answers] == [5, 5, 5, 5]


PROOFS = [
    (EventKind.RINGING, None),
    (EventKind.ANSWERED, None),
    *((EventKind.ENDED, Ending(outcome)) for outcome in (
        Outcome.COMPLETED, Outcome.VOICEMAIL, Outcome.NO_ANSWER, Outcome.BUSY, Outcome.UNREACHABLE, Outcome.REJECTED,
        Outcome.BLOCKED, Outcome.INVALID_NUMBER,
    )),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ending"), PROOFS, ids=lambda it: str(getattr(it, "outcome", it)))
async def test_one_call_that_came_to_something_lets_all_others_go(
    world: World, kind: EventKind, ending: Ending | None
) -> None:
    batch = await world.submit(30)
    first, second, _ = await dial(world, batch)
    await world.report(first.call_key, EventKind.ENDED, ending=FAULT)
    assert (await world.report(second.call_key, kind, ending=ending)).tried
    assert len(await dial(world, batch)) == 20
    await world.assert_recount(batch)


NOTHING = [
    (EventKind.ENDED, {"ending": Ending(Outcome.NETWORK_ERROR)}),
    (EventKind.ENDED, {"ending": Ending(Outcome.PROVIDER_REJECTED, "bad_request")}),
    (EventKind.THROTTLED, {"retry_after": 60.0}),
    (EventKind.UNSENT, {"reason": "too_late"}),
    (EventKind.UNSENT, {"reason": CONNECTION_REFUSED}),
    (EventKind.LOST, {}),
]


@pytest.mark.parametrize(("kind", "more"), NOTHING, ids=str)
async def test_a_call_that_shows_nothing_gives_its_place_to_another(
    world: World, kind: EventKind, more: dict[str, object]
) -> None:
    batch = await world.submit(30)
    first, *_ = await dial(world, batch)
    assert (await world.report(first.call_key, kind, **more)).tried
    assert len(await dial(world, batch)) == 1
    await world.assert_recount(batch)


async def test_an_intent_that_was_taken_back_leaves_its_place(world: World) -> None:
    batch = await world.submit(30)
    first, second, third = (await world.answer(batch, 20, tried_first=True)).claimed
    assert await world.store.void(world.lease, first.call_key, reason="paced", now=world.now)
    assert await world.go(second, window_open=False) is GoVerdict.WINDOW_CLOSED
    assert len(await dial(world, batch)) == 2
    # what a node held that died is taken back or looked up; nothing of it is counted for good
    await world.store.orphans(world.lease, [third.call_key], now=world.now)
    assert len(await dial(world, batch)) == 1
    await world.assert_recount(batch)


async def test_changed_settings_have_to_be_proven_anew_and_by_calls_of_their_own(world: World) -> None:
    batch = await world.submit(60)
    early = await dial(world, batch)
    world.number = await world.store.update_number(
        world.workspace_id, replace(world.number, settings={"password": "another"}), now=world.now
    )
    trying = await dial(world, batch)
    assert len(trying) == 3
    await world.report(early[0].call_key, EventKind.RINGING)
    assert await dial(world, batch) == []
    await world.report(trying[0].call_key, EventKind.RINGING)
    assert len(await dial(world, batch)) == 20
    # the twin: another label changes nothing
    await world.store.update_number(world.workspace_id, replace(world.number, label="Bonn"), now=world.now)
    assert len(await dial(world, batch)) == 20


async def test_who_waits_long_for_the_first_to_ring_is_told_so(world: World) -> None:
    batch = await world.submit(30)

    async def why() -> str:
        return (await world.store.batch(world.workspace_id, batch.public_id, now=world.now)).status_reason

    trying = await dial(world, batch)
    assert await why() == ""
    world.now += 3
    assert await why() == (
        "this trunk has yet to show that it takes calls: 3 try it (never more than three), "
        "and all others go as soon as one of them rings"
    )
    await world.report(trying[0].call_key, EventKind.RINGING)
    assert await why() == ""
