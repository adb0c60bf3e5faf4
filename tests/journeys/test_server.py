"""The server's own life: how it starts, what it needs, and how it ends."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.support.server import Server, answered, open_desk, until


def test_a_stop_lets_live_calls_end_and_leaves_nothing_behind(tmp_path: Path) -> None:
    settings = {"OUTDIAL_CARRIER_RING_SECS": "0.1", "OUTDIAL_CARRIER_TALK_SECS": "1.0", "OUTDIAL_STOP_SECS": "5"}
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", settings=settings).start()
    assert server.process is not None
    family = psutil.Process(server.process.pid).children(recursive=True)
    assert len(family) >= 2, "the network in a box and a call worker"
    desk = open_desk(server)
    made = desk.submit(["+493095555000"])
    until(lambda: desk.get(made["id"])["recipients"][0]["status"], lambda status: status == "in_progress")
    desk.http.close()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5, "it did not wait longer than the call"
    assert not [one for one in family if one.is_running()]
    again = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", key=server.key).start()
    try:
        seen = open_desk(again).get(made["id"])
        assert [(one["status"], one["outcome"]) for one in seen["recipients"]] == [("completed", "completed")]
    finally:
        again.stop()


def test_a_killed_server_takes_its_children_along(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db").start()
    assert server.process is not None
    family = psutil.Process(server.process.pid).children(recursive=True)
    server.stop(signal.SIGKILL)
    until(lambda: [one for one in family if one.is_running() and one.status() != "zombie"], lambda left: not left)


def test_the_network_in_a_box_is_started_again_on_its_port(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db").start()
    try:
        assert server.process is not None
        ours = psutil.Process(server.process.pid).children()
        carrier = next(one for one in ours if "runpy" in " ".join(one.cmdline()))
        carrier.kill()
        desk = open_desk(server)
        until(
            lambda: [one.pid for one in psutil.Process(server.process.pid).children() if "runpy" in str(one.cmdline())],
            lambda pids: pids and carrier.pid not in pids,
        )
        made = desk.submit(["+493096665000"])
        assert desk.until_over(made["id"])["recipients"][0]["outcome"] == "completed"
    finally:
        server.stop()


def test_children_hold_neither_the_port_nor_the_database(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db").start()
    try:
        assert server.process is not None
        port = int(server.url.rpartition(":")[2])
        for child in psutil.Process(server.process.pid).children(recursive=True):
            assert not [one for one in child.net_connections() if one.status == "LISTEN" and one.laddr.port == port]
            assert not [one for one in child.open_files() if "o.db" in one.path]
    finally:
        server.stop()


def test_without_a_secret_key_one_is_made_for_nobody_else_s_eyes(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", settings={"OUTDIAL_SECRET_KEY": ""}).start()
    server.stop()
    kept = tmp_path / "o.db.key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    before = kept.read_text()
    server.start()
    assert answered(server.client().get("/healthz"))["status"] == "ok"
    server.stop()
    assert kept.read_text() == before
    assert sorted(path.name for path in tmp_path.glob("*.key*")) == ["o.db.key"]


def test_one_node_serves_and_another_dials(tmp_path: Path, postgres_url: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"OUTDIAL_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    folders = [tmp_path / role for role in ("api", "dialer")]
    for folder in folders:
        folder.mkdir()
    api = Server(folders[0], postgres_url, settings={**shared, "OUTDIAL_ROLE": "api", "OUTDIAL_NODE": "a"}).start()
    settings = {**shared, "OUTDIAL_ROLE": "dialer", "OUTDIAL_NODE": "d", "OUTDIAL_WORKERS": "2"}
    dialer = Server(folders[1], postgres_url, settings=settings, key=api.key, port=port).start()
    try:
        desk = open_desk(api)
        made = desk.submit(["+493097775000", "+493097770486"])
        over = desk.until_over(made["id"])
        assert [one["outcome"] for one in over["recipients"]] == ["completed", "busy"]
        assert dialer.client().get(desk.path(made["id"])).status_code == 404, "it speaks no dialect"
        assert (dialer.rang("+493097775000"), api.carrier_log.exists()) == (1, False)
    finally:
        dialer.stop()
        api.stop()


def failed_start(**settings: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
    command = [sys.executable, "-m", "outdial.cli.main", "serve", "--port", "0"]
    done = subprocess.run(command, env={**inherited, **settings}, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def test_a_setting_that_can_t_be_used_is_told_at_start(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/o.db"
    assert "OUTDIAL_REPLAY_SECS='soon'" in failed_start(OUTDIAL_DATABASE=database, OUTDIAL_REPLAY_SECS="soon")
    assert "OUTDIAL_API_KEY" in (words := failed_start(OUTDIAL_DATABASE=database, OUTDIAL_API_KEY="short-secret"))
    assert "short-secret" not in words
    assert "OUTDIAL_ROLE" in failed_start(OUTDIAL_DATABASE=database, OUTDIAL_ROLE="api")
    assert "OUTDIAL_DATABASE" in failed_start(OUTDIAL_DATABASE="mysql://x")


def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db").start()
    try:
        words = failed_start(OUTDIAL_DATABASE=server.database, OUTDIAL_SECRET_KEY="a secret of thirty-two characters")
        assert str(tmp_path) in words
    finally:
        server.stop()
