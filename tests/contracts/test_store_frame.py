"""The frame of the store: groups, poison, doubt, lost connections, and what one process holds alone."""

import asyncio
import itertools
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from outdial.domain.errors import BadSetting, Doubtful, NotFound, Unavailable
from outdial.runtime import failpoint
from outdial.store import queries
from outdial.store.op import Failure, Footprint, Kind, Lane, Reads, Single, Tx
from outdial.store.postgres import engine as postgres
from outdial.store.queries import Queries
from outdial.store.sqlite import engine as sqlite
from outdial.store.store import SqlStore, open_store
from tests.conftest import SECRET
from tests.support.commit_loser import CommitLoser, reachable
from tests.support.postgres import PostgresServer

NOTES = """
-- name: note
insert into suppression (workspace_id, number, reason, created_at) values (1, :word, '', 0);

-- name: notes
select number as word from suppression order by number;

-- name: note_on
select 1 from suppression where number = :word;
"""
NOTES_MANY = {
    "sqlite": """
-- name: note_many
insert into suppression (workspace_id, number, reason, created_at) values (1, :number, '', :at);
-- name: note_copied
insert into suppression (workspace_id, number, reason, created_at) values (:workspace_id, :number, :reason, :created_at)
""",
    "postgres": """
-- name: note_many
insert into suppression (workspace_id, number, reason, created_at)
select 1, r.number, '', r.at from jsonb_to_recordset(:rows::jsonb) as r (number text, at bigint);
-- name: note_copied
copy suppression (workspace_id, number, reason, created_at) from stdin
""",
}


class Note(Kind[str, str]):
    """Writes a word; "poison" writes and then fails, "unknown" is refused."""

    name = "note"

    def __init__(self, *, lane: Lane = Lane.HOT, order: int = 50, buckets: Sequence[str] = ()) -> None:
        self.lane = lane  # type: ignore[misc]
        self.order = order  # type: ignore[misc]
        self.buckets = frozenset(buckets)
        self.runs: list[list[str]] = []
        self.gate: threading.Event | None = None
        self.entered = threading.Event()

    def footprint(self, tx: Reads, requests: Sequence[str]) -> Footprint:
        return Footprint(self.buckets | {word for word in requests if ":" in word})

    def run(self, tx: Tx, requests: Sequence[str]) -> list[str | Failure]:
        self.runs.append(list(requests))
        self.entered.set()
        if self.gate is not None:
            assert self.gate.wait(20)
        return [self._write(tx, word) for word in requests]

    @staticmethod
    def _write(tx: Tx, word: str) -> str | Failure:
        if word == "unknown":
            return Failure(NotFound("word", word))
        tx.run("note", word=word)
        if word == "poison":
            raise ValueError(word)
        return word.upper()


def extended(store: SqlStore) -> SqlStore:
    engine = store.engine
    style = queries.named if engine.name == "sqlite" else queries.numbered
    more = queries.parse(NOTES + NOTES_MANY[engine.name], style, where="here")
    engine.queries = Queries({query.name: query for query in itertools.chain(engine.queries, more)})
    return store


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[SqlStore]:
    store = extended(open_store(url, secret=SECRET, **settings))
    await store.start()
    await store.create_workspace("first", now=0)
    try:
        yield store
    finally:
        await store.stop()


@pytest.fixture
async def store(engine_url: str) -> AsyncIterator[SqlStore]:
    async with opened(engine_url) as store:
        yield store


async def words(store: SqlStore) -> list[str]:
    return await store._read(lambda tx: [row.word for row in tx.rows("notes")])


class Held:
    """The writer's thread stands inside a transaction until `go`, so that what is asked meanwhile gathers."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.kind = Note()
        self.kind.gate = threading.Event()

    async def __aenter__(self) -> Self:
        self.first = asyncio.ensure_future(self.store._ask(self.kind, "first"))
        assert await asyncio.to_thread(self.kind.entered.wait, 5)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.kind.gate is not None
        self.kind.gate.set()
        await self.first


async def settle() -> None:
    await asyncio.sleep(0)


# --- groups --------------------------------------------------------------------------------------------------------


async def test_a_lone_request_is_committed_at_once(store: SqlStore) -> None:
    before = store.writer.reset_stats()
    assert before.groups >= 1
    assert await store._ask(Note(), "one") == "ONE"
    assert store.writer.stats.groups == 1
    assert await words(store) == ["one"]


async def test_what_arrives_while_a_group_commits_is_the_next_group(store: SqlStore) -> None:
    kind = Note()
    async with Held(store):
        asked = [asyncio.ensure_future(store._ask(kind, f"{n:04}")) for n in range(300)]
        await settle()
    assert await asyncio.gather(*asked) == [f"{n:04}" for n in range(300)]
    assert [len(run) for run in kind.runs] == [300]
    assert store.writer.stats.kind("note").sizes == {1: 1, 300: 1}
    assert len(await words(store)) == 301


async def test_a_group_has_an_upper_size(store: SqlStore) -> None:
    kind = Note()
    async with Held(store):
        asked = [asyncio.ensure_future(store._ask(kind, f"{n:04}")) for n in range(1200)]
        await settle()
    await asyncio.gather(*asked)
    assert [len(run) for run in kind.runs] == [500, 500, 200]


async def test_kinds_of_a_group_run_in_their_order(store: SqlStore) -> None:
    late, early = Note(order=90), Note(order=10, lane=Lane.CONTROL)
    seen: list[str] = []
    late.name, early.name = "late", "early"  # type: ignore[misc]
    for kind in (late, early):
        kind.run = _telling(kind, kind.run, seen)  # type: ignore[method-assign]
    async with Held(store):
        asked = [asyncio.ensure_future(store._ask(late, "a")), asyncio.ensure_future(store._ask(early, "b"))]
        await settle()
    assert await asyncio.gather(*asked) == ["A", "B"]
    assert seen == ["early", "late"]
    assert store.writer.stats.reruns == 0


def _telling(kind: Note, run: Callable[..., Any], seen: list[str]) -> Callable[..., Any]:
    def told(tx: Tx, requests: Sequence[str]) -> Any:
        seen.append(kind.name)
        return run(tx, requests)

    return told


async def test_bulk_work_goes_alone_and_has_its_turn_after_each_hot_group(store: SqlStore) -> None:
    hot, bulk = Note(), Note(lane=Lane.BULK)
    hot.name, bulk.name = "hot", "bulk"  # type: ignore[misc]
    seen: list[str] = []
    for kind in (hot, bulk):
        kind.run = _telling(kind, kind.run, seen)  # type: ignore[method-assign]
    async with Held(store):
        chores = [asyncio.ensure_future(store._ask(bulk, f"bulk {n}")) for n in range(3)]
        asked = [asyncio.ensure_future(store._ask(hot, f"{n:04}")) for n in range(700)]
        await settle()
    await asyncio.gather(*asked, *chores)
    assert seen == ["bulk", "hot", "bulk", "hot", "bulk"]
    assert [len(run) for run in bulk.runs] == [1, 1, 1]


async def test_a_caller_who_goes_away_undoes_nothing(store: SqlStore) -> None:
    async with Held(store):
        asked = asyncio.ensure_future(store._ask(Note(), "kept"))
        await settle()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    await store._ask(Note(), "later")
    assert await words(store) == ["first", "kept", "later"]


async def test_stop_commits_what_was_asked_and_then_nothing_is_taken(engine_url: str) -> None:
    async with opened(engine_url) as store:
        async with Held(store):
            asked = [asyncio.ensure_future(store._ask(Note(), f"{n}")) for n in range(20)]
            await settle()
        await store.stop()
        await store.stop()
        assert len(await asyncio.gather(*asked)) == 20
        with pytest.raises(Unavailable):
            await store._ask(Note(), "too late")
        with pytest.raises(Unavailable):
            await words(store)


# --- poison --------------------------------------------------------------------------------------------------------


async def test_a_poisonous_request_harms_only_itself(store: SqlStore) -> None:
    kind = Note()
    async with Held(store):
        asked = [asyncio.ensure_future(store._ask(kind, word)) for word in ("a", "poison", "b", "c")]
        await settle()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[0] == "A"
    assert answers[2:] == ["B", "C"]
    assert isinstance(answers[1], ValueError)
    assert await words(store) == ["a", "b", "c", "first"], "what the poisonous one wrote is undone"


async def test_a_request_that_the_database_refuses_harms_only_itself(store: SqlStore) -> None:
    async with Held(store):
        asked = [asyncio.ensure_future(store._ask(Note(), word)) for word in ("a", "first", "b")]
        await settle()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert (answers[0], answers[2]) == ("A", "B")
    assert isinstance(answers[1], sqlite3.IntegrityError | psycopg.errors.UniqueViolation)
    assert await words(store) == ["a", "b", "first"]


async def test_a_failure_is_told_to_its_caller_without_a_rerun(store: SqlStore) -> None:
    async with Held(store):
        asked = [asyncio.ensure_future(store._ask(Note(), word)) for word in ("a", "unknown", "b")]
        await settle()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[1], NotFound)
    assert store.writer.stats.reruns == 0
    assert await words(store) == ["a", "b", "first"]


async def test_a_refusal_of_a_single_is_a_failure(store: SqlStore) -> None:
    class Refusing(Single[str, str]):
        name = "refusing"

        def one(self, tx: Tx, request: str) -> str:
            raise NotFound("word", request)

    with pytest.raises(NotFound):
        await store._ask(Refusing(), "x")
    assert store.writer.stats.reruns == 0


async def test_a_missing_parameter_is_told(store: SqlStore) -> None:
    with pytest.raises(queries.BadQuery, match="word"):
        await store._read(lambda tx: tx.rows("note_on"))
    assert await store._read(lambda tx: tx.rows("note_on", word="x", more=1)) == []


# --- commit and its fail points ------------------------------------------------------------------------------------


async def test_what_fails_before_the_commit_is_undone(store: SqlStore) -> None:
    with failpoint.armed("in_commit=raise@1"), pytest.raises(failpoint.FailpointReached):
        await store._ask(Note(), "undone")
    assert await words(store) == []
    assert await store._ask(Note(), "done") == "DONE"


async def test_what_fails_after_the_commit_is_committed(store: SqlStore) -> None:
    with failpoint.armed("after_commit=raise@1"), pytest.raises(Doubtful):
        await store._ask(Note(), "done")
    assert await words(store) == ["done"]
    assert await store._ask(Note(), "more") == "MORE", "the thread lives on"


@pytest.mark.parametrize("loss", ["question", "answer"])
async def test_a_commit_without_an_answer_is_looked_up(postgres_url: str, loss: str) -> None:
    if not reachable(postgres_url):
        pytest.skip("the proxy needs a server on a local socket")
    proxy = CommitLoser(postgres_url)
    try:
        async with opened(proxy.url) as store:
            await store._ask(Note(), "before")
            kind = Note()
            proxy.lose_next(loss)  # type: ignore[arg-type]
            assert await store._ask(kind, "doubtful") == "DOUBTFUL"
            assert proxy.lost.is_set()
            assert store.writer.stats.doubts == 1
            # lost on the way there: done again. lost on the way back: it was done, and once is enough
            assert len(kind.runs) == (2 if loss == "question" else 1)
            assert await words(store) == ["before", "doubtful"]
            assert await store._ask(Note(), "after") == "AFTER"
    finally:
        proxy.close()


async def test_a_commit_that_nobody_can_look_up_is_told_as_such(postgres_url: str) -> None:
    if not reachable(postgres_url):
        pytest.skip("the proxy needs a server on a local socket")
    proxy = CommitLoser(postgres_url)
    async with opened(proxy.url) as store:
        store.writer._patience_secs = 0.3
        await store._ask(Note(), "before")
        proxy.lose_next("answer", for_good=True)
        with pytest.raises(Doubtful, match="nobody can say"):
            await store._ask(Note(), "doubtful")


# --- lost connections ----------------------------------------------------------------------------------------------


def _throw_out(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and application_name = 'outdial'"
        )


async def test_lost_connections_are_made_again(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        await asyncio.gather(store._ask(Note(), "before"), words(store), words(store), words(store))
        _throw_out(postgres_url)
        assert await store._ask(Note(), "after") == "AFTER"
        assert await words(store) == ["after", "before"]
        assert store.writer.stats.lost == 1


async def test_a_connection_lost_in_the_middle_of_a_transaction_costs_a_rerun(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        held = Held(store)
        async with held:
            _throw_out(postgres_url)
        assert held.kind.runs == [["first"], ["first"]]
        assert await words(store) == ["first"]


async def test_requests_wait_while_the_server_restarts() -> None:
    server = PostgresServer()
    try:
        server.start()
        async with opened(server.url) as store:
            await store._ask(Note(), "before")
            server.stop()
            asked = [asyncio.ensure_future(store._ask(Note(), f"{n:02}")) for n in range(10)]
            read = asyncio.ensure_future(words(store))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.start)
            assert await asyncio.gather(*asked) == [f"{n:02}" for n in range(10)]
            assert "before" in await read
            await asyncio.to_thread(server.restart)  # a crash: what was acknowledged is there
            assert len(await words(store)) == 11

            store.writer._patience_secs = store.readers._patience_secs = 0.5
            server.stop()
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await store._ask(Note(), "in vain")
            with pytest.raises(Unavailable):
                await words(store)
            assert time.monotonic() - began < 5
            await asyncio.to_thread(server.start)
            assert await store._ask(Note(), "at last") == "AT LAST"

        async with opened(server.url, patience_secs=1.0) as store:
            await store._ask(Note(), "still there")
            with server.frozen():  # its sockets are open, and nobody answers on them
                began = time.monotonic()
                asked = asyncio.ensure_future(store._ask(Note(), "undone"))
                with pytest.raises(Unavailable):
                    await words(store)
                with pytest.raises(Unavailable) as told:
                    await asked
                assert not isinstance(told.value, Doubtful), "no COMMIT was sent"
                assert time.monotonic() - began < 10
            assert await store._ask(Note(), "done") == "DONE"
            assert "undone" not in await words(store)
    finally:
        await asyncio.to_thread(server.remove)


# --- conflicts -----------------------------------------------------------------------------------------------------


async def test_rows_held_by_somebody_else_hold_up_only_those_who_need_them(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_WAIT_SECS", 0.2)
    async with opened(postgres_url) as store:
        with psycopg.connect(postgres_url) as somebody:
            somebody.execute("select 1 from bucket where key = 'w:1' for update")
            async with Held(store):
                asked = [asyncio.ensure_future(store._ask(Note(), word)) for word in ("a", "w:1", "b")]
                await settle()
            answers = await asyncio.gather(*asked, return_exceptions=True)
        assert (answers[0], answers[2]) == ("A", "B")
        assert isinstance(answers[1], Unavailable)
        assert await store._ask(Note(), "w:1") == "W:1"


async def test_a_deadlock_is_tried_again(postgres_url: str) -> None:
    class Unlucky(Note):
        def run(self, tx: Tx, requests: Sequence[str]) -> list[str | Failure]:
            answers = super().run(tx, requests)
            if len(self.runs) == 1:
                raise psycopg.errors.DeadlockDetected
            return answers

    async with opened(postgres_url) as store:
        kind = Unlucky()
        assert await store._ask(kind, "x") == "X"
        assert len(kind.runs) == 2


async def test_a_node_that_stands_still_in_a_transaction_is_thrown_out(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_IN_TRANSACTION_SECS", 0.3)
    async with opened(postgres_url) as first, opened(postgres_url) as second:
        stuck = Note(buckets=["w:1"])
        stuck.gate = threading.Event()
        asked = asyncio.ensure_future(first._ask(stuck, "first"))
        assert await asyncio.to_thread(stuck.entered.wait, 5)
        assert await second._ask(Note(buckets=["w:1"]), "second") == "SECOND"
        assert await words(second) == ["second"]
        stuck.gate.set()
        assert await asked == "FIRST", "it connects again and does it anew"
        assert await words(second) == ["first", "second"]


async def test_buckets_are_locked_in_one_order(postgres_url: str) -> None:
    keys = [f"w:{n}" for n in range(1, 9)]
    async with opened(postgres_url) as first, opened(postgres_url) as second:
        for n in range(2, 9):
            await first.create_workspace(f"workspace {n}", now=0)
        many = [
            asyncio.ensure_future(store._ask(Note(buckets=turn), f"{which} {n:03}"))
            for n in range(100)
            for which, store, turn in (("first", first, keys), ("second", second, keys[::-1]))
        ]
        await asyncio.gather(*many)
        assert first.writer.stats.reruns == second.writer.stats.reruns == 0


async def test_somebody_else_writing_to_the_file_is_waited_for(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        beside = extended(open_store(sqlite_url, secret=SECRET, serving=False))
        await beside.start()
        async with Held(store):
            asked = asyncio.ensure_future(beside._ask(Note(), "beside"))
            await asyncio.sleep(0.2)
            assert not asked.done()
        assert await asked == "BESIDE"
        await beside.stop()
        assert await words(store) == ["beside", "first"]


async def test_a_full_disk_is_unavailable_and_the_writer_lives_on(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        await store._ask(Note(), "before")
        session = store.writer._session
        assert isinstance(session, sqlite.SqliteWriter)
        (pages,) = session._connection.execute("pragma page_count").fetchone()
        session._connection.execute(f"pragma max_page_count = {pages}")
        with pytest.raises(Unavailable, match="can't write"):
            await asyncio.gather(*(store._ask(Note(), f"{n:04}" + "x" * 2000) for n in range(20)))
        assert await store._ask(Note(), "after") == "AFTER"
        assert [word for word in await words(store) if len(word) < 100] == ["after", "before"]


async def test_a_newer_node_s_migration_costs_a_new_connection(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        workspace, _ = await store.create_workspace("first", now=0)
        for _ in range(2):  # the second time the statement is prepared
            assert await store._read(lambda tx: tx.rows("agents", workspace_id=workspace)) == []
        with psycopg.connect(postgres_url, autocommit=True) as newer:
            newer.execute("alter table agent add column later text")
        assert await store._read(lambda tx: tx.rows("agents", workspace_id=workspace)) == []


async def test_a_committer_that_was_forgotten_does_not_take_a_commit_for_lost(postgres_url: str) -> None:
    if not reachable(postgres_url):
        pytest.skip("the proxy needs a server on a local socket")
    proxy = CommitLoser(postgres_url)
    try:
        async with opened(proxy.url) as store:
            await store._ask(Note(), "before")
            with psycopg.connect(postgres_url, autocommit=True) as somebody:
                assert somebody.execute("delete from committer").rowcount == 1
            kind = Note()
            proxy.lose_next("answer")
            assert await store._ask(kind, "doubtful") == "DOUBTFUL"
            assert len(kind.runs) == 1
    finally:
        proxy.close()


# --- reading and writing many --------------------------------------------------------------------------------------


async def test_a_read_sees_one_instant(store: SqlStore) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def read(tx: Reads) -> tuple[int, int]:
        before = len(tx.rows("notes"))
        entered.set()
        assert go_on.wait(10)
        return before, len(tx.rows("notes"))

    reading = asyncio.ensure_future(store._read(read))
    assert await asyncio.to_thread(entered.wait, 5)
    await store._ask(Note(), "meanwhile")
    go_on.set()
    assert await reading == (0, 0)
    assert await words(store) == ["meanwhile"]


async def test_readers_can_not_write(store: SqlStore) -> None:
    store.readers._patience_secs = 0.1
    with pytest.raises((sqlite3.OperationalError, psycopg.errors.ReadOnlySqlTransaction, Unavailable)):
        await store._read(lambda tx: tx.run("note", word="x"))  # type: ignore[attr-defined]
    assert await words(store) == []


async def test_a_refusal_costs_a_reader_nothing(store: SqlStore) -> None:
    await words(store)
    kept = store.readers._idle.get_nowait()
    store.readers._idle.put(kept)

    def refuse(tx: Reads) -> None:
        raise NotFound("word", "x")

    with pytest.raises(NotFound):
        await store._read(refuse)
    assert store.readers._idle.get_nowait() is kept
    store.readers._idle.put(kept)
    assert await words(store) == []


@pytest.mark.parametrize("name", ["note_many", "note_copied"])
async def test_many_rows_are_written_at_once(store: SqlStore, name: str) -> None:
    class Many(Single[int, int]):
        name = "many"

        def one(self, tx: Tx, request: int) -> int:
            rows = [
                {"workspace_id": 1, "number": f"{n:05}\t'\\", "reason": "r", "created_at": n, "at": n}
                for n in range(request)
            ]
            return tx.bulk(query, rows)

    query = name
    assert await store._ask(Many(), 2500) == 2500
    found = await words(store)
    assert len(found) == 2500
    assert found[7] == "00007\t'\\"


# --- one serving process, migrations -------------------------------------------------------------------------------


async def test_a_file_is_served_by_one_process(sqlite_url: str) -> None:
    async with opened(sqlite_url):
        with pytest.raises(BadSetting, match=r"served by another process \(pid \d+\)"):
            await open_store(sqlite_url, secret=SECRET).start()
        beside = open_store(sqlite_url, secret=SECRET, serving=False)
        await beside.start()
        await beside.create_workspace("by a command", now=0)
        await beside.stop()
    async with opened(sqlite_url) as store:
        assert (await store.create_workspace("by a command", now=0))[0] == 2


async def test_programs_that_the_server_starts_do_not_hold_its_lock(sqlite_url: str) -> None:
    async with opened(sqlite_url):
        child = _start_program()
    try:
        async with opened(sqlite_url) as store:
            assert await words(store) == []
    finally:
        child.communicate()


def _start_program() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)


async def test_a_started_store_starts_once(engine_url: str) -> None:
    async with opened(engine_url) as store:
        await store.start()
        store.engine.open(serving=True)
        await store.create_workspace("still here", now=0)
    async with opened(engine_url) as store:
        assert (await store.create_workspace("still here", now=0))[0] == 2, "a second start keeps what is there"


async def test_nodes_that_start_together_migrate_once(postgres_databases: Any) -> None:
    empty = postgres_databases.create_empty()
    try:
        stores = [open_store(empty, secret=SECRET) for _ in range(4)]
        await asyncio.gather(*(store.start() for store in stores))
        await asyncio.gather(*(store.stop() for store in stores))
    finally:
        postgres_databases.drop(empty)


async def test_a_newer_database_is_refused(sqlite_url: str) -> None:
    async with opened(sqlite_url):
        pass
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("insert into schema_version values (999, 0)")
    with pytest.raises(BadSetting, match="999"):
        await open_store(sqlite_url, secret=SECRET).start()


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "sqlite:relative.db", "sqlite:///x.db?mode=ro", "sqlite:////no/such/folder/x.db"]
)
async def test_a_database_that_can_not_be_used_is_told_at_start(url: str) -> None:
    with pytest.raises(BadSetting):
        await open_store(url, secret=SECRET).start()


async def test_a_file_that_is_no_database_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are no pages of SQLite\n" * 100)
    with pytest.raises(BadSetting, match=r"notes\.txt"):
        await open_store(f"sqlite:///{tmp_path}/notes.txt", secret=SECRET).start()


async def test_a_server_that_is_not_there_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "OPEN_SECS", 0.3)
    with pytest.raises(BadSetting, match="can't be reached") as told:
        await open_store("postgresql://me:hunter22@127.0.0.1:9/outdial", secret=SECRET).start()
    assert "hunter22" not in str(told.value)


async def test_a_url_that_is_none_is_told_without_its_password() -> None:
    with pytest.raises(BadSetting) as told:
        await open_store("postgresql://me:hunter%zz@host/outdial", secret=SECRET).start()
    assert "hunter" not in f"{told.value}{told.value.__cause__}"


async def test_a_store_without_a_place_leaves_nothing_behind() -> None:
    store = open_store("sqlite://", secret=SECRET)
    await store.start()
    folder = store.temporary
    assert folder is not None
    assert folder.exists()
    await store.stop()
    assert not folder.exists()


# --- the two sets of SQL -------------------------------------------------------------------------------------------


def _of(folder: Path) -> dict[str, frozenset[str]]:
    loaded = queries.load(folder, queries.named)
    own = {q.name for q in queries.parse((folder / queries.ENGINES_OWN).read_text(), queries.named, where="engine.sql")}
    return {query.name: frozenset(query.params) for query in loaded if query.name not in own}


def test_both_engines_answer_to_the_same_names() -> None:
    assert _of(sqlite.FOLDER).keys() == _of(postgres.FOLDER).keys()


def test_every_query_compiles_on_sqlite(sqlite_url: str) -> None:
    store = open_store(sqlite_url, secret=SECRET)
    store.engine.open(serving=False)
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        for query in store.engine.queries:
            connection.execute(f"explain {query.sql}", dict.fromkeys(query.params))


def test_every_query_compiles_on_postgres(postgres_url: str) -> None:
    store = open_store(postgres_url, secret=SECRET)
    bad = []
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for query in store.engine.queries:
            if query.copy_columns:
                continue
            answer = connection.pgconn.prepare(b"", query.sql.encode())
            if answer.status != psycopg.pq.ExecStatus.COMMAND_OK:
                bad.append(f"{query.name}: {answer.error_message.decode()}")
    assert bad == []
