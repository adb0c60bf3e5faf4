"""Conversations, webhooks, settings and changes of agents and numbers on both engines; and what is read by an index."""

import asyncio
import sqlite3
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from outdial.domain.call import EventKind
from outdial.domain.errors import NotFound, StillGoing
from outdial.domain.outcome import Outcome
from outdial.ports.store import AgentRow, AgentWish, ConversationRow, ConversationScope, NumberRow, WebhookRow
from outdial.runtime.ids import new_public_id
from outdial.store.engine import Engine
from outdial.store.store import SqlStore
from tests.support.world import World, agent_row


@pytest.fixture
async def world(store: SqlStore, engine_url: str) -> World:
    return await World.make(store, engine_url)


async def listed(world: World, *, limit: int = 3, **scope: Any) -> list[ConversationRow]:
    """Every page of them."""
    asked = ConversationScope(**scope)
    rows: list[ConversationRow] = []
    after = None
    while True:
        page = await world.store.conversations(world.workspace_id, asked, limit=limit, after=after)
        assert len(page.rows) <= limit
        rows += page.rows
        after = page.after
        if after is None:
            return rows


# --- lists ---------------------------------------------------------------------------------------------------------


async def test_calls_under_way_stand_in_the_list_where_they_began(world: World) -> None:
    keys = []
    for n in range(4):
        batch = await world.submit([f"+1555001000{n}"])
        (claimed,) = await world.dial(batch)
        keys.append(claimed.call_key)
        world.now += 1
    await world.end(keys[1], Outcome.BUSY)
    await world.end(keys[3], Outcome.COMPLETED)
    for limit in (1, 2, 3, 10):
        assert [row.call_key for row in await listed(world, limit=limit)] == keys[::-1]
        assert [row.call_key for row in await listed(world, limit=limit, newest_first=False)] == keys
    agent = {"agent_id": world.agent.public_id}
    assert [row.call_key for row in await listed(world, **agent)] == keys[::-1]
    span = {"from_at": world.now - 3, "until_at": world.now - 1}
    assert [row.call_key for row in await listed(world, **span)] == [keys[2], keys[1]]
    await world.end(keys[2], Outcome.NO_ANSWER)
    await world.end(keys[0], Outcome.NO_ANSWER)
    assert [row.call_key for row in await listed(world)] == keys[::-1]


async def test_many_that_began_at_once_are_each_listed_once(world: World) -> None:
    batch = await world.submit(25)
    claimed = await world.dial(batch, 50)
    for one in claimed[::2]:
        await world.end(one.call_key, Outcome.COMPLETED)
    for limit in (1, 4, 24, 25, 26):
        for newest_first in (True, False):
            rows = await listed(world, limit=limit, newest_first=newest_first)
            keys = [row.call_key for row in rows]
            assert keys == sorted((one.call_key for one in claimed), reverse=newest_first)


async def test_what_fits_is_looked_for_behind_what_does_not(world: World) -> None:
    batch = await world.submit(600)
    await world.dial_all(batch, [Outcome.BUSY] * 299 + [Outcome.COMPLETED])
    page = await world.store.conversations(
        world.workspace_id,
        ConversationScope(),
        limit=1,
        fits=lambda row: row.ending is not None and row.ending.outcome is Outcome.COMPLETED,
    )
    assert len(page.rows) == 1
    assert page.after is not None


async def test_a_withdrawn_attempt_is_no_conversation(world: World) -> None:
    batch = await world.submit(2)
    one, two = await world.claim(batch)
    await world.store.void(world.lease, one.call_key, reason="test", now=world.now)
    assert await listed(world) == []
    await world.go(two)
    assert [row.call_key for row in await listed(world)] == [two.call_key]


async def test_ids_that_nobody_had_here_are_unknown(world: World) -> None:
    for scope in (ConversationScope(agent_id="agent_x"), ConversationScope(batch_id="btcal_x")):
        with pytest.raises(NotFound):
            await world.store.conversations(world.workspace_id, scope, limit=1)
    other, _ = await world.store.create_workspace("other", now=world.now)
    with pytest.raises(NotFound):
        await world.store.conversations(other, ConversationScope(agent_id=world.agent.public_id), limit=1)
    with pytest.raises(NotFound):
        await world.store.batches(other, limit=1, before=None, agent_public_id=world.agent.public_id)


async def test_conversations_outlive_their_batch_and_agent(world: World) -> None:
    batch = await world.submit(2)
    await world.dial_all(batch, Outcome.COMPLETED)
    await world.store.delete_batch(world.workspace_id, batch.public_id, now=world.now)
    await world.sweep()
    await world.store.delete_agent(world.workspace_id, world.agent.public_id, now=world.now)
    assert len(await listed(world, batch_id=batch.public_id)) == 2
    assert len(await listed(world, agent_id=world.agent.public_id)) == 2


# --- erasing -------------------------------------------------------------------------------------------------------


async def test_an_erased_conversation_stays_erased_when_the_truth_comes_late(world: World) -> None:
    batch = await world.submit(1)
    (claimed,) = await world.dial(batch)
    key = claimed.call_key
    with pytest.raises(StillGoing):
        await world.store.delete_conversation(world.workspace_id, key, now=world.now)
    world.now += 100
    await world.report(key, EventKind.LOST)
    await world.store.delete_conversation(world.workspace_id, key, now=world.now)
    await world.end(key, Outcome.COMPLETED)
    assert await listed(world) == []
    with pytest.raises(NotFound):
        await world.store.conversation(world.workspace_id, key)
    with pytest.raises(NotFound):
        await world.store.delete_conversation(world.workspace_id, key, now=world.now)
    assert world.sql("select client_data, said from conversation") == [("{}", "[]")]
    await world.assert_recount(batch)


async def test_another_workspace_erases_nothing(world: World) -> None:
    batch = await world.submit(1)
    await world.dial_all(batch, Outcome.COMPLETED)
    (row,) = await listed(world)
    other, _ = await world.store.create_workspace("other", now=world.now)
    with pytest.raises(NotFound):
        await world.store.delete_conversation(other, row.call_key, now=world.now)
    assert len(await listed(world)) == 1


# --- what a batch keeps --------------------------------------------------------------------------------------------


async def test_a_batch_keeps_every_field_that_it_was_given(world: World) -> None:
    kept = {
        "timezone": "Europe/Berlin",
        "branch_id": "b1",
        "environment": "prod",
        "whatsapp_params": {"whatsapp_call_permission_request_template_name": "t", "x": None},
        "telephony_call_config": {"ringing_timeout_secs": 7, "twilio_call_recording_enabled": True},
        "target_concurrency_limit": 3,
    }
    batch = await world.read(await world.submit(1, **kept))
    assert {name: getattr(batch, name) for name in kept} == kept


# --- changes -------------------------------------------------------------------------------------------------------


async def test_two_changes_of_an_agent_at_once_are_both_kept(world: World) -> None:
    def tagged(tag: str) -> Any:
        return lambda agent: replace(agent, tags=(*agent.tags, tag))

    async def tag(n: int) -> AgentRow:
        return await world.store.change_agent(world.workspace_id, world.agent.public_id, tagged(f"t{n}"), now=world.now)

    await asyncio.gather(*(tag(n) for n in range(20)))
    seen = await world.store.agent(world.workspace_id, world.agent.public_id)
    assert sorted(seen.tags) == sorted(f"t{n}" for n in range(20))


async def test_a_change_that_is_refused_changes_nothing(world: World) -> None:
    def refuse(_: Any) -> Any:
        raise NotFound("thing", "x")

    before = await world.store.number(world.workspace_id, world.number.public_id)
    with pytest.raises(NotFound):
        await world.store.change_number(world.workspace_id, world.number.public_id, refuse, now=world.now)
    assert await world.store.number(world.workspace_id, world.number.public_id) == before


async def test_a_number_tells_the_agent_that_it_is_assigned_to(world: World) -> None:
    def assigned(number: NumberRow) -> NumberRow:
        return replace(number, agent_id=world.agent.id)

    await world.store.change_number(world.workspace_id, world.number.public_id, assigned, now=world.now)
    seen = await world.store.number(world.workspace_id, world.number.public_id)
    assert (seen.agent_public_id, seen.agent_name) == (world.agent.public_id, "Ada")
    await world.store.delete_agent(world.workspace_id, world.agent.public_id, now=world.now)
    assert (await world.store.number(world.workspace_id, world.number.public_id)).agent_public_id is None


async def test_agents_are_ranked_by_their_calls_of_a_week(world: World) -> None:
    quiet = await world.store.create_agent(world.workspace_id, agent_row(name="Bea"), now=world.now)
    await world.dial_all(await world.submit(2), Outcome.COMPLETED)
    wish = AgentWish(sort_by="call_count_7d")

    async def ranked(now: float) -> list[str]:
        found = await world.store.agents_listed(world.workspace_id, wish, limit=10, skip=0, now=now)
        return [one.agent.public_id for one in found]

    assert await ranked(world.now) == [world.agent.public_id, quiet.public_id]
    assert await ranked(world.now + 8 * 86_400) == [quiet.public_id, world.agent.public_id]
    used = await world.store.agents_listed(world.workspace_id, wish, limit=10, skip=0, now=world.now)
    assert [one.last_call_at for one in used] == [world.now, None]


# --- webhooks and settings -----------------------------------------------------------------------------------------


def a_webhook(workspace_id: int) -> WebhookRow:
    return WebhookRow(
        id=0,
        workspace_id=workspace_id,
        public_id=new_public_id("webhook_"),
        name="w",
        url="https://example.com",
        secret="wsec_in-clear",
        request_headers={"Authorization": "of-the-receiver"},
        events=("transcript",),
        retry_enabled=False,
        is_disabled=False,
        is_auto_disabled=False,
        created_at=0.0,
    )


async def test_webhooks_are_sealed_changed_and_removed_from_the_settings(world: World) -> None:
    store, workspace = world.store, world.workspace_id
    made = await store.create_webhook(a_webhook(workspace), now=world.now)
    assert await store.webhooks(workspace) == [made]
    assert (made.secret, made.request_headers["Authorization"]) == ("wsec_in-clear", "of-the-receiver")
    kept = repr(world.sql("select * from webhook"))
    assert "in-clear" not in kept
    assert "of-the-receiver" not in kept
    changed = await store.change_webhook(workspace, made.public_id, lambda hook: replace(hook, is_disabled=True))
    assert await store.webhook(workspace, made.public_id) == changed == replace(made, is_disabled=True)
    chosen = {"webhooks": {"post_call_webhook_id": made.public_id, "events": ["audio"]}, "other": 1}
    assert await store.change_workspace_settings(workspace, lambda _: chosen) == chosen
    await store.delete_webhook(workspace, made.public_id)
    assert await store.workspace_settings(workspace) == {
        "webhooks": {"post_call_webhook_id": None, "events": ["audio"]},
        "other": 1,
    }
    for gone in (store.webhook(workspace, made.public_id), store.delete_webhook(workspace, made.public_id)):
        with pytest.raises(NotFound):
            await gone


# --- plans ---------------------------------------------------------------------------------------------------------

PLACES = {
    "conversations_of_workspace": "conversation_by_workspace",
    "conversations_of_agent": "conversation_by_agent",
    "conversations_of_batch": "conversation_by_batch",
}


def plan(world: World, engine: Engine, name: str, **params: Any) -> str:
    query = engine.queries[name]
    arguments = query.arguments(params)
    if world.url.startswith("sqlite"):
        connection = sqlite3.connect(world.url.removeprefix("sqlite:///"))
        try:
            return repr(
                connection.execute(
                    f"explain query plan {query.sql}", dict(zip(query.params, arguments, strict=True))
                ).fetchall()
            )
        finally:
            connection.close()
    with psycopg.connect(world.url, cursor_factory=psycopg.RawCursor) as postgres:
        return repr(postgres.execute(f"explain {query.sql}", arguments).fetchall())


def fill(world: World, n: int) -> None:
    """So many calls that are over, of 50 batches and 10 agents."""
    numbers = (
        f"with recursive s(i) as (select 1 union all select i + 1 from s where i < {n}) "
        if world.url.startswith("sqlite")
        else f"with s(i) as (select generate_series(1, {n})) "
    )
    key = "printf('%036d', i)" if world.url.startswith("sqlite") else "lpad(i::text, 36, '0')"
    number = key.replace("36", "12")
    where = f"{world.workspace_id}, i % 50 + 1000000, 0, 'r', {number}, i % 10 + 1000000, {world.number.id}"
    statements = [
        (
            "insert into attempt (call_key, workspace_id, batch_id, ord, recipient_id, number, agent_id, number_id, "
            "trunk, provider, round, generation, state, holds, node, epoch, heard_at, claimed_at, go_at) "
            f"{numbers} select {key}, {where}, 't', 'p', 0, 0, 'ended', false, 'n', 1, i, i, i from s"
        ),
        (
            "insert into conversation (call_key, workspace_id, client_data, said, agent_id, batch_id, started_at) "
            f"{numbers} select {key}, {world.workspace_id}, '{{}}', '[]', i % 10 + 1000000, i % 50 + 1000000, i from s"
        ),
        "analyze",
    ]
    if world.url.startswith("sqlite"):
        connection = sqlite3.connect(world.url.removeprefix("sqlite:///"), timeout=10)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return
    with psycopg.connect(world.url, autocommit=True) as postgres:
        for statement in statements:
            postgres.execute(statement.encode())


async def test_lists_are_read_by_their_index(world: World) -> None:
    await asyncio.to_thread(fill, world, 100_000)
    engine = world.store.engine
    asked = {"workspace_id": world.workspace_id, "agent_id": 1_000_003, "batch_id": 1_000_007, "limit": 31}
    span = {"from_at": 0, "until_at": 90_001}
    places: list[dict[str, Any]] = [{"after_at": None, "after_key": None}, {"after_at": 90_000, "after_key": "0" * 36}]
    for name, index in PLACES.items():
        for direction in ("down", "up"):
            for after in places:
                seen = await asyncio.to_thread(plan, world, engine, f"{name}_{direction}", **asked, **span, **after)
                assert index in seen, (name, direction, seen)
                assert "TEMP B-TREE" not in seen
                assert "Sort" not in seen
    keys = [f"{n:036d}" for n in range(1, 32)]
    for name in ("calls_by_key", "words_by_key", "client_data_under_way"):
        seen = await asyncio.to_thread(plan, world, engine, name, keys=keys)
        for scan in ("SCAN a'", "SCAN c'", "Seq Scan on attempt", "Seq Scan on conversation"):
            assert scan not in seen, (name, seen)
    under_way = {"workspace_id": world.workspace_id, "agent_id": None, "batch_id": None}
    seen = await asyncio.to_thread(plan, world, engine, "conversations_under_way", **under_way)
    assert "attempt_" in seen, "one of the narrow indexes of open calls"
    assert "Seq Scan on attempt" not in seen
