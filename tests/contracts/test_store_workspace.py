"""Nodes, workspaces, keys, agents, phone numbers and the do-not-call list on both engines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from outdial.domain.errors import BadSetting, InUse, NotFound
from outdial.ports.store import AgentRow, ClaimLimits, NodeLease, NumberRow
from outdial.store.op import Footprint, Reads, Single, Tx
from outdial.store.secrets import Vault
from outdial.store.store import SqlStore, open_store
from tests.conftest import SECRET

NOW = 1_700_000_000.25


def an_agent(public_id: str = "agent_one", *, limit: int | None = None) -> AgentRow:
    return AgentRow(
        id=0,
        workspace_id=0,
        public_id=public_id,
        name="Ada",
        conversation_config={"agent": {"first_message": "Grüß Gott, it’s {{name}}"}, "empty": None},
        platform_settings={"call_limits": {"agent_concurrency_limit": limit or -1}},
        workflow=None,
        tags=("a", "b"),
        created_at=0,
        updated_at=0,
        concurrency_limit=limit,
        daily_limit=None if limit is None else 1_000 * limit,
    )


def a_number(public_id: str = "phnum_one", **changes: Any) -> NumberRow:
    number = NumberRow(
        id=0,
        workspace_id=0,
        public_id=public_id,
        provider="twilio",
        phone_number="+4930123456",
        label="Berlin",
        settings={"sid": "AC1", "token": "hunter22-in-clear"},
        trunk="twilio:AC1",
        max_concurrent_calls=2,
        max_calls_per_second=1.5,
        agent_id=None,
        created_at=0,
        updated_at=0,
    )
    return replace(number, **changes)


@pytest.fixture
async def workspace(store: SqlStore) -> int:
    return (await store.create_workspace("first", now=NOW))[0]


async def bucket(store: SqlStore, key: str) -> Any:
    return await store._read(lambda tx: tx.one("buckets_by_key", keys=[key]))


# --- nodes ---------------------------------------------------------------------------------------------------------


async def test_each_start_of_a_node_is_a_new_epoch(store: SqlStore) -> None:
    first = await store.register_node("n1", now=NOW)
    assert first == NodeLease("n1", 1)
    assert await store.heartbeat(first)
    second = await store.register_node("n1", now=NOW)
    assert second == NodeLease("n1", 2)
    assert not await store.heartbeat(first)
    assert await store.heartbeat(second)
    await store.retire_node(first)
    assert await store.heartbeat(second), "the old epoch can't retire the new one"
    await store.retire_node(second)
    assert not await store.heartbeat(second)


async def test_a_heartbeat_counts_by_the_database_s_clock(postgres_url: str) -> None:
    store = open_store(postgres_url, secret=SECRET)
    await store.start()
    lease = await store.register_node("n1", now=0.0)

    async def holds(within: float) -> bool:
        asked = {"name": lease.node, "epoch": lease.epoch, "now": 0, "timeout": round(within * 1e6)}
        return bool(await store._read(lambda tx: tx.value("node_holds", **asked)))

    assert await holds(10.0)
    await asyncio.sleep(0.05)
    assert not await holds(0.01)
    await store.heartbeat(lease)
    assert await holds(1.0)
    await store.stop()


async def test_on_a_file_whoever_served_before_under_another_name_is_over(sqlite_url: str) -> None:
    store = open_store(sqlite_url, secret=SECRET)
    await store.start()
    old = await store.register_node("old", now=NOW)
    new = await store.register_node("new", now=NOW)
    assert not await store.heartbeat(old)
    assert await store.heartbeat(new)
    await store.stop()


async def test_on_postgres_nodes_live_side_by_side(postgres_url: str) -> None:
    store = open_store(postgres_url, secret=SECRET)
    await store.start()
    one, two = await store.register_node("one", now=NOW), await store.register_node("two", now=NOW)
    assert await store.heartbeat(one)
    assert await store.heartbeat(two)
    await store.stop()


async def test_a_heartbeat_does_not_wait_for_the_writer(postgres_url: str) -> None:
    store = open_store(postgres_url, secret=SECRET)
    await store.start()
    workspace, _ = await store.create_workspace("first", now=NOW)
    lease = await store.register_node("n1", now=NOW)
    with psycopg.connect(postgres_url) as somebody:
        somebody.execute("select 1 from bucket where key = %s for update", (f"w:{workspace}",))
        stuck = asyncio.ensure_future(store.suppress(workspace, ["+491"], reason="asked", now=NOW))
        async with asyncio.timeout(1):
            assert await store.heartbeat(lease)
        assert not stuck.done()
    assert await stuck == 1
    await store.stop()


# --- workspaces and keys -------------------------------------------------------------------------------------------


async def test_a_workspace_is_made_once(store: SqlStore) -> None:
    asked = await asyncio.gather(*(store.create_workspace("same", now=NOW) for _ in range(5)))
    assert len(set(asked)) == 1
    number, public_id = asked[0]
    assert public_id.startswith("ws_")
    assert (await bucket(store, f"w:{number}")).cap == 100
    assert (await store.create_workspace("other", now=NOW))[0] != number


async def test_a_changed_setting_changes_every_workspace(engine_url: str) -> None:
    store = open_store(engine_url, secret=SECRET)
    await store.start()
    number, _ = await store.create_workspace("first", now=NOW)
    await store.stop()
    store = open_store(engine_url, secret=SECRET, limits=ClaimLimits(workspace_concurrency=7))
    await store.start()
    assert (await bucket(store, f"w:{number}")).cap == 7
    assert await store.limit_workspaces() == 0
    await store.stop()


async def test_a_key_opens_its_workspace(store: SqlStore, workspace: int) -> None:
    assert await store.key_owner(b"hash") is None
    key_id = await store.create_key(workspace, b"hash", name="mine", now=NOW)
    owner = await store.key_owner(b"hash")
    assert owner is not None
    assert (owner.workspace_id, owner.key_id, owner.may_administer) == (workspace, key_id, False)
    assert owner.workspace_public_id == (await store.create_workspace("first", now=NOW))[1]


async def test_the_key_of_the_settings_may_administer_until_the_settings_name_another(store: SqlStore) -> None:
    for _ in range(2):
        await store.bootstrap_key(b"one", now=NOW)
    owner = await store.key_owner(b"one")
    assert owner is not None
    assert owner.may_administer
    assert owner.workspace_id == (await store.create_workspace("default", now=NOW))[0]
    await store.create_key(owner.workspace_id, b"made", name="made", now=NOW)
    await store.bootstrap_key(b"two", now=NOW)
    assert await store.key_owner(b"one") is None
    assert await store.key_owner(b"two") is not None
    made = await store.key_owner(b"made")
    assert made is not None
    assert not made.may_administer


# --- agents --------------------------------------------------------------------------------------------------------


async def test_an_agent_comes_back_as_it_was_given(store: SqlStore, workspace: int) -> None:
    given = an_agent(limit=3)
    made = await store.create_agent(workspace, given, now=NOW)
    assert made == replace(given, id=made.id, workspace_id=workspace, created_at=NOW, updated_at=NOW)
    assert await store.agent(workspace, "agent_one") == made
    assert (await bucket(store, f"a:{made.id}")).cap == 3
    assert await store.agents(workspace) == [made]


async def test_agents_are_of_one_workspace(store: SqlStore, workspace: int) -> None:
    await store.create_agent(workspace, an_agent(), now=NOW)
    other, _ = await store.create_workspace("other", now=NOW)
    with pytest.raises(NotFound):
        await store.agent(other, "agent_one")
    with pytest.raises(NotFound):
        await store.update_agent(other, an_agent(), now=NOW)
    with pytest.raises(NotFound):
        await store.delete_agent(other, "agent_one", now=NOW)
    assert await store.agents(other) == []


async def test_a_changed_agent_has_a_new_version_and_a_new_limit(store: SqlStore, workspace: int) -> None:
    made = await store.create_agent(workspace, an_agent(), now=NOW)
    assert (await bucket(store, f"a:{made.id}")).cap is None
    changed = await store.update_agent(workspace, replace(made, name="Grace", concurrency_limit=9), now=NOW)
    assert (changed.id, changed.name, changed.created_at) == (made.id, "Grace", NOW)
    assert changed.updated_at > made.updated_at, "even if the clock stood still"
    assert (await bucket(store, f"a:{made.id}")).cap == 9


async def test_a_deleted_agent_is_out_of_sight(store: SqlStore, workspace: int) -> None:
    made = await store.create_agent(workspace, an_agent(), now=NOW)
    await store.delete_agent(workspace, "agent_one", now=NOW)
    with pytest.raises(NotFound):
        await store.agent(workspace, "agent_one")
    assert await store._read(lambda tx: tx.one("agent_by_id", id=made.id)) is not None


async def test_what_an_open_batch_needs_can_not_be_deleted(store: SqlStore, workspace: int) -> None:
    agent = await store.create_agent(workspace, an_agent(), now=NOW)
    number = await store.create_number(workspace, a_number(), now=NOW)
    await _sql(
        store,
        "insert into batch (workspace_id, public_id, name, agent_id, number_id, status, created_at, scheduled_at, "
        f"updated_at) values ({workspace}, 'btcal_x', 'x', {agent.id}, {number.id}, 'in_progress', 0, 0, 0)",
    )
    with pytest.raises(InUse, match="btcal_x"):
        await store.delete_agent(workspace, "agent_one", now=NOW)
    with pytest.raises(InUse, match="btcal_x"):
        await store.delete_number(workspace, "phnum_one", now=NOW)
    await _sql(store, "update batch set status = 'completed', sealed = true")
    await store.delete_agent(workspace, "agent_one", now=NOW)
    await store.delete_number(workspace, "phnum_one", now=NOW)


async def _sql(store: SqlStore, sql: str) -> None:
    session = store.engine.writer("test")
    session.begin()
    session._connection.execute(sql)  # type: ignore[attr-defined]
    session.commit()
    session.close()


# --- numbers -------------------------------------------------------------------------------------------------------


async def test_a_number_comes_back_with_its_secrets_and_has_its_limits(store: SqlStore, workspace: int) -> None:
    made = await store.create_number(workspace, a_number(), now=NOW)
    assert made == a_number(id=made.id, workspace_id=workspace, trunk="t:twilio:AC1", created_at=NOW, updated_at=NOW)
    assert await store.number(workspace, "phnum_one") == made
    assert await store.number_by_id(made.id) == made
    assert await store.numbers(workspace) == [made]
    limits = await bucket(store, f"n:{made.id}")
    assert (limits.cap, limits.rate, limits.live) == (2, 1.5, 0)
    assert await bucket(store, "t:twilio:AC1") is not None


async def test_numbers_are_of_one_workspace(store: SqlStore, workspace: int) -> None:
    await store.create_number(workspace, a_number(), now=NOW)
    other, _ = await store.create_workspace("other", now=NOW)
    for attempt in (
        store.number(other, "phnum_one"),
        store.update_number(other, a_number(), now=NOW),
        store.delete_number(other, "phnum_one", now=NOW),
        store.number_by_id(4711),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_number_without_limits_has_none(store: SqlStore, workspace: int) -> None:
    bare = a_number(max_concurrent_calls=None, max_calls_per_second=None)
    made = await store.create_number(workspace, bare, now=NOW)
    limits = await bucket(store, f"n:{made.id}")
    assert (limits.cap, limits.rate) == (None, None)


async def test_changed_settings_lift_the_halt_of_a_trunk(store: SqlStore, workspace: int) -> None:
    made = await store.create_number(workspace, a_number(), now=NOW)
    await _sql(store, "update bucket set halted_reason = 'credentials', live = 1 where key = 't:twilio:AC1'")
    assert (await store.number(workspace, "phnum_one")).halted_reason == "credentials"
    relabelled = await store.update_number(workspace, replace(made, label="Bonn", max_concurrent_calls=5), now=NOW)
    assert (relabelled.label, relabelled.halted_reason) == ("Bonn", "credentials")
    assert (await bucket(store, f"n:{made.id}")).cap == 5
    mended = await store.update_number(workspace, replace(relabelled, settings={"token": "new"}), now=NOW)
    assert (mended.settings, mended.halted_reason) == ({"token": "new"}, "")
    health = await bucket(store, "t:twilio:AC1")
    assert (health.faults, health.live) == (2, 1), "one more fault halts it again; the call under way still counts"


async def test_a_deleted_number_is_out_of_sight_and_calls_under_way_still_find_it(
    store: SqlStore, workspace: int
) -> None:
    made = await store.create_number(workspace, a_number(), now=NOW)
    await store.delete_number(workspace, "phnum_one", now=NOW)
    with pytest.raises(NotFound):
        await store.number(workspace, "phnum_one")
    assert (await store.number_by_id(made.id)).settings == a_number().settings


async def test_secrets_are_never_in_the_file_in_clear(sqlite_url: str, tmp_path: Path) -> None:
    store = open_store(sqlite_url, secret=SECRET)
    await store.start()
    workspace, _ = await store.create_workspace("first", now=NOW)
    await store.create_number(workspace, a_number(), now=NOW)
    written = _everything_in(tmp_path)
    assert b"Berlin" in written, "the row is there to be found"
    assert b"hunter22" not in written
    await store.stop()
    assert b"hunter22" not in _everything_in(tmp_path)


def _everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


async def test_another_secret_key_is_told_at_start(engine_url: str) -> None:
    store = open_store(engine_url, secret=SECRET)
    await store.start()
    workspace, _ = await store.create_workspace("first", now=NOW)
    await store.create_number(workspace, a_number(), now=NOW)
    await store.stop()
    with pytest.raises(BadSetting, match="OUTDIAL_SECRET_KEY"):
        await open_store(engine_url, secret="another secret of 32 characters!").start()
    again = open_store(engine_url, secret=SECRET)
    await again.start()
    assert (await again.number(workspace, "phnum_one")).settings == a_number().settings
    await again.stop()


def test_a_sealed_value_opens_only_for_its_owner() -> None:
    vault = Vault(SECRET)
    sealed = vault.seal({"token": "hunter22"}, of="phnum_one")
    assert vault.open(sealed, of="phnum_one") == {"token": "hunter22"}
    assert sealed != vault.seal({"token": "hunter22"}, of="phnum_one"), "each has a nonce of its own"
    for text, owner in ((sealed, "phnum_two"), (sealed[:-8] + "AAAAAAA=", "phnum_one"), ("{}", "phnum_one")):
        with pytest.raises(BadSetting):
            vault.open(text, of=owner)


# --- the do-not-call list ------------------------------------------------------------------------------------------


async def test_the_do_not_call_list_counts_what_is_new(store: SqlStore, workspace: int) -> None:
    assert await store.suppress(workspace, ["+491", "+492", "+491"], reason="asked", now=NOW) == 2
    assert await store.suppress(workspace, ["+492", "+493"], reason="asked again", now=NOW) == 1
    assert await store.suppressed(workspace, ["+491", "+493", "+494"]) == {"+491", "+493"}
    assert await store.unsuppress(workspace, ["+491", "+494"]) == 1
    assert await store.suppressed(workspace, ["+491", "+492"]) == {"+492"}
    assert await store.suppress(workspace, [], reason="", now=NOW) == 0


async def test_the_do_not_call_list_is_of_one_workspace(store: SqlStore, workspace: int) -> None:
    other, _ = await store.create_workspace("other", now=NOW)
    await store.suppress(workspace, ["+491"], reason="asked", now=NOW)
    assert await store.suppressed(other, ["+491"]) == frozenset()
    assert await store.unsuppress(other, ["+491"]) == 0


async def test_a_long_list_is_written_in_chunks(store: SqlStore, workspace: int) -> None:
    numbers = [f"+49{n:08}" for n in range(12_345)]
    store.writer.reset_stats()
    assert await store.suppress(workspace, numbers, reason="import", now=NOW) == 12_345
    assert store.writer.stats.groups == 3
    assert len(await store.suppressed(workspace, numbers)) == 12_345


class Going(Single[int, bool]):
    """As GO does it: lock the workspace's bucket, then look at the list."""

    name = "going"
    order = 20

    def footprint(self, tx: Reads, requests: Any) -> Footprint:
        return Footprint(frozenset(f"w:{workspace}" for workspace in requests))

    def one(self, tx: Tx, request: int) -> bool:
        return not tx.rows("suppressed", workspace_id=request, numbers=["+491"])


async def test_nothing_goes_to_a_number_once_its_suppression_is_acknowledged(engine_url: str) -> None:
    """On PostgreSQL from two nodes: the answer to `suppress` comes after every GO that did not see it."""
    async with _two(engine_url) as (here, there):
        workspace, _ = await here.create_workspace("first", now=NOW)
        acknowledged = asyncio.Event()
        wrong = []

        async def go_on() -> None:
            for _ in range(60):
                late = acknowledged.is_set()
                if await there._ask(Going(), workspace) and late:
                    wrong.append(1)

        async def suppress() -> None:
            await asyncio.sleep(0.02)
            await here.suppress(workspace, ["+491"], reason="asked", now=NOW)
            acknowledged.set()

        await asyncio.gather(go_on(), suppress())
        assert acknowledged.is_set()
        assert not await there._ask(Going(), workspace)
        assert wrong == []


@asynccontextmanager
async def _two(url: str) -> AsyncIterator[tuple[SqlStore, SqlStore]]:
    """One store twice on a file, two nodes on PostgreSQL."""
    first = open_store(url, secret=SECRET)
    second = open_store(url, secret=SECRET) if first.engine.shared else first
    await first.start()
    await second.start()
    try:
        yield first, second
    finally:
        await first.stop()
        await second.stop()
