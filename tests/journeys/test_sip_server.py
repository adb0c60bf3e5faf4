"""A server that calls over a SIP trunk, over HTTP from number to conversation; and one that is killed in mid-call."""

import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.peers import needs
from tests.support.server import Desk, Server, answered, until
from tests.support.sipp import ACK, ANSWERS, BYE, CANCEL, HANGS_UP, Sipp, box, reply, sipp, wait
from tests.support.uas import Uas, uas_aside

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = [pytest.mark.sip, needs("sipp")]

PASSWORD = f"s3cret-of-the-trunk-{secrets.token_hex(8)}"  # other tests have theirs, and all processes are looked at
STOP_SECS = 3
ENDINGS = {
    "0486": reply("486 Busy Here", again=True) + ACK,
    "0408": reply("180 Ringing") + CANCEL,
    "7777": ANSWERS + wait(1_500) + HANGS_UP,
    "0407": reply("407 Proxy Authentication Required", again=True) + ACK,
}


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Sipp]:
    with sipp(tmp_path, box(ENDINGS, ANSWERS + BYE), calls=None) as running:
        yield running


@contextmanager
def serving(tmp_path: Path, *, stop_secs: int) -> Iterator[Server]:
    settings = {"OUTDIAL_SIP_INTERFACE": "127.0.0.1", "OUTDIAL_PROBE_SECS": "0.5", "OUTDIAL_STOP_SECS": str(stop_secs)}
    running = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", settings=settings).start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, stop_secs=STOP_SECS) as running:
        yield running


def desk_of(server: Server, far: Sipp | Uas) -> Desk:
    http = server.client()
    config = {"agent": {"first_message": "Hello {{name}}, this is Outdial.", "language": "en"}}
    agent = answered(http.post("/v1/convai/agents/create", json={"name": "Ada", "conversation_config": config}))
    number = {
        "provider": "sip_trunk",
        "phone_number": "+49305550100",
        "label": "trunk",
        "outbound_trunk_config": {
            "address": far.address,
            "transport": "udp",
            "credentials": {"username": "ada", "password": PASSWORD},
        },
    }
    made = answered(http.post("/v1/convai/phone-numbers", json=number))
    return Desk(server, http, agent["agent_id"], made["phone_number_id"])


def states(desk: Desk, batch_id: str) -> list[str]:
    return sorted(one["status"] for one in desk.get(batch_id)["recipients"])


def ended_by(desk: Desk, recipient: dict[str, Any]) -> str:
    found = answered(desk.http.get(f"/v1/convai/conversations/{recipient['conversation_id']}"))
    return str(found["metadata"]["termination_reason"])


def test_a_list_is_called_over_sip_and_recorded(server: Server, far: Sipp) -> None:
    desk = desk_of(server, far)
    asleep = psutil.Process(server.process.pid).children()  # type: ignore[union-attr]
    made = desk.submit(["+493012340486", "+493012345678"])
    over = desk.until_over(made["id"])
    assert {one["phone_number"][-4:]: one["outcome"] for one in over["recipients"]} == {
        "0486": "busy", "5678": "completed",
    }  # fmt: skip
    assert len(psutil.Process(server.process.pid).children()) == len(asleep) + 1  # type: ignore[union-attr]
    assert len(list((server.folder / "recordings").glob("*/*.wav"))) == 1
    assert far.came("OPTIONS") == []  # a trunk that is not halted is not asked whether it is there
    assert PASSWORD not in server.log
    assert "+4930" not in server.log
    # asked for as a list: a process that ends meanwhile has none, and raises nothing
    shown = " ".join(" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
    assert PASSWORD not in shown
    desk.http.close()


def test_a_halted_trunk_is_asked_whether_it_is_there_and_not_called_until_somebody_resumes(server: Server) -> None:
    with uas_aside(0.0, refuses="403 Forbidden") as far:
        desk = desk_of(server, far)
        made = desk.submit([f"+49301234567{n}" for n in range(5)], target_concurrency_limit=1)
        seen = until(lambda: desk.get(made["id"])["status_reason"], lambda told: "Asked at" in (told or ""))
        assert seen.startswith("halted: the trunk refuses every call alike")
        assert seen.endswith(f"{far.address} over UDP answers OPTIONS with 200")
        until(lambda: far.requests.count("OPTIONS"), lambda asked: asked >= 3)
        assert far.requests.count("INVITE") == 3  # that it is there lifts no halt
        answered(desk.http.post(desk.path(made["id"], "/resume")))
        until(lambda: far.requests.count("INVITE"), lambda called: called == 4)
        until(lambda: desk.get(made["id"])["status_reason"], lambda told: (told or "").startswith("halted"))
        desk.http.close()


def test_a_server_that_stops_lets_calls_end_and_hangs_up_on_who_talks_on(server: Server, far: Sipp) -> None:
    desk = desk_of(server, far)
    made = desk.submit(["+493012347777", "+493012345678"])
    until(lambda: states(desk, made["id"]), lambda seen: seen == ["in_progress"] * 2)
    desk.http.close()
    told_at = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - told_at >= STOP_SECS
    assert len(far.came("BYE")) == 1
    server.start()
    desk.http = server.client()
    over = desk.until_over(made["id"])["recipients"]
    assert [one["outcome"] for one in over] == ["completed", "completed"]
    assert [ended_by(desk, one) for one in over] == ["hung_up", "node_lost"]
    desk.http.close()


def test_told_a_second_time_it_hangs_up_at_once(tmp_path: Path, far: Sipp) -> None:
    with serving(tmp_path, stop_secs=600) as server:
        desk = desk_of(server, far)
        made = desk.submit(["+493012340408", "+493012345678"])
        until(lambda: states(desk, made["id"]), lambda seen: seen == ["in_progress", "initiated"])
        desk.http.close()
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.log, lambda log: "calls that are up may end" in log)
        time.sleep(0.6)  # what comes twice at once is one signal
        assert (far.came("CANCEL"), far.came("BYE")) == ([], [])
        assert server.stop() == 0
    assert (len(far.came("CANCEL")), len(far.came("BYE"))) == (1, 1)


def test_a_server_killed_in_mid_call_leaves_nothing_ringing_and_nobody_on_the_line(server: Server, far: Sipp) -> None:
    desk = desk_of(server, far)
    made = desk.submit(["+493012340408", "+493012345678"])
    until(lambda: states(desk, made["id"]), lambda seen: seen == ["in_progress", "initiated"])
    family = psutil.Process(server.process.pid).children(recursive=True)  # type: ignore[union-attr]
    server.stop(signal.SIGKILL)
    killed_at = time.monotonic()
    until(lambda: (len(far.came("CANCEL")), len(far.came("BYE"))), lambda seen: seen == (1, 1))
    assert time.monotonic() - killed_at < 3
    until(lambda: [one for one in family if one.is_running() and one.status() != "zombie"], lambda left: not left)
    desk.http.close()
