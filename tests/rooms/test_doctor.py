"""What the doctor finds, on both engines: nothing in a sound database, and every kind of damage by name."""

import asyncio
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from outdial.app import doctor
from outdial.app.doctor import Finding, State, examine, network
from outdial.app.settings import Settings, load
from outdial.domain.call import EventKind
from outdial.domain.outcome import Outcome
from outdial.store.store import SqlStore
from tests.support.uas import uas
from tests.support.world import World, number_row

SECRET = "a secret of thirty-two characters"


def settings(url: str, **more: str) -> Settings:
    return load({"OUTDIAL_DATABASE": url, "OUTDIAL_SECRET_KEY": SECRET, **more})


def found(url: str, **more: str) -> dict[str, Finding]:
    """By check; the worst of each."""
    worst: dict[str, Finding] = {}
    order = list(State)
    for finding in examine(lambda: settings(url, **more), server_url="http://127.0.0.1:9"):
        known = worst.get(finding.check)
        if known is None or order.index(finding.state) > order.index(known.state):
            worst[finding.check] = finding
    return worst


def change(url: str, statement: str) -> None:
    """As somebody with a SQL shell would."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute(statement)
            connection.commit()
        return
    with psycopg.connect(url) as other:
        other.execute(statement)


@pytest.fixture
async def world(store: SqlStore, engine_url: str) -> World:
    return await World.make(store, engine_url)


@pytest.fixture
async def lively(world: World) -> World:
    """Somebody in every state: waiting, intent, dialling, ringing, live, ended in many ways, lost; decisions undone."""
    await world.dial_all(await world.submit(6), [Outcome.COMPLETED, Outcome.BUSY, Outcome.VOICEMAIL])
    batch = await world.submit([f"+1666{i:07d}" for i in range(9)])
    await world.claim(batch, 1)
    _, ringing, live, lost, thrown, over = await world.dial(batch, 6)
    await world.report(ringing.call_key, EventKind.RINGING)
    await world.report(live.call_key, EventKind.ANSWERED)
    await world.report(lost.call_key, EventKind.LOST)
    await world.report(thrown.call_key, EventKind.THROTTLED, retry_after=5.0)
    await world.end(over.call_key, Outcome.NO_ANSWER)
    await world.retry(batch)
    cancelled = await world.submit([f"+1777{i:07d}" for i in range(3)])
    await world.dial(cancelled, 1)
    await world.cancel(cancelled)
    big = await world.submit([f"+1888{i:07d}" for i in range(2_500)])
    await world.cancel(big)  # its rows follow later
    return world


def state_of(findings: dict[str, Finding]) -> dict[str, State]:
    return {name: findings[name].state for name in doctor.audit.PARTS}


async def test_a_sound_database_is_found_sound_whatever_goes_on_in_it(lively: World) -> None:
    findings = found(lively.url)
    assert state_of(findings) == dict.fromkeys(doctor.audit.PARTS, State.OK), findings
    assert (findings["database"].state, findings["secret key"].state) == (State.OK, State.OK)
    await lively.sweep()
    assert state_of(found(lively.url)) == dict.fromkeys(doctor.audit.PARTS, State.OK)


DAMAGE = [
    ("update batch set finished = finished + 1 where id = 1", "counters", "counter says 7 finished, its rows say 6"),
    ("update batch set dispatched = dispatched - 2 where id = 2", "counters", "dispatched"),
    ("update batch set scheduled = 8 where id = 2", "counters", "its counter says 8 scheduled, its rows say 9"),
    ("update tally set n = 7 where batch_id = 1 and outcome = 'busy'", "counters", "says 7 busy, its rows say 2"),
    ("update recipient set status = 'failed' where batch_id = 1 and ord = 0", "attempts", "are failed (completed)"),
    ("update recipient set attempt_key = null where batch_id = 1 and ord = 0", "attempts", "without an attempt"),
    ("update recipient set attempts = 5 where batch_id = 1 and ord = 0", "attempts", "another number of attempts"),
    ("update attempt set check_at = null where state = 'ringing'", "attempts", "never be looked up"),
    ("update attempt set outcome = null where batch_id = 1", "attempts", "over without an outcome"),
    ("update batch set status = 'in_progress' where id = 1", "ends", "everybody in it has ended"),
    ("update batch set status = 'completed' where id = 2", "ends", "people in it wait"),
    ("update batch set undone = undone + 1 where id = 1", "ends", "counts 1 undone decisions, 0 are filed"),
    ("delete from due where batch_id = 2", "hopper", "not in the hopper"),
    ("insert into due (batch_id, generation, window_class, due_at, ord) values (1, 0, 0, 5, 3)", "hopper", "to nobody"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "check", "says"), DAMAGE, ids=[f"{c}-{n}" for n, (_, c, _) in enumerate(DAMAGE)])
async def test_damage_is_found_and_the_batch_is_named(lively: World, statement: str, check: str, says: str) -> None:
    await lively.sweep()
    (ids,) = [dict(lively.sql("select id, public_id from batch"))]
    change(lively.url, statement)
    finding = found(lively.url)[check]
    assert finding.state is State.FAILED
    assert finding.do
    lines = [line for line in finding.details if says in line]
    assert lines, finding
    batch = ids[2 if "= 2" in statement or "ringing" in statement else 1]
    assert lines[0].startswith(f"{batch}: ")


@pytest.mark.parametrize("n", [1, -1])
async def test_a_day_that_counts_calls_wrong_is_told(lively: World, n: int) -> None:
    change(lively.url, f"update agent_day set calls = calls + {n}")
    finding = found(lively.url)["days"]
    assert finding.state is State.FAILED
    assert f"a:{lively.agent.id}: it counts {13 + n} calls on day" in finding.details[0]


@pytest.mark.parametrize("n", [1, -1])
async def test_a_slot_too_many_or_too_few_is_found_by_its_limit(lively: World, n: int) -> None:
    key = f"n:{lively.number.id}"
    change(lively.url, f"update bucket set live = live + {n} where key = '{key}'")
    finding = found(lively.url)["slots"]
    assert finding.state is State.FAILED
    assert [line.split(": ")[0] for line in finding.details] == [key] or finding.details[0].startswith(key)


async def test_many_things_are_counted_and_some_are_shown(world: World) -> None:
    for i in range(13):
        await world.dial_all(await world.submit([f"+1999{i:07d}"]), Outcome.COMPLETED)
    change(world.url, "update batch set finished = 5")
    finding = found(world.url)["counters"]
    assert finding.says.startswith("13 things")
    assert (len(finding.details), finding.details[-1]) == (11, "and 3 more")


async def test_another_secret_key_is_told(world: World) -> None:
    finding = found(world.url, OUTDIAL_SECRET_KEY="x" * 32)["secret key"]
    assert finding.state is State.FAILED


async def test_a_halted_trunk_and_a_forgotten_call_are_warned_of(world: World) -> None:
    batch = await world.submit(2)
    await world.dial(batch)
    change(world.url, "update bucket set halted_at = 1, halted_reason = 'no balance' where key = 't:loopback:1'")
    change(world.url, "update attempt set check_at = 1000000")
    findings = found(world.url)
    assert findings["trunks"].state is State.WARNING
    assert findings["trunks"].details == (f"{world.number.public_id} (loopback): no balance",)
    assert "PATCH /v1/convai/phone-numbers/{id}, which lets calls go on" in findings["trunks"].do
    assert f"`outdial resume {batch.public_id}`" in findings["trunks"].do
    assert findings["calls"].state is State.WARNING
    assert findings["clock"].state is State.FAILED, "this test's clock is ahead of the machine's"


async def test_a_halted_trunk_that_nobody_waits_for_is_told_with_retry(world: World) -> None:
    await world.dial_all(await world.submit(1), Outcome.PROVIDER_REJECTED)
    change(world.url, "update bucket set halted_at = 1, halted_reason = 'no balance' where key = 't:loopback:1'")
    finding = found(world.url)["trunks"]
    assert finding.state is State.WARNING
    assert "PATCH /v1/convai/phone-numbers/{id}" in finding.do
    assert finding.do.endswith("No batch waits for it: `outdial retry` calls those who were not reached.")


# --- SQLite's file -------------------------------------------------------------------------------------------------


def test_where_there_is_no_database_none_is_made(tmp_path: Path) -> None:
    findings = found(f"sqlite:///{tmp_path}/none.db")
    assert findings["database"].state is State.FAILED
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "o.db").write_bytes(b"no database at all" * 500)
    assert found(f"sqlite:///{tmp_path}/o.db")["database"].state is State.FAILED


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def is_there(file: str) -> bool:
    return Path(file).exists()


def open_to_all(file: Path) -> None:
    file.chmod(0o644)


def damage_a_page(file: Path) -> None:
    content = bytearray(file.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 2048] = os.urandom(2048)
    file.write_bytes(content)


async def test_a_damaged_page_is_found(tmp_path: Path, sqlite_url: str, store_factory: Any) -> None:
    store = await store_factory(sqlite_url)
    world = await World.make(store, sqlite_url)
    await world.submit(2_000)
    await store.stop()
    damage_a_page(file_of(sqlite_url))
    findings = found(sqlite_url)
    assert State.FAILED in {findings[name].state for name in ("file", "engine", "database") if name in findings}


async def test_a_missing_key_is_told_and_none_is_made(sqlite_url: str, store_factory: Any) -> None:
    store = await store_factory(sqlite_url)
    await World.make(store, sqlite_url)
    await store.stop()
    findings = found(sqlite_url, OUTDIAL_SECRET_KEY="")
    assert findings["secret key"].state is State.FAILED
    assert not is_there(f"{file_of(sqlite_url)}.key")


async def test_a_schema_of_another_version_is_told(sqlite_url: str, store_factory: Any) -> None:
    await (await store_factory(sqlite_url)).stop()
    change(sqlite_url, "insert into schema_version (version, applied_at) values (99, 0)")
    findings = found(sqlite_url)
    assert (findings["schema"].state, "counters" in findings) == (State.FAILED, False)
    change(sqlite_url, "delete from schema_version")
    assert found(sqlite_url)["schema"].state is State.WARNING


async def test_a_new_database_is_its_owner_s_alone(sqlite_url: str, store_factory: Any) -> None:
    await (await store_factory(sqlite_url)).stop()
    assert "files" not in found(sqlite_url)
    open_to_all(file_of(sqlite_url))
    assert found(sqlite_url)["files"].state is State.WARNING


@pytest.fixture
async def store_factory() -> Any:
    from outdial.store.store import open_store

    async def make(url: str) -> SqlStore:
        store = open_store(url, secret=SECRET)
        await store.start()
        return store

    return make


def test_little_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = settings(f"sqlite:///{tmp_path}/o.db")
    for free, state in ((10, State.FAILED), (500, State.WARNING), (5_000, State.OK)):
        usage = type(shutil.disk_usage("/"))(total=1, used=1, free=free * doctor.MIB)
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _folder, usage=usage: usage)
        assert next(doctor.disk(here)).state is state


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


async def test_postgresql_tells_how_durable_it_is(postgres_url: str) -> None:
    findings = found(postgres_url)
    assert findings["durability"].state is State.OK
    assert "'on' in our sessions" in findings["durability"].says
    assert findings["standby"].state is State.OK
    assert findings["nodes"].state is State.WARNING, "nobody dials"


def test_what_endangers_commits_is_told() -> None:
    def state(**settings: str) -> State:
        return next(
            doctor._durability({"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", **settings})
        ).state

    assert state() is State.OK
    assert {state(fsync="off"), state(full_page_writes="off"), state(synchronous_commit="off")} == {State.FAILED}
    assert state(synchronous_commit="remote_apply") is State.OK

    def standby(names: str, connected: int, waited_for: int) -> State:
        return next(doctor._standbys(names, connected, waited_for)).state

    assert standby("", 0, 0) is State.OK
    assert standby("", 1, 0) is State.WARNING, "commits wait for nobody"
    assert standby("a", 0, 0) is State.FAILED, "commits wait for ever"
    assert standby("a", 1, 1) is State.OK


def test_a_database_that_is_away_is_told() -> None:
    findings = found("postgresql://nobody:secret@127.0.0.1:9/none")
    assert findings["database"].state is State.FAILED
    assert "secret" not in findings["database"].says


# --- settings and network ------------------------------------------------------------------------------------------


def test_settings_that_can_t_be_used_are_a_finding() -> None:
    (finding,) = examine(lambda: load({"OUTDIAL_DATABASE": "mysql://x"}))
    assert (finding.check, finding.state) == ("settings", State.FAILED)


@contextmanager
def answering(answers: dict[str, tuple[int, object]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, {}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


NOWHERE = "http://127.0.0.1:9"


def seen(url: str, *, providers: tuple[str, ...] = ("loopback",), **more: str) -> dict[str, Finding]:
    here = settings("sqlite:///o.db", **more)
    return {finding.check: finding for finding in network(here, providers, url)}


def test_server_public_url_and_carrier_are_tried() -> None:
    ready = {"/readyz": (200, {}), "/healthz": (200, {"status": "ok"}), "/": (200, {})}
    with answering(ready) as url:
        well = seen(url, OUTDIAL_PUBLIC_URL=url, OUTDIAL_CARRIER_URL=url)
        assert {finding.state for finding in well.values()} == {State.OK}
        lost = seen(url, OUTDIAL_PUBLIC_URL=NOWHERE, OUTDIAL_CARRIER_URL=NOWHERE)
        assert (lost["public URL"].state, lost["carrier"].state) == (State.FAILED, State.FAILED)
    assert seen(NOWHERE, OUTDIAL_PUBLIC_URL=url)["server"].state is State.WARNING
    assert seen(NOWHERE, OUTDIAL_PUBLIC_URL=url)["public URL"].state is State.WARNING, "not tried"


def test_a_server_that_is_not_ready_says_why() -> None:
    with answering({"/readyz": (503, {"reasons": ["the node is not registered"]})}) as url:
        finding = seen(url)["server"]
        assert (finding.state, finding.details) == (State.FAILED, ("the node is not registered",))


def test_somebody_else_at_the_public_url_is_told() -> None:
    with answering({"/readyz": (200, {}), "/healthz": (200, {"hello": "I am a router"})}) as url:
        assert seen(url, OUTDIAL_PUBLIC_URL=url)["public URL"].state is State.FAILED


def test_foreign_networks_need_a_public_url_and_should_have_https() -> None:
    assert seen(NOWHERE, providers=("loopback", "twilio"))["public URL"].state is State.FAILED
    assert seen(NOWHERE)["public URL"].state is State.OK
    assert seen(NOWHERE, providers=("loopback", "sip_trunk"))["public URL"].state is State.OK  # calls tell themselves


async def test_the_trunk_of_each_number_is_asked_whether_it_is_there(store: SqlStore, engine_url: str) -> None:
    def trunk(address: str) -> dict[str, Any]:
        return {"outbound_trunk_config": {"address": address, "transport": "udp"}}

    async with uas() as far:
        world = await World.make(store, engine_url, provider="sip_trunk", settings=trunk(far.address))
        gone = number_row(
            provider="sip_trunk", settings=trunk("127.0.0.1:9"), trunk="t:sip:2", phone_number="+15550002"
        )
        await store.create_number(world.workspace_id, gone, now=world.now)
        findings = await asyncio.to_thread(found, engine_url, OUTDIAL_SIP_INTERFACE="127.0.0.1")
        there, missing = (findings[f"trunk of {public_id}"] for public_id in (world.number.public_id, gone.public_id))
        assert there.state is State.OK
        assert there.says.startswith(f"{far.address} over UDP answers OPTIONS with 200 in ")
        assert far.requests == ["OPTIONS"]
    assert (missing.state, missing.says) == (
        State.FAILED, "127.0.0.1:9 over UDP does not answer OPTIONS: nobody listens there",
    )  # fmt: skip
    assert missing.do
