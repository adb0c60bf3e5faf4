"""What the store promises about asking halted trunks, on both engines."""

import asyncio

import pytest

from outdial.domain.call import EventKind
from outdial.domain.outcome import Blame, Ending, Outcome
from outdial.ports.store import BatchRow
from outdial.store.store import SqlStore
from tests.support.world import World

FAULT = Ending(Outcome.PROVIDER_REJECTED, "bad_credentials", Blame.OURS, halts_trunk=True)
ASKED = ("loopback",)


@pytest.fixture
async def world(store: SqlStore, engine_url: str) -> World:
    return await World.make(store, engine_url)


async def halt(world: World) -> None:
    for claimed in await world.dial(await world.submit(3)):
        await world.report(claimed.call_key, EventKind.ENDED, ending=FAULT)


async def due(world: World, *, within: float = 60.0) -> list[str]:
    found = await world.store.probes_due(ASKED, before=world.now - within, now=world.now)
    return [number.public_id for number in found]


async def reason(world: World, batch: BatchRow) -> str:
    return (await world.store.batch(world.workspace_id, batch.public_id, now=world.now)).status_reason


async def test_a_trunk_that_is_not_halted_is_never_due(world: World) -> None:
    await world.dial_all(await world.submit(3), Outcome.BUSY)
    assert await due(world) == []


async def test_a_halted_trunk_is_asked_by_one_at_a_time(world: World) -> None:
    await halt(world)
    turns = await asyncio.gather(*(due(world) for _ in range(5)))
    assert sorted(turns) == [[], [], [], [], [world.number.public_id]]
    world.now += 61
    assert await due(world) == [world.number.public_id]
    assert await world.store.probes_due(("sip_trunk",), before=world.now, now=world.now) == []


async def test_what_it_says_is_told_with_the_reason_until_somebody_resumes(world: World) -> None:
    await halt(world)
    waiting = await world.submit(1)
    why = "provider_rejected: bad_credentials"
    way = "mend its settings (`outdial doctor` says how), then resume"
    halted = f"halted: the trunk refuses every call alike ({why}); {way}"
    assert await reason(world, waiting) == halted
    await due(world)
    assert await reason(world, waiting) == halted
    await world.store.note_probe(world.number.trunk, "it answers", now=world.now)
    assert await reason(world, waiting) == f"{halted}. Asked at 2027-01-15 08:00:00 UTC: it answers"
    await world.store.pause(world.workspace_id, waiting.public_id, paused=False, now=world.now)
    assert "halted" not in await reason(world, waiting)
    assert (await world.store.number(world.workspace_id, world.number.public_id)).halted_reason == ""


async def test_an_answer_of_an_earlier_halt_is_not_told(world: World) -> None:
    await halt(world)
    await due(world)
    await world.store.note_probe(world.number.trunk, "it answers", now=world.now)
    waiting = await world.submit(1)
    await world.store.pause(world.workspace_id, waiting.public_id, paused=False, now=world.now)
    world.now += 100
    (claimed,) = await world.dial(waiting)
    await world.report(claimed.call_key, EventKind.ENDED, ending=FAULT)
    again = await world.submit(1)
    told = await reason(world, again)
    assert told.startswith("halted")
    assert "it answers" not in told
