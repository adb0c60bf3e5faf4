"""Calling hours and opting out on a whole server, judged by the network's own log."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.journeys.test_list_to_retry import outdial, told
from tests.support.server import Desk, Server, answered, open_desk, until

LISTED = 3


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    opened = open_desk(server)
    yield opened
    opened.http.close()


def dialled(server: Server, prefix: str) -> list[tuple[float, str]]:
    """When which numbers of a series were dialled, by the network's log."""
    lines = server.carrier_log.read_text().splitlines() if server.carrier_log.exists() else []
    events = [json.loads(line) for line in lines]
    return [(e["t"], e["number"]) for e in events if e["event"] == "dialled" and e["number"].startswith(prefix)]


def opening_in(seconds: float) -> tuple[float, dict[str, Any]]:
    """Hours that open soon, and when (unix seconds)."""
    opens = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
    closes = opens + timedelta(hours=2)
    rule = {"weekdays": None, "start": f"{opens:%H:%M:%S}", "end": f"{closes:%H:%M:%S}"}
    return opens.timestamp(), {"timezone": "UTC", "rules": [rule]}


def test_outside_its_hours_a_batch_dials_nobody_and_goes_on_when_they_open(here: Desk) -> None:
    opens, hours = opening_in(5)
    made = here.submit([f"+4932{n:04d}5000" for n in range(40)], calling_hours=hours)
    assert made["status_reason"].startswith("outside calling hours: they open next at ")
    time.sleep(2)
    assert dialled(here.server, "+4932") == []
    assert here.get(made["id"])["status_reason"].startswith("outside calling hours")
    over = here.until_over(made["id"])
    assert {one["outcome"] for one in over["recipients"]} == {"completed"}
    rang = dialled(here.server, "+4932")
    assert len(rang) == 40
    assert opens <= min(at for at, _ in rang) < opens + 2


def test_a_workspace_s_hours_hold_up_who_waits_already_by_each_number_s_zone(here: Desk) -> None:
    """In one zone it is open now, in the other it is closed for hours."""
    zones = {"+493366": "Europe/Berlin", "+8136655": "Asia/Tokyo"}
    now = datetime.now(UTC)
    open_zone = now.astimezone(ZoneInfo("Europe/Berlin"))
    rule = {
        "start": f"{open_zone - timedelta(hours=1):%H:%M:%S}",
        "end": f"{open_zone + timedelta(hours=1):%H:%M:%S}",
        "weekdays": None,
    }
    numbers = [f"{prefix}{n:04d}" for n in range(5000, 5010) for prefix in zones]
    made = here.submit(numbers, scheduled_time_unix=int(time.time()) + 3)
    settings = "/v1/convai/settings"
    answered(here.http.patch(settings, json={"calling_hours": {"timezone": None, "rules": [rule]}}))
    try:
        seen = until(lambda: here.get(made["id"]), lambda batch: batch["total_calls_finished"] == 10)
        time.sleep(1)
        assert len(dialled(here.server, "+493366")) == 10
        assert dialled(here.server, "+8136655") == []
        seen = here.get(made["id"])
        assert seen["status_reason"].startswith("outside calling hours of the workspace: they open next at ")
        assert seen["status_reason"].endswith("Asia/Tokyo")
    finally:
        answered(here.http.patch(settings, json={"calling_hours": None}))
    here.until_over(made["id"])
    assert len(dialled(here.server, "+8136655")) == 10


def test_who_opts_out_while_a_batch_runs_is_not_dialled_2_s_after_the_answer(here: Desk) -> None:
    numbers = [f"+4934{n:05d}5000" for n in range(400)]
    number = {"provider": "loopback", "phone_number": "+49305550777", "label": "slow", "max_calls_per_second": 40}
    slow = answered(here.http.post("/v1/convai/phone-numbers", json=number))["phone_number_id"]
    made = here.submit(numbers, agent_phone_number_id=slow)
    until(lambda: dialled(here.server, "+4934"), lambda rang: len(rang) > 40)
    out = numbers[::2]
    told_ = answered(here.http.post(f"{here.prefix}/do-not-call", json={"phone_numbers": out, "reason": "asked"}))
    at = time.time()
    assert told_["added"] == 200
    over = here.until_over(made["id"])
    rang = dialled(here.server, "+4934")
    assert [number for t, number in rang if number in set(out) and t > at + 2.0] == []
    assert len({number for _, number in rang}) == len(rang)
    outcomes = {one["phone_number"]: one["outcome"] for one in over["recipients"]}
    assert {outcomes[n] for n in numbers[1::2]} == {"completed"}
    assert {outcomes[n] for n in out} == {"completed", "suppressed"}
    assert over["suppressed_count"] == sum(outcome == "suppressed" for outcome in outcomes.values()) >= 100
    rang_before = {number for _, number in rang}
    talked = {number for number, outcome in outcomes.items() if outcome == "completed"}
    assert talked <= rang_before
    given_up = rang_before - talked
    assert {outcomes[number] for number in given_up} <= {"suppressed"}, "they rang when their owners opted out"


def test_the_list_by_command(here: Desk, tmp_path: Path) -> None:
    server = here.server
    one, two = "+493577770001", "+493577770002"
    assert told(outdial(server, "dnc", "add", one, two, "--reason", "asked", "--json")) == {
        "added": 2,
        "already_listed": 0,
    }
    assert told(outdial(server, "dnc", "check", one, "+493577770009", "--json"), LISTED)["suppressed_count"] == 1
    assert outdial(server, "dnc", "check", "+493577770009").returncode == 0
    listed = told(outdial(server, "dnc", "list", "--json"))
    assert [(e["reason"], e["source"]) for e in listed if e["phone_number"] == one] == [("asked", "command")]
    file = tmp_path / "out.csv"
    file.write_text(f"phone_number,reason\n{one},again\n030 1,x\n+493577770003,wrote\n")
    imported = told(outdial(server, "dnc", "import", str(file), "--json"), 1)
    assert (imported["added"], imported["already_listed"], imported["rejected"]) == (1, 1, 1)
    assert imported["errors"][0]["line"] == 3
    shown = outdial(server, "dnc", "import", str(file))
    assert f"{file}:3: ".encode() in shown.stdout.replace(b"\n", b"")
    made = here.submit([one, "+493577770004"])
    assert made["suppressed_count"] == 1
    here.until_over(made["id"])
    assert server.rang(one) == 0
    assert told(outdial(server, "dnc", "remove", one, two, "+493577770003", "--json")) == {"removed": 3}


def test_a_phone_that_rings_when_its_owner_opts_out_stops_within_2_s(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", settings={"OUTDIAL_CARRIER_RING_SECS": "20"}).start()
    desk = open_desk(server)
    try:
        numbers = [f"+49361{n:03d}0408" for n in range(20)]
        made = desk.submit(numbers)
        until(lambda: desk.get(made["id"]), lambda b: all(one["status"] == "initiated" for one in b["recipients"]))
        out = set(numbers[:10])
        answered(desk.http.post("/v1/convai/do-not-call", json={"phone_numbers": sorted(out)}))
        at = time.time()
        until(lambda: desk.get(made["id"])["suppressed_count"], lambda n: n == 10)
        events = [json.loads(line) for line in server.carrier_log.read_text().splitlines()]
        ended = {e["number"]: e["t"] for e in events if e["event"] == "ended"}
        assert ended.keys() == out
        assert max(ended.values()) < at + 2.0
        assert desk.get(made["id"])["total_calls_finished"] == 10
    finally:
        desk.http.close()
        server.stop()
