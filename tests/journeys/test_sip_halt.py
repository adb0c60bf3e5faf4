"""A trunk that refuses everybody alike: after three the others wait, people are told, and mending it goes on."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.certificates import Authority
from tests.support.kamailio import NEXT_HOP, PASSWORD, USER, kamailio
from tests.support.peers import needs
from tests.support.server import SECRET, Desk, Server, answered, until
from tests.support.sipp import ACK, ANSWERS, BYE, HANGS_UP, TAKE_WAY_BACK, Sipp, invite, only, reply, sipp

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = [pytest.mark.sip, needs("sipp", "kamailio")]

PEOPLE = [f"+4930123456{n:02}" for n in range(8)]
WRONG = "a-wrong-password"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    settings = {
        "OUTDIAL_SIP_INTERFACE": "127.0.0.1",
        "OUTDIAL_SIP_CAFILE": str(authority.cafile),
        "OUTDIAL_LOG_LEVEL": "debug",
    }
    running = Server(folder, f"sqlite:///{folder}/o.db", settings=settings).start()
    try:
        yield running
    finally:
        running.stop()


def desk_of(server: Server, trunk: dict[str, Any]) -> Desk:
    http = server.client()
    config = {"agent": {"first_message": "Hello.", "language": "en"}}
    agent = answered(http.post("/v1/convai/agents/create", json={"name": "Ada", "conversation_config": config}))
    number = {
        "provider": "sip_trunk",
        "phone_number": "+49305550100",
        "label": "trunk",
        "max_concurrent_calls": 1,
        "outbound_trunk_config": trunk,
    }
    made = answered(http.post("/v1/convai/phone-numbers", json=number))
    return Desk(server, http, agent["agent_id"], made["phone_number_id"])


def mend(desk: Desk, trunk: dict[str, Any]) -> None:
    path = f"/v1/convai/phone-numbers/{desk.number_id}"
    answered(desk.http.patch(path, json={"outbound_trunk_config": trunk}))


def halted(desk: Desk, batch_id: str) -> dict[str, Any]:
    return until(lambda: desk.get(batch_id), lambda batch: batch["status_reason"].startswith("halted:"))


def statuses(batch: dict[str, Any]) -> Counter[tuple[str, str | None]]:
    return Counter((one["status"], one.get("outcome")) for one in batch["recipients"])


def doctor(server: Server) -> dict[str, Any]:
    command = [sys.executable, "-m", "outdial.cli.main", "doctor", "--json"]
    told = subprocess.run(command, env=server.environment(), capture_output=True, text=True, check=False, timeout=60)
    checks = {check["check"]: check for check in json.loads(told.stdout)["checks"]}
    return checks["trunks"]  # type: ignore[no-any-return]


def shown(server: Server) -> str:
    """What others can see of the server and all its processes, on the machine and in its log and database."""
    assert server.process is not None
    family = [server.process.pid, *(one.pid for one in psutil.Process(server.process.pid).children(recursive=True))]
    commands = [Path(f"/proc/{pid}/{what}") for pid in family for what in ("cmdline", "environ")]
    assert len(family) > 3  # call workers, and the voice of one of them
    kept = [path for path in server.folder.glob("o.db*") if "secret" not in path.name]
    return "\n".join(path.read_bytes().decode(errors="replace") for path in [*commands, *kept]) + server.log


def workers_see(server: Server) -> str:
    """The environment of the call workers, and of the voice of one of them."""
    assert server.process is not None
    workers = [
        one
        for one in psutil.Process(server.process.pid).children(recursive=True)
        if {"outdial.app.worker", "outdial.agent.espeak"} & set(one.cmdline())
    ]
    assert len(workers) >= 3
    return "\n".join(str(one.environ()) for one in workers)


def dialled(far: Sipp) -> Counter[str]:
    """How often each person was asked for, by the far end's log."""
    return Counter(re.findall(r"^INVITE sip:(\+[0-9]+)@", "\n".join(far.came()), re.MULTILINE))


HELLO = ANSWERS + HANGS_UP
REFS = '  <Reference variables="from,to,contact"/>\n'


def refused(line: str) -> str:
    return reply(line, again=True) + ACK


@dataclass(frozen=True)
class Case:
    """A trunk with one demand, a number that does not meet it, and one that does."""

    scenario: str
    wrong: dict[str, Any]
    right: dict[str, Any]
    reason: str


CASES = {
    "caller id": Case(
        only("X-Account: 7", HELLO, refused("403 Caller Origination Number is Invalid D35")),
        {"headers": {"X-Account": "8"}},
        {"headers": {"X-Account": "7"}},
        "caller_id_refused",
    ),
    "codec": Case(
        only(" PCMU/8000", HELLO, refused("488 Not Acceptable Here")),
        {"enabled_codecs": ["PCMA/8000"]},
        {"enabled_codecs": ["PCMU/8000"]},
        "media_refused",
    ),
    "encryption": Case(
        only("RTP/AVP", HELLO, ANSWERS + BYE),  # it answers all the same, and means to talk in clear
        {"media_encryption": "required"},
        {"media_encryption": "disabled"},
        "no_audio",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_trunk_refuses_everybody_for_is_told_and_mended(server: Server, tmp_path: Path, case: Case) -> None:
    people = PEOPLE[:5]
    with sipp(tmp_path, case.scenario, calls=None) as far:
        trunk = {"address": far.address, "transport": "udp"}
        desk = desk_of(server, trunk | case.wrong)
        made = desk.submit(people)
        batch = halted(desk, made["id"])
        assert statuses(batch) == {("failed", "provider_rejected"): 3, ("pending", None): 2}
        assert case.reason in batch["status_reason"]
        assert any(desk.number_id in line and case.reason in line for line in doctor(server)["details"])
        mend(desk, trunk | case.right)
        batch = desk.until_over(made["id"])
        assert statuses(batch) == {("failed", "provider_rejected"): 3, ("completed", "completed"): 2}
        assert dialled(far) == dict.fromkeys(people, 1)
        desk.http.close()


def test_a_wrong_password_halts_after_three_and_a_right_one_goes_on(
    server: Server, authority: Authority, tmp_path: Path
) -> None:
    with (
        sipp(tmp_path, invite(TAKE_WAY_BACK) + HELLO + REFS, calls=None) as far,
        kamailio(tmp_path, authority.certificate("localhost"), digest="SHA-256") as proxy,
    ):
        trunk: dict[str, Any] = {
            "address": proxy.address("tls"),
            "transport": "tls",
            "headers": {NEXT_HOP: far.address},
            "credentials": {"username": USER, "password": WRONG},
        }
        desk = desk_of(server, trunk)
        made = desk.submit(PEOPLE)
        batch = halted(desk, made["id"])
        assert statuses(batch) == {("failed", "provider_rejected"): 3, ("pending", None): 5}
        assert batch["status"] == "in_progress"
        assert "bad_credentials" in batch["status_reason"]
        assert far.came() == []
        found = doctor(server)
        assert found["state"] == "warning"
        assert any(desk.number_id in line and "bad_credentials" in line for line in found["details"])
        # the twin: a change that mends nothing is tried by one call
        mend(desk, {**trunk, "credentials": {"username": USER, "password": WRONG + "-too"}})
        batch = until(lambda: desk.get(made["id"]), lambda seen: statuses(seen)["failed", "provider_rejected"] == 4)
        assert statuses(halted(desk, made["id"]))["pending", None] == 4
        mend(desk, {**trunk, "credentials": {"username": USER, "password": PASSWORD}})
        batch = desk.until_over(made["id"])
        assert statuses(batch) == {("failed", "provider_rejected"): 4, ("completed", "completed"): 4}
        assert doctor(server)["state"] == "ok"
        answered(desk.http.post(desk.path(made["id"], "/retry"), json={}))
        assert statuses(desk.until_over(made["id"])) == {("completed", "completed"): 8}
        assert dialled(far) == dict.fromkeys(PEOPLE, 1)  # nobody lost, nobody rung twice
        seen = shown(server)
        assert desk.number_id in seen  # the twin: it would be found
        assert PASSWORD not in seen
        assert WRONG not in seen
        assert "Digest" not in server.log
        assert server.key not in workers_see(server)
        assert SECRET not in workers_see(server)
        assert not any(person in server.log for person in PEOPLE)
        desk.http.close()
