"""Operating a server: its health, its metrics, its stop, its log, its doctor and its backups."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.support.server import SECRET, Desk, Server, answered, open_desk, until


def metrics(server: Server) -> dict[str, float]:
    """Every sample by its name with labels."""
    answer = httpx.get(f"{server.url}/metrics")
    assert answer.status_code == 200
    pairs = (line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def outdial(server: Server, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "outdial.cli.main", *words]
    settings = {**server.environment(), "OUTDIAL_SECRET_KEY": SECRET, **more}
    return subprocess.run(command, env=settings, capture_output=True, timeout=60, check=False, text=True)


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    opened = open_desk(server)
    yield opened
    opened.http.close()


# --- health and metrics --------------------------------------------------------------------------------------------


def test_metrics_count_what_happened_and_name_nobody(here: Desk) -> None:
    before = metrics(here.server)
    made = here.submit(["+493061115000", "+493061125000", "+493061110486", "+493061110904"])
    here.until_over(made["id"])
    after = until(
        lambda: metrics(here.server),
        lambda seen: sum(v for n, v in seen.items() if n.startswith("outdial_calls_in_progress{")) == 0,
    )

    def rose(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert rose('outdial_calls_total{outcome="completed",provider="loopback"}') == 3
    assert rose('outdial_calls_total{outcome="busy",provider="loopback"}') == 1
    assert rose('outdial_calls_started_total{provider="loopback"}') == 7, "one was throttled three times"
    assert rose('outdial_callbacks_total{provider="loopback",verdict="kept"}') >= 8
    assert rose("outdial_dispatch_wait_seconds_count") > 0
    assert rose('outdial_store_seconds_count{lane="hot"}') > 0
    wrong = httpx.post(f"{here.server.url}/callbacks/loopback/{'0' * 36}/wrong", content=b"{}")
    assert wrong.status_code == 403
    seen = metrics(here.server)
    assert seen['outdial_callbacks_total{provider="loopback",verdict="wrong_token"}'] >= 1
    text = "\n".join(seen)
    for secret in (made["id"], here.agent_id, here.number_id, "+49", "4930", "Ada"):
        assert secret not in text
    assert len(seen) < 300, "nothing grows with lists"


def test_a_node_is_ready_and_says_so_without_a_key(server: Server) -> None:
    answer = httpx.get(f"{server.url}/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "reasons": []})


def test_a_node_whose_call_worker_died_is_not_ready_until_it_has_another(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db").start()
    try:
        assert server.process is not None
        family = psutil.Process(server.process.pid).children()
        next(one for one in family if "outdial.app.worker" in " ".join(one.cmdline())).kill()
        seen = until(lambda: httpx.get(f"{server.url}/readyz"), lambda answer: answer.status_code == 503)
        assert seen.json()["reasons"] == ["0 of 1 call workers of loopback are up"]
        assert answered(httpx.get(f"{server.url}/healthz"))["status"] == "ok", "it is alive all the same"
        until(lambda: httpx.get(f"{server.url}/readyz").status_code, lambda status: status == 200)
        assert metrics(server)['outdial_call_worker_restarts_total{provider="loopback"}'] == 1
    finally:
        server.stop()


def test_metrics_can_be_off(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", settings={"OUTDIAL_METRICS": "off"}).start()
    try:
        assert httpx.get(f"{server.url}/metrics").status_code == 404
        assert httpx.get(f"{server.url}/readyz").status_code == 200
    finally:
        server.stop()


# --- stopping ------------------------------------------------------------------------------------------------------


def slow(tmp_path: Path, engine_url: str, **settings: str) -> Server:
    """A server whose phones ring and talk for as long as the test says."""
    named = {f"OUTDIAL_{name}": value for name, value in settings.items()}
    return Server(tmp_path, engine_url, settings=named)


def status_of(desk: Desk, batch_id: str) -> list[str]:
    return [one["status"] for one in desk.get(batch_id)["recipients"]]


def test_a_stop_lets_ringing_and_live_calls_end_and_leaves_who_waits(tmp_path: Path, engine_url: str) -> None:
    server = slow(tmp_path, engine_url, CARRIER_RING_SECS="1.2", CARRIER_TALK_SECS="1.2", STOP_SECS="20").start()
    desk = open_desk(server)
    live = desk.submit(["+493062115000"])["id"]
    until(lambda: status_of(desk, live), lambda seen: seen == ["in_progress"])
    waiting = ["+493062125000", "+493062130408", "+493062145000", "+493062155000"]
    rest = desk.submit(waiting, target_concurrency_limit=2)["id"]
    until(lambda: status_of(desk, rest), lambda seen: seen[:2] == ["initiated"] * 2)
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    draining = until(lambda: httpx.get(f"{server.url}/readyz"), lambda answer: answer.status_code == 503)
    assert draining.json()["reasons"] == ["the server stops"]
    assert len(desk.get(rest)["recipients"]) == 4, "it answers while calls end"
    assert desk.submit(["+493062165000"])["status"] == "pending", "and keeps what it is given for later"
    desk.http.close()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 10
    assert [server.rang(number) for number in waiting] == [1, 1, 0, 0], "nobody new"

    server.settings |= {"OUTDIAL_CARRIER_RING_SECS": "0.05", "OUTDIAL_CARRIER_TALK_SECS": "0.05"}
    server.start()
    try:
        desk = open_desk(server)
        assert desk.get(live)["recipients"][0]["outcome"] == "completed"
        over = desk.until_over(rest)["recipients"]
        assert [one["outcome"] for one in over] == ["completed", "no_answer", "completed", "completed"]
        assert [server.rang(number) for number in waiting] == [1, 1, 1, 1]
        assert outdial(server, "doctor").returncode == 0
        desk.http.close()
    finally:
        server.stop()


def test_a_stop_ends_what_goes_on_beyond_the_limit(tmp_path: Path) -> None:
    server = slow(
        tmp_path, f"sqlite:///{tmp_path}/o.db", CARRIER_RING_SECS="0.1", CARRIER_TALK_SECS="60", STOP_SECS="1"
    ).start()
    desk = open_desk(server)
    made = desk.submit(["+493063115000"])["id"]
    until(lambda: status_of(desk, made), lambda seen: seen == ["in_progress"])
    desk.http.close()
    began = time.monotonic()
    assert server.stop() == 0
    took = time.monotonic() - began
    assert 1 < took < 8
    assert "calls are still up and are ended now" in server.log
    assert ended(server) == 1, "the network was told"
    server.start()
    try:
        desk = open_desk(server)
        over = desk.until_over(made)["recipients"]
        assert [one["status"] for one in over] == ["completed"], "it was answered"
        assert server.rang("+493063115000") == 1
        desk.http.close()
    finally:
        server.stop()


def ended(server: Server) -> int:
    lines = server.carrier_log.read_text().splitlines()
    return sum(json.loads(line)["event"] == "ended" for line in lines)


def test_told_a_second_time_it_ends_live_calls_at_once(tmp_path: Path) -> None:
    server = slow(
        tmp_path, f"sqlite:///{tmp_path}/o.db", CARRIER_RING_SECS="0.1", CARRIER_TALK_SECS="60", STOP_SECS="60"
    ).start()
    desk = open_desk(server)
    made = desk.submit(["+493064115000"])["id"]
    until(lambda: status_of(desk, made), lambda seen: seen == ["in_progress"])
    desk.http.close()
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGTERM)  # at once: `timeout` and others do so, and mean one
    time.sleep(1.5)
    assert server.process.poll() is None, "it waits for the call"
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 8
    assert ended(server) == 1


# --- the log -------------------------------------------------------------------------------------------------------

NAME = "Zebedee Quuxley"
WORDS = "xylophone marmalade"
ENDINGS = (5000, 486, 408, 480, 603, 404, 503, 607, 301, 1486, 900, 901, 902, 903, 904)
NUMBERS = [f"+4930655{n}{ending:04}" for n, ending in enumerate(ENDINGS, 11)]


def test_the_log_names_nobody_and_repeats_nothing_whatever_happens(tmp_path: Path, engine_url: str) -> None:
    settings = {
        "OUTDIAL_LOG_LEVEL": "debug",
        "OUTDIAL_CARRIER_HORIZON_SECS": "1",
        "OUTDIAL_CARRIER_PLACE_TIMEOUT_SECS": "1",
        "OUTDIAL_LOOK_UP_SECS": "1",
        "OUTDIAL_FAILPOINTS": "before_settle=raise@4,in_commit=raise@20,after_go=raise@6",
    }
    server = Server(tmp_path, engine_url, settings=settings).start()
    desk = open_desk(server)
    try:
        everything(desk)
    finally:
        desk.http.close()
        server.stop()
    log = server.log
    # a commit that fails is told with a traceback if it had one write, as a rerun if it had several
    told = log.count("Traceback") + log.count("rerun one by one")
    assert told >= 3, "the fail points were reached"
    assert "call failed inside" in log or "reports could not be kept yet" in log
    assert leaks(log, server.key) == []
    assert len(leaks(server.carrier_log.read_text() + NAME, server.key)) > len(NUMBERS), "it would have been found"


def leaks(log: str, key: str) -> list[str]:
    """Lines with something personal or secret in them."""
    numbers = {shape for n in [*NUMBERS, "+49305550100"] for shape in (n, n[1:], n[3:], n[-7:])}
    words = {*NAME.split(), *WORDS.split(), "thank you for calling", "reached my voicemail", key, SECRET}
    secrets = [one.lower() for one in numbers | words]
    return [line for line in log.splitlines() if any(secret in line.lower() for secret in secrets)]


def everything(desk: Desk) -> None:
    """Names, numbers and words, through all that a server does with them, well and badly."""
    http = desk.http
    agent = {"agent": {"first_message": "Hello {{name}}, " + WORDS, "prompt": {"prompt": f"Say {WORDS} to {NAME}"}}}
    made = answered(http.post("/v1/convai/agents/create", json={"name": NAME, "conversation_config": agent}))
    desk.agent_id = made["agent_id"]
    data = {"dynamic_variables": {"name": NAME, "said": WORDS}}
    people = [{"phone_number": n, "conversation_initiation_client_data": data} for n in NUMBERS]
    order = desk.order([], call_name=NAME, recipients=people)
    batch = answered(http.post("/v1/convai/batch-calling/submit", json=order))["id"]
    seen = desk.until_over(batch)
    for person in seen["recipients"]:
        if person["conversation_id"]:
            http.get(f"/v1/convai/conversations/{person['conversation_id']}")
    answered(http.post(desk.path(batch, "/retry"), json={"include": ["voicemail"]}))
    desk.until_over(batch)
    other = answered(http.post("/v1/convai/batch-calling/submit", json={**order, "call_name": WORDS}))["id"]
    http.post(desk.path(other, "/cancel"), params={"hang_up": "true"})
    # refusals of all kinds
    for changed in (
        {"recipients": [{"phone_number": f"{NUMBERS[0]}x{NAME}"}]},
        {"recipients": [{"phone_number": NUMBERS[0], "id": NAME}, {"phone_number": NUMBERS[1], "id": NAME}]},
        {"recipients": WORDS},
        {"agent_id": NAME},
        {"calling_hours": {NAME: WORDS}},
    ):
        assert 400 <= http.post("/v1/convai/batch-calling/submit", json={**order, **changed}).status_code < 500
    http.post("/v1/convai/batch-calling/submit", content=f'{{"call_name": "{NAME} {NUMBERS[0]}'.encode())
    http.get(f"/v1/convai/batch-calling/{NUMBERS[0]}", params={"q": WORDS})
    http.get("/v1/convai/conversations", headers={"xi-api-key": NAME}, params={"q": NUMBERS[0]})
    http.post(f"/callbacks/loopback/{NUMBERS[0]}/{WORDS.replace(' ', '-')}", json={"said": WORDS})
    http.post(f"/callbacks/{NAME.replace(' ', '-')}/x/y", json={"number": NUMBERS[0]})
    http.request("DELETE", desk.path(batch))


# --- doctor and backup ---------------------------------------------------------------------------------------------


def test_the_doctor_works_beside_a_running_server_and_finds_damage(tmp_path: Path, engine_url: str) -> None:
    server = Server(tmp_path, engine_url).start()
    try:
        desk = open_desk(server)
        batch = desk.submit(["+493066115000", "+493066110486"])["id"]
        desk.until_over(batch)
        desk.http.close()
        done = outdial(server, "doctor", "--json")
        told = json.loads(done.stdout)
        assert (done.returncode, told["ok"]) == (0, True), told
        assert {"database", "counters", "slots", "hopper", "attempts", "server", "disk", "clock"} <= {
            one["check"] for one in told["checks"]
        }
        assert next(one for one in told["checks"] if one["check"] == "server")["state"] == "ok"
        break_a_counter(server)
        done = outdial(server, "doctor")
        assert done.returncode == 1
        assert f"{batch}: its counter says 3 finished, its rows say 2" in done.stdout
        assert "failed   counters" in done.stdout
    finally:
        server.stop()


def break_a_counter(server: Server) -> None:
    statement = "update batch set finished = finished + 1"
    if server.database.startswith("sqlite"):
        with closing(sqlite3.connect(server.database.removeprefix("sqlite:///"))) as connection:
            connection.execute(statement)
            connection.commit()
        return
    with psycopg.connect(server.database) as other:
        other.execute(statement)


def test_a_backup_is_made_beside_the_server_and_restored_without_it(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db").start()
    copy = tmp_path / "copy.db"
    desk = open_desk(server)
    first = desk.submit(["+493067115000"])["id"]
    desk.until_over(first)
    later = desk.submit(["+493067125000"], scheduled_time_unix=int(time.time()) + 3600)["id"]
    done = outdial(server, "backup", str(copy))
    assert done.returncode == 0, done.stderr
    assert "whole and checked" in done.stdout
    lost = desk.submit(["+493067135000"])["id"]
    desk.until_over(lost)
    refused = outdial(server, "restore", str(copy))
    assert refused.returncode == 1
    assert "served by another process" in refused.stderr
    desk.http.close()
    server.stop()
    done = outdial(server, "restore", str(copy))
    assert done.returncode == 0, done.stderr
    assert later in done.stdout, "it waits for a person to look"
    server.start()
    try:
        desk = open_desk(server)
        assert desk.get(first)["recipients"][0]["outcome"] == "completed"
        assert "paused" in desk.get(later)["status_reason"]
        assert desk.http.get(desk.path(lost)).status_code == 404
        assert outdial(server, "doctor").returncode == 0
        desk.http.close()
    finally:
        server.stop()
