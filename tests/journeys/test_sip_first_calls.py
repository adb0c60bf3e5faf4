"""A trunk that nobody has called over yet: three find out whether it takes calls, and the others wait for them."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.journeys.test_sip_halt import REFS, desk_of, dialled, doctor, halted, statuses
from tests.support.peers import needs
from tests.support.postgres import Databases
from tests.support.server import Desk, Server
from tests.support.sipp import ACK, HANGS_UP, TAKE_WAY_BACK, Sipp, invite, refuses, reply, sipp, wait

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = [pytest.mark.sip, needs("sipp")]

PEOPLE = [f"+49301234{n:04}" for n in range(30)]
AT_ONCE = 20
TRIES = 3


@pytest.fixture(scope="module", params=["one node", "two nodes"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """SQLite with its one node, PostgreSQL with two."""
    folder = tmp_path_factory.mktemp("server")
    settings = {"OUTDIAL_SIP_INTERFACE": "127.0.0.1"}
    if request.param == "one node":
        yield from _running([Server(folder, f"sqlite:///{folder}/o.db", settings=settings)])
        return
    databases: Databases = request.getfixturevalue("postgres_databases")
    url = databases.create()
    first = Server(folder, url, settings={**settings, "OUTDIAL_NODE": "one"})
    (folder / "two").mkdir()
    second = replace(first, folder=folder / "two", settings={**settings, "OUTDIAL_NODE": "two"})
    try:
        yield from _running([first, second])
    finally:
        databases.drop(url)


def _running(servers: list[Server]) -> Iterator[Server]:
    try:
        for one in servers:
            one.start()
        yield servers[0]
    finally:
        for one in servers:
            if one.process is not None:
                one.stop()


def a_desk(server: Server, far: Sipp) -> Desk:
    trunk = {"address": far.address, "transport": "udp", "credentials": {"username": "ada", "password": "wrong"}}
    desk = desk_of(server, trunk)
    desk.http.patch(f"/v1/convai/phone-numbers/{desk.number_id}", json={"max_concurrent_calls": AT_ONCE})
    return desk


@pytest.mark.parametrize("line", ["403 Forbidden", "401 Unauthorized"])
def test_a_trunk_that_refuses_everybody_costs_three_people(server: Server, tmp_path: Path, line: str) -> None:
    asks = ['WWW-Authenticate: Digest realm="trunk.test", nonce="47ebe028", algorithm=MD5, qop="auth"']
    again = invite() + reply(line, *asks, again=True) + ACK if line.startswith("401") else refuses(line)
    scenario = again if line.startswith("403") else again + again
    with sipp(tmp_path, scenario, calls=None) as far:
        desk = a_desk(server, far)
        made = desk.submit(PEOPLE, target_concurrency_limit=AT_ONCE)
        batch = halted(desk, made["id"])
        assert statuses(batch) == {("failed", "provider_rejected"): TRIES, ("pending", None): len(PEOPLE) - TRIES}
        assert len(dialled(far)) == TRIES
        assert any(desk.number_id in detail for detail in doctor(server)["details"])
        desk.http.close()


RINGS_LATE = (
    reply("100 Trying") + wait(1000) + reply("180 Ringing") + wait(2000) + reply("200 OK", sdp=True, again=True)
)


def test_all_others_go_as_soon_as_one_rings(server: Server, tmp_path: Path) -> None:
    scenario = invite(TAKE_WAY_BACK) + RINGS_LATE + ACK + HANGS_UP + REFS
    with sipp(tmp_path, scenario, calls=None) as far:
        desk, people = a_desk(server, far), PEOPLE[:AT_ONCE]
        made = desk.submit(people, target_concurrency_limit=AT_ONCE)
        batch = desk.until_over(made["id"])
        assert statuses(batch) == {("completed", "completed"): len(people)}
        assert dialled(far) == dict.fromkeys(people, 1)
        assert came_before("180 Ringing", far) == TRIES
        assert came_before("200 OK", far) > AT_ONCE / 2  # while the first of them still rang
        desk.http.close()


def came_before(line: str, far: Sipp) -> int:
    """How many people had been asked for when the far end first said so, by its own log."""
    before = far.said().partition(f"SIP/2.0 {line}")[0]
    return len(Counter(re.findall(r"^INVITE sip:(\+[0-9]+)@", before, re.MULTILINE)))
