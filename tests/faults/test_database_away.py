"""A full disk; a database that is gone, stands still, or dies in a commit: told as such, nothing half, and it goes on.

A 503 with Retry-After says that nothing was done; one without says that nobody knows.
"""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from elevenlabs import ElevenLabs, OutboundCallRecipient
from psycopg import sql

from tests.support.commit_loser import CommitLoser
from tests.support.disk import SmallDisk, no_room
from tests.support.postgres import NOBODY, Databases, PostgresServer
from tests.support.server import SECRET, Desk, Server, open_desk, until

LATER = 4_000_000_000
SETTINGS = {
    "OUTDIAL_DATABASE_SECS": "1",
    "OUTDIAL_REPLAY_SECS": "1",
    "OUTDIAL_NODE_TIMEOUT_SECS": "3",
    "OUTDIAL_CARRIER_TALK_SECS": "1",
    "OUTDIAL_LOOK_UP_SECS": "1",
    "OUTDIAL_CARRIER_HORIZON_SECS": "1",
    "OUTDIAL_CARRIER_PLACE_TIMEOUT_SECS": "1",
}
Outage = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of its own: these tests break it."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return Databases(postgres.url).create_empty()


@contextmanager
def serving(folder: Path, database: str, **settings: str) -> Iterator[Desk]:
    server = Server(folder, database, settings={**SETTINGS, **settings}).start()
    try:
        desk = open_desk(server)
        yield desk
        desk.http.close()
    finally:
        server.stop()


def doctor(server: Server) -> list[dict[str, Any]]:
    """What a recount of everything finds."""
    command = [sys.executable, "-m", "outdial.cli.main", "doctor", "--json"]
    environment = {**server.environment(), "OUTDIAL_SECRET_KEY": SECRET}
    found = json.loads(subprocess.run(command, env=environment, check=False, capture_output=True).stdout)["checks"]
    return [one for one in found if one["state"] == "failed" and one["check"] != "disk"]


def batches(desk: Desk) -> list[str]:
    return [one["id"] for one in desk.http.get("/v1/convai/batch-calling/workspace").json()["batch_calls"]]


def is_not_now(answer: httpx.Response) -> bool:
    """503 with Retry-After: nothing was done. Nothing else is taken for it."""
    if answer.status_code != 503:
        return False
    assert answer.json()["detail"]["code"] == "unavailable", answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return True


def writes(desk: Desk, waiting: str) -> dict[str, Callable[[], httpx.Response]]:
    """One of each kind."""
    post, batch = desk.http.post, f"/v1/convai/batch-calling/{waiting}"
    call = {"agent_id": desk.agent_id, "phone_number_id": desk.number_id, "to_phone_number": "+493077770001"}
    order = desk.order([f"+49307777{n:04}" for n in range(1000, 5000)])
    return {
        "submit": lambda: post("/v1/convai/batch-calling/submit", json=order),
        "retry": lambda: post(f"{batch}/retry"),
        "cancel": lambda: post(f"{batch}/cancel"),
        "delete": lambda: desk.http.delete(batch),
        "call": lambda: post("/v1/voiceai/outbound-call", json=call),
        "agent": lambda: post("/v1/convai/agents/create", json={"conversation_config": {}}),
        "change": lambda: desk.http.patch(f"/v1/convai/agents/{desk.agent_id}", json={"name": "new"}),
        "number": lambda: desk.http.patch(f"/v1/convai/phone-numbers/{desk.number_id}", json={"label": "new"}),
    }


def goes_through(desk: Desk, outage: Outage, *, reads: bool, writes_fail: bool = True) -> None:
    """Live calls, every kind of write and the official client with its retries, before, in and after the outage."""
    server = desk.server
    waiting = desk.submit(["+493077770000"], scheduled_time_unix=LATER)
    live = desk.submit([f"+49307778{n:04}" for n in range(10)])
    until(lambda: desk.get(live["id"])["recipients"], lambda seen: all(one["status"] == "in_progress" for one in seen))
    before = batches(desk)
    client = ElevenLabs(base_url=server.url, api_key=server.key)
    made: list[Any] = []
    order = {
        "call_name": "through the outage",
        "agent_id": desk.agent_id,
        "agent_phone_number_id": desk.number_id,
        "recipients": [OutboundCallRecipient(phone_number=f"+49307779{n:04}") for n in range(3000)],
        "scheduled_time_unix": LATER,
    }
    patient = threading.Thread(target=lambda: made.append(client.conversational_ai.batch_calls.create(**order)))
    with outage():
        for path in (f"/v1/convai/batch-calling/{live['id']}", "/v1/convai/agents", "/v1/convai/conversations"):
            answer = desk.http.get(path)
            assert answer.status_code == 200 if reads else is_not_now(answer), answer.text
        with ThreadPoolExecutor(10) as crowd:
            answers = {name: crowd.submit(write) for name, write in writes(desk, waiting["id"]).items()}
        done = {name: answer.result() for name, answer in answers.items()}
        done = {name: (answer.status_code, answer.text) for name, answer in done.items() if not is_not_now(answer)}
        assert done == {} if writes_fail else "submit" not in done
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        patient.start()
        time.sleep(0.2)  # it is refused at least once
    patient.join(60)
    (accepted,) = made
    assert batches(desk)[0] == accepted.id
    if writes_fail:
        assert batches(desk)[1:] == before, "nothing of what was refused"
    assert len(desk.get(accepted.id)["recipients"]) == 3000
    over = desk.until_over(live["id"])["recipients"]
    assert [(one["outcome"], server.rang(one["phone_number"])) for one in over] == [("completed", 1)] * 10
    assert desk.until_over(desk.submit(["+493077771111"])["id"])["recipients"][0]["outcome"] == "completed"
    assert server.rang("+493077770001") == 0 or not writes_fail
    assert doctor(server) == []
    assert server.process is not None
    assert server.process.poll() is None


# --- the disk is full ------------------------------------------------------------------------------------------------


def test_sqlite_without_room_for_a_page(tmp_path: Path) -> None:
    with serving(tmp_path, f"sqlite:///{tmp_path}/outdial.db") as desk:
        assert desk.server.process is not None
        pid = desk.server.process.pid
        goes_through(desk, lambda: no_room(pid), reads=True)


@pytest.fixture
def small_disk(postgres: PostgresServer) -> Iterator[SmallDisk]:
    """Where PostgreSQL's user may go too."""
    try:
        disk = SmallDisk(postgres.folder / "small", mebibytes=64)
    except PermissionError as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    yield disk
    disk.remove()


@pytest.mark.long
def test_sqlite_on_a_full_disk(tmp_path: Path, small_disk: SmallDisk) -> None:
    """Where a page of the log is free to be written again, a small write may still be done."""
    with serving(tmp_path, f"sqlite:///{small_disk.folder}/outdial.db") as desk:
        goes_through(desk, small_disk.full, reads=True, writes_fail=False)


@pytest.mark.long
def test_postgres_on_a_full_disk(tmp_path: Path, small_disk: SmallDisk, postgres: PostgresServer) -> None:
    """As for SQLite; the server's own log is elsewhere."""
    room = small_disk.folder / "tables"
    room.mkdir()
    shutil.chown(room, NOBODY)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("create tablespace small location {}").format(sql.Literal(str(room))))
        connection.execute("create database tight tablespace small template template0")
        with serving(tmp_path, Databases(postgres.url).url("tight")) as desk:
            goes_through(desk, small_disk.full, reads=True, writes_fail=False)
        connection.execute("drop database tight with (force)")
        connection.execute("drop tablespace small")
        connection.execute("checkpoint")  # a server that is killed next must not look for it


# --- the database is gone --------------------------------------------------------------------------------------------


def test_postgres_killed_and_started_again(tmp_path: Path, postgres: PostgresServer, database: str) -> None:
    @contextmanager
    def gone() -> Iterator[None]:
        postgres.stop(how=signal.SIGKILL)
        yield
        postgres.start()

    with serving(tmp_path, database) as desk:
        goes_through(desk, gone, reads=False)


@pytest.mark.long
def test_postgres_that_stands_still(tmp_path: Path, postgres: PostgresServer, database: str) -> None:
    """Its sockets are open and nobody answers on them: only our own time-outs tell."""
    with serving(tmp_path, database) as desk:
        goes_through(desk, postgres.frozen, reads=False)


# --- it goes away in a commit ----------------------------------------------------------------------------------------


@pytest.fixture
def loser(database: str) -> Iterator[CommitLoser]:
    proxy = CommitLoser(database)
    yield proxy
    proxy.close()


def test_a_submit_of_which_nobody_knows_is_one_batch(tmp_path: Path, loser: CommitLoser) -> None:
    """Nobody claims that nothing was done; and long after the usual time of a twin the client is told the truth."""
    with serving(tmp_path, loser.url) as desk:
        server, order = desk.server, desk.order(["+493077772000"])
        loser.lose_next("answer", passing=2, for_good=True)  # it is opened, staged, and then sealed
        doubtful = desk.http.post("/v1/convai/batch-calling/submit", json=order)
        assert loser.lost.is_set()
        assert (doubtful.status_code, doubtful.json()["detail"]["code"]) == (503, "outcome_unknown")
        assert "retry-after" not in doubtful.headers
        time.sleep(float(SETTINGS["OUTDIAL_REPLAY_SECS"]))
        loser.reopen()
        again = desk.http.post("/v1/convai/batch-calling/submit", json=order)
        assert (again.status_code, again.headers.get("idempotent-replayed")) == (200, "true")
        assert batches(desk) == [again.json()["id"]]
        assert desk.until_over(again.json()["id"])["recipients"][0]["outcome"] == "completed"
        assert server.rang("+493077772000") == 1


@pytest.mark.long
def test_a_retry_of_which_nobody_knows_opens_one_round(tmp_path: Path, loser: CommitLoser) -> None:
    with serving(tmp_path, loser.url) as desk:
        made = desk.submit(["+493077770408", "+493077771486"])
        desk.until_over(made["id"])
        client = ElevenLabs(base_url=desk.server.url, api_key=desk.server.key)
        loser.lose_next("answer", for_good=True)
        back = threading.Thread(target=lambda: (loser.lost.wait(30), time.sleep(3), loser.reopen()))
        back.start()
        assert client.conversational_ai.batch_calls.retry(made["id"]).retry_count == 1
        back.join()
        assert "nobody can say" in desk.server.log
        over = desk.until_over(made["id"])
        assert (over["retry_count"], [one["attempts"] for one in over["recipients"]]) == (1, [2, 2])
        assert [desk.server.rang(one["phone_number"]) for one in over["recipients"]] == [2, 2]
        assert doctor(desk.server) == []
