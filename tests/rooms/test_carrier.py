"""The network in a box, from outside: HTTP, reports, log, restarts."""

import asyncio
import hashlib
import hmac
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from outdial.lab.carrier.course import Call, pack, unpack
from outdial.lab.carrier.endings import CAUSES, TIME_LIMIT, ending
from tests.support.carrier import Carrier, Ear

SECRET = "of one call"


class Caller:
    """Speaks the network's own HTTP."""

    def __init__(self, http: aiohttp.ClientSession, carrier: Carrier, ear: Ear) -> None:
        self.http = http
        self.carrier = carrier
        self.ear = ear

    async def place(self, number: str, call_key: str, **changes: object) -> int:
        body = {
            "call_key": call_key,
            "number": number,
            "caller": "+493099990000",
            "callback_url": self.ear.callback_url(call_key),
            "callback_secret": SECRET,
            "greeting": "Hello.",
            **changes,
        }
        async with self.http.post(f"{self.carrier.url}/calls", json=body) as reply:
            return reply.status

    async def look_up(self, call_key: str) -> tuple[int, dict[str, Any]]:
        async with self.http.get(f"{self.carrier.url}/calls/{call_key}") as reply:
            return reply.status, await reply.json()


Start = Callable[..., Caller]


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    ear = await Ear().start()
    yield ear
    await ear.stop()


@pytest.fixture
async def start(tmp_path: Path, ear: Ear) -> AsyncIterator[Start]:
    """Starts a network; ring and talk times are 0 unless said."""
    carriers = []
    async with aiohttp.ClientSession() as http:

        def started(ring_secs: float = 0.0, talk_secs: float = 0.0) -> Caller:
            carriers.append(Carrier(tmp_path / "carrier.log", ring_secs, talk_secs).start())
            return Caller(http, carriers[-1], ear)

        yield started
    for carrier in carriers:
        carrier.stop()


@pytest.mark.parametrize(
    ("digits", "cause", "code", "q850", "by", "rings", "answered_by"),
    [
        ("0486", "busy", 486, 17, "callee", False, None),
        ("0408", "no_answer", 408, 19, "network", True, None),
        ("0480", "unreachable", 480, 20, "network", False, None),
        ("0603", "declined", 603, 21, "callee", True, None),
        ("0404", "no_such_number", 404, 1, "network", False, None),
        ("0503", "network_error", 503, 38, "network", False, None),
        ("0607", "unwanted", 607, 21, "callee", True, None),
        ("0301", "hung_up", 200, 16, "callee", True, "machine"),
        ("4711", "hung_up", 200, 16, "callee", True, "person"),
    ],
)
async def test_the_number_picks_the_ending(
    start: Start, digits: str, cause: str, code: int, q850: int, by: str, rings: bool, answered_by: str | None
) -> None:
    caller = start()
    assert await caller.place(f"+4930123{digits}", "k") == 201
    heard = await caller.ear.until_ended("k")
    told = caller.ear.of("k", "ended")[0].told
    assert (told["cause"], told["code"], told["q850"], told["by"]) == (cause, code, q850, by)
    assert told.get("answered_by") == answered_by
    assert ("rang_at" in told) is rings
    expected = {"ended"} | ({"ringing"} if rings else set()) | ({"answered"} if answered_by else set())
    assert {one.event for one in heard} == expected
    journal = [line["event"] for line in caller.carrier.journal()]
    assert journal == ["dialled", *(["answered"] if answered_by else []), "ended"]


@pytest.mark.parametrize(
    ("digits", "causes"),
    [
        ("1486", ["busy", "hung_up", "hung_up"]),
        ("1408", ["no_answer", "hung_up", "hung_up"]),
        ("1503", ["network_error", "hung_up", "hung_up"]),
        ("2486", ["busy", "busy", "hung_up"]),
        ("2408", ["no_answer", "no_answer", "hung_up"]),
        ("0486", ["busy", "busy", "busy"]),
    ],
)
def test_some_numbers_change_their_mind(digits: str, causes: list[str]) -> None:
    assert [ending(f"+4930123{digits}", nth).cause.slug for nth in (1, 2, 3)] == causes


def test_a_machine_may_answer_only_at_first() -> None:
    assert [ending("+49301231301", nth).machine for nth in (1, 2)] == [True, False]


async def test_the_same_order_twice_rings_twice(start: Start) -> None:
    caller = start()
    for _ in range(2):
        assert await caller.place("+49301234711", "k") == 201
    await caller.ear.until_ended("k", times=2)
    assert [line["nth"] for line in caller.carrier.journal() if line["event"] == "dialled"] == [1, 2]
    _, told = await caller.look_up("k")
    assert [call["nth"] for call in told["calls"]] == [1, 2]
    assert len({call["call_id"] for call in told["calls"]}) == 2


async def test_killed_and_restarted_it_has_lost_its_calls_and_counts_on(start: Start) -> None:
    caller = start(ring_secs=3600)
    for key in ("a", "b"):
        await caller.place("+49301232486", key)
    await caller.place("+49301234711", "c")
    assert caller.carrier.stop(signal.SIGKILL) == -signal.SIGKILL
    with caller.carrier.log.open("a") as log:
        log.write('{"t":1.0,"event":"dia')  # as if killed in the middle of a line
    again = start()
    assert (await again.look_up("c"))[0] == 404
    await again.place("+49301232486", "d")
    await again.ear.until_ended("d")
    lines = [line for line in again.carrier.log.read_text().splitlines() if '"dia' in line and line.endswith("}")]
    assert [json.loads(line)["nth"] for line in lines] == [1, 2, 1, 3]
    assert again.ear.of("d", "ended")[0].told["cause"] == "hung_up"


async def test_the_log_holds_what_is_promised(start: Start) -> None:
    caller = start()
    before = time.time()
    await caller.place("+49301234711", "k")
    await caller.ear.until_ended("k")
    lines = caller.carrier.journal()
    assert [line["event"] for line in lines] == ["dialled", "answered", "ended"]
    for line in lines:
        assert (line["number"], line["call_key"], line["nth"]) == ("+49301234711", "k", 1)
        assert before - 1 <= line["t"] <= time.time() + 1


async def test_a_throttled_order_is_not_dialled(start: Start) -> None:
    caller = start()
    assert [await caller.place("+49301230904", f"k{n}") for n in range(4)] == [429, 429, 429, 201]
    assert await caller.place("+49301240904", "other") == 429  # each number for itself
    assert [line["call_key"] for line in caller.carrier.journal() if line["event"] == "dialled"] == ["k3"]
    assert (await caller.look_up("k0"))[0] == 404


async def test_reports_are_signed_with_the_key_of_their_call(start: Start) -> None:
    caller = start()
    await caller.place("+49301230486", "k")
    (heard,) = await caller.ear.until_ended("k")
    at, signature = (part.partition("=")[2] for part in heard.headers["x-carrier-signature"].split(","))
    expected = hmac.new(SECRET.encode(), f"{at}.".encode() + heard.body, hashlib.sha256).hexdigest()
    assert signature == expected
    assert abs(int(at) - time.time()) < 5


async def test_a_report_that_is_refused_is_repeated_three_times_within_two_seconds(start: Start) -> None:
    caller = start()
    caller.ear.answer = lambda _: 503
    await caller.place("+49301230486", "k")
    await caller.ear.until(lambda: len(caller.ear.heard) == 4)
    first, *_, last = caller.ear.heard
    assert last.at - first.at < 2
    assert len({heard.told["id"] for heard in caller.ear.heard}) == 1
    async with caller.http.get(caller.carrier.url) as reply:
        assert (await reply.json())["reports_lost"] == 1


async def test_a_report_that_is_never_answered_is_repeated_three_times_within_two_seconds(start: Start) -> None:
    caller = start()
    caller.ear.answer = lambda _: None
    await caller.place("+49301230486", "k")
    await caller.ear.until(lambda: len(caller.ear.heard) == 4)
    assert caller.ear.heard[-1].at - caller.ear.heard[0].at < 2


async def test_a_repeat_that_is_taken_is_the_last(start: Start) -> None:
    caller = start()
    caller.ear.answer = lambda earlier: 500 if earlier == 0 else 204
    await caller.place("+49301230486", "k")
    await caller.ear.until(lambda: len(caller.ear.heard) == 2)
    async with caller.http.get(caller.carrier.url) as reply:
        told = await reply.json()
    assert (told["reports_sent"], told["reports_waiting"]) == (1, 0)


async def test_reports_survive_a_server_that_is_away_for_a_moment(start: Start) -> None:
    caller = start()
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{place.getsockname()[1]}/callbacks/loopback/k/token"
        await caller.place("+49301230486", "k", callback_url=url)
        _, told = await caller.look_up("k")
        assert told["calls"][0]["over"]
        place.listen()
        place.setblocking(False)
        async with asyncio.timeout(2):
            connection, _ = await asyncio.get_running_loop().sock_accept(place)
        with connection:
            assert b"POST /callbacks" in await asyncio.get_running_loop().sock_recv(connection, 65_536)


async def test_it_hangs_up_what_rings(start: Start) -> None:
    caller = start(ring_secs=3600)
    await caller.place("+49301234711", "k")
    url = f"{caller.carrier.url}/calls/k/hang_up"
    async with caller.http.post(url, json={"even_if_answered": False}) as reply:
        assert (reply.status, await reply.json()) == (200, {"ended": 1, "live": 0})
    await caller.ear.until_ended("k")
    told = caller.ear.of("k", "ended")[0].told
    assert (told["cause"], told["by"], told["code"]) == ("given_up", "caller", 487)
    async with caller.http.post(url) as reply:
        assert (reply.status, await reply.json()) == (200, {"ended": 0, "live": 0})
    async with caller.http.post(f"{caller.carrier.url}/calls/unknown/hang_up") as reply:
        assert reply.status == 404


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"number": "030123"}, "number"),
        ({"number": "+4930123x"}, "number"),
        ({"call_key": "../etc"}, "call_key"),
        ({"callback_url": "ftp://127.0.0.1/"}, "callback_url"),
        ({"callback_url": "http://127.0.0.1/ HTTP/1.1\r\nX: y"}, "callback_url"),
        ({"ring_secs": -1}, "ring_secs"),
        ({"greeting": 7}, "greeting"),
    ],
)
async def test_it_refuses_an_order_that_makes_no_sense(start: Start, change: dict[str, object], complaint: str) -> None:
    caller = start()
    good = {"call_key": "k", "number": "+49301234711", "callback_url": "http://127.0.0.1:9/", "callback_secret": "s"}
    async with caller.http.post(f"{caller.carrier.url}/calls", json={**good, **change}) as reply:
        assert reply.status == 400
        assert complaint in (await reply.json())["error"]
    assert caller.carrier.journal() == []


async def test_sigterm_ends_it_at_once_whoever_still_waits_for_a_reply(start: Start) -> None:
    caller = start()
    waiting = asyncio.create_task(caller.place("+49301230900", "k"))
    await caller.ear.until_ended("k")
    began = time.monotonic()
    assert caller.carrier.stop() == 0
    assert time.monotonic() - began < 2
    with pytest.raises(aiohttp.ClientError):
        await waiting


def test_a_port_in_use_is_said_with_exit_code_1(tmp_path: Path) -> None:
    carrier = Carrier(tmp_path / "carrier.log").start()
    try:
        second = run("--port", str(carrier.port))
        assert (second.returncode, "address already in use" in second.stderr) == (1, True)
    finally:
        carrier.stop()


def test_a_wrong_setting_is_said_with_exit_code_2() -> None:
    done = run("--ring-secs", "-1")
    assert (done.returncode, done.stderr) == (
        2, "outdial carrier: OUTDIAL_CARRIER_RING_SECS='-1': seconds from 0 on\n",
    )  # fmt: skip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "outdial.lab.carrier", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_it_shares_no_code_with_the_server() -> None:
    both = "outdial.lab.carrier.server, outdial.lab.carrier.sip.opening"
    told = f"import sys, {both}; print(*(m for m in sys.modules if m.startswith('outdial')))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=20, check=True)
    strangers = {name for name in done.stdout.split() if not name.startswith("outdial.lab.carrier")}
    assert strangers <= {"outdial", "outdial.lab"}


def test_a_finished_call_is_kept_as_it_was() -> None:
    call = Call("k", "run", 7, "+4930123", 2, "Grüß Gott", machine=True, placed_at=1.5, rang_at=None, answered_at=2.5)
    call.ended(3.5, TIME_LIMIT)
    later = Call("k", "run", 8, "+4930124", 1, "", machine=False, placed_at=4.0, rang_at=5.0)
    later.ended(6.0, CAUSES[0])
    assert list(unpack("k", "run", pack(call) + pack(later))) == [call, later]
    assert len(pack(later)) < 60
