"""The network in a box as a SIP trunk, called by Debian's sipp: the verdict is its exit code, and the network's log."""

import asyncio
import contextlib
import random
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import aiohttp
import pytest

from tests.support.carrier import Carrier
from tests.support.peers import needs
from tests.support.server import until
from tests.support.sipp_caller import (
    RINGS,
    TRIED,
    Called,
    Step,
    ack,
    asked,
    bye,
    call,
    cancel,
    hears,
    invite,
    options,
    wait,
)

pytestmark = [pytest.mark.sip, needs("sipp")]

ANSWERED = [*RINGS, hears(200), ack()]
PERSON = "+493012345678"


@contextmanager
def carrier(folder: Path, *more: str, ring: float = 0.05, talk: float = 0.1) -> Iterator[Carrier]:
    options = ("--sip-port", "0", "--listen-secs", "0", *more)
    running = Carrier(folder / "carrier.log", ring, talk, options=options).start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carrier]:
    """One for tests that call different numbers."""
    with carrier(tmp_path_factory.mktemp("network")) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Carrier]:
    """People who ring and talk for ever."""
    with carrier(tmp_path, talk=3600) as running:
        yield running


def went_well(called: Called) -> None:
    assert called.code == 0, called.complaint + called.said


def events(network: Carrier, number: str) -> list[str]:
    return [line["event"] for line in network.journal() if line["number"] == number]


# --- calls -----------------------------------------------------------------------------------------------------------


def test_a_person_answers_talks_and_hangs_up(network: Carrier, tmp_path: Path) -> None:
    goodbye = asked("BYE", checks="Reason: Q.850;cause=16")
    key = "X-Outdial-Call-Key: 0198-abc"
    went_well(call(tmp_path, invite(key), ANSWERED, goodbye, to=network.sip, number=PERSON))
    lines = [line for line in network.journal() if line["number"] == PERSON]
    assert [line["event"] for line in lines] == ["dialled", "answered", "ended"]
    assert {line["call_key"] for line in lines} == {"0198-abc"}
    assert {line["nth"] for line in lines} == {1}


def test_the_caller_hangs_up(patient: Carrier, tmp_path: Path) -> None:
    went_well(call(tmp_path, invite(), ANSWERED, wait(100), bye(), hears(200), to=patient.sip, number=PERSON))
    assert events(patient, PERSON) == ["dialled", "answered", "ended"]


@pytest.mark.parametrize(
    ("digits", "rings", "code", "q850"),
    [
        ("0486", False, 486, 17),
        ("0408", True, 480, 19),
        ("0480", False, 480, 20),
        ("0603", True, 603, 21),
        ("0404", False, 404, 1),
        ("0503", False, 503, 38),
        ("0607", True, 607, 21),
    ],
)
def test_the_number_picks_the_final_code(
    network: Carrier, tmp_path: Path, digits: str, rings: bool, code: int, q850: int
) -> None:
    number = f"+4930123{digits}"
    progress = RINGS if rings else [TRIED]
    refusal = hears(code, checks=f"Reason: Q.850;cause={q850};")
    went_well(call(tmp_path, invite(), progress, refusal, ack(), to=network.sip, number=number))
    assert events(network, number) == ["dialled", "ended"]


def test_some_numbers_change_their_mind(network: Carrier, tmp_path: Path) -> None:
    number = "+49301232486"
    for _ in range(2):
        went_well(call(tmp_path, invite(), TRIED, hears(486), ack(), to=network.sip, number=number))
    went_well(call(tmp_path, invite(), ANSWERED, asked("BYE"), to=network.sip, number=number))
    assert [line["nth"] for line in network.journal() if line["number"] == number and line["event"] == "dialled"] == [
        1, 2, 3,
    ]  # fmt: skip


def test_a_machine_answers(network: Carrier, tmp_path: Path) -> None:
    went_well(call(tmp_path, invite(), ANSWERED, asked("BYE"), to=network.sip, number="+49301230301"))
    assert events(network, "+49301230301") == ["dialled", "answered", "ended"]


def test_what_rings_can_be_cancelled(tmp_path: Path) -> None:
    steps = [invite(), *RINGS, cancel(), hears(200), hears(487), ack()]
    with carrier(tmp_path, ring=3600) as slow:
        went_well(call(tmp_path, steps, to=slow.sip, number=PERSON))
        assert events(slow, PERSON) == ["dialled", "ended"]


def test_an_invite_that_expires_is_given_up(tmp_path: Path) -> None:
    steps = [invite("Expires: 1"), *RINGS, hears(487, checks="Reason: Q.850;cause=19"), ack()]
    with carrier(tmp_path, ring=3600) as slow:
        went_well(call(tmp_path, steps, to=slow.sip, number=PERSON))


def test_over_tcp_it_is_the_same(network: Carrier, patient: Carrier, tmp_path: Path) -> None:
    tcp = ["-t", "t1"]
    number = "+493012345679"
    went_well(call(tmp_path, invite(), ANSWERED, asked("BYE"), to=network.sip, number=number, options=tcp, calls=5))
    busy = [invite(), TRIED, hears(486), ack()]
    went_well(call(tmp_path, busy, to=network.sip, number="+49301240486", options=tcp, calls=5))
    steps = [invite(), *ANSWERED, wait(100), bye(), hears(200)]
    went_well(call(tmp_path, steps, to=patient.sip, number=number, options=tcp))
    assert Counter(events(network, number)) == {"dialled": 5, "answered": 5, "ended": 5}


def test_who_closed_its_connection_is_called_back_for_the_bye(network: Carrier) -> None:
    number = "+493012345681"
    host, port = network.sip.split(":")
    with socket.create_server(("127.0.0.1", 0)) as back, socket.create_connection((host, int(port)), timeout=5) as way:
        raw = Raw(network, port=back.getsockname()[1], transport="TCP")
        way.sendall(raw.message("INVITE", number))
        said = b""
        while not (found := re.search(rb"SIP/2.0 200 .*?To: [^\r]*;tag=(\w+)", said, re.DOTALL)):
            said += way.recv(65_536)
        way.sendall(raw.message("ACK", number, tag=found[1].decode()))
        way.close()
        back.settimeout(5)
        connection, _ = back.accept()
        with connection:
            assert connection.recv(65_536).startswith(b"BYE sip:x@127.0.0.1")


def test_early_media_is_announced(network: Carrier, tmp_path: Path) -> None:
    early = hears(183, checks="m=audio [0-9]+ RTP/AVP 0 101")
    steps = [invite(), TRIED, early, hears(200), ack(), *asked("BYE")]
    went_well(call(tmp_path, steps, to=network.sip, number="+49301230183"))


def test_an_answer_is_repeated_until_it_is_acknowledged(patient: Carrier, tmp_path: Path) -> None:
    steps = [invite(), *RINGS, hears(200), ack(lost=True), wait(2_000), ack(), wait(1_500), bye(), hears(200)]
    called = call(tmp_path, steps, to=patient.sip, number=PERSON)
    went_well(called)
    assert sum(message.startswith("SIP/2.0 200") and "INVITE" in message for message in called.heard()) == 3
    assert events(patient, PERSON) == ["dialled", "answered", "ended"]


def test_a_refusal_is_repeated_until_it_is_acknowledged(network: Carrier, tmp_path: Path) -> None:
    number = "+49301250486"
    steps = [invite(), TRIED, hears(486), ack(lost=True), wait(800), ack(), wait(1_500)]
    called = call(tmp_path, steps, to=network.sip, number=number)
    assert sum(message.startswith("SIP/2.0 486") for message in called.heard()) == 2
    assert events(network, number) == ["dialled", "ended"]


def test_options_are_answered(network: Carrier, tmp_path: Path) -> None:
    went_well(call(tmp_path, options(), hears(200, checks="Allow: INVITE"), to=network.sip, number=PERSON))


def test_a_route_that_was_recorded_is_copied_and_taken_back(network: Carrier, tmp_path: Path) -> None:
    route = "<sip:[local_ip]:[local_port];lr>"
    rings = hears(180, checks="Record-Route: .sip:127.0.0.1:[0-9]+;lr.")
    goodbye = asked("BYE", checks="Route: .sip:127.0.0.1:[0-9]+;lr.")
    steps = [invite(f"Record-Route: {route}"), TRIED, rings, hears(200), ack(), *goodbye]
    went_well(call(tmp_path, steps, to=network.sip, number="+493012345680"))


def test_hundreds_of_busy_answers_a_second(network: Carrier, tmp_path: Path) -> None:
    steps = [invite(), TRIED, hears(486), ack()]
    number = "+49301260486"
    went_well(call(tmp_path, steps, to=network.sip, number=number, calls=400, rate=400))
    assert Counter(events(network, number)) == {"dialled": 400, "ended": 400}


# --- who may call ----------------------------------------------------------------------------------------------------


def with_credentials(password: str) -> list[Step]:
    told = f"[authentication username=ada password={password}]"
    return [invite(), hears(401, auth=True), ack(), invite(told, cseq=2)]


def test_who_knows_the_password_may_call(tmp_path: Path) -> None:
    right = [*with_credentials("s3cret"), *RINGS, hears(200), ack(2), *asked("BYE")]
    wrong = [*with_credentials("guessed"), TRIED, hears(403), ack(2)]
    with carrier(tmp_path, "--sip-user", "ada", "--sip-password", "s3cret") as trunk:
        went_well(call(tmp_path, right, to=trunk.sip, number=PERSON))
        went_well(call(tmp_path, wrong, to=trunk.sip, number=PERSON))
        assert events(trunk, PERSON) == ["dialled", "answered", "ended"]


# --- what goes wrong on purpose --------------------------------------------------------------------------------------


def test_a_trunk_that_throttles_has_dialled_nobody(network: Carrier, tmp_path: Path) -> None:
    number = "+49301230904"
    for _ in range(3):
        steps = [invite(), hears(503, checks="Retry-After: 1"), ack()]
        went_well(call(tmp_path, steps, to=network.sip, number=number))
    went_well(call(tmp_path, invite(), ANSWERED, asked("BYE"), to=network.sip, number=number))
    assert events(network, number) == ["dialled", "answered", "ended"]


def test_two_answers_are_lost_and_the_third_gets_through(network: Carrier, tmp_path: Path) -> None:
    number = "+49301230901"
    called = call(tmp_path, invite(), ANSWERED, asked("BYE"), to=network.sip, number=number)
    went_well(called)
    assert events(network, number) == ["dialled", "answered", "ended"]


def test_every_response_comes_twice_and_the_ring_after_the_answer(network: Carrier, tmp_path: Path) -> None:
    steps = [invite(), hears(100), hears(200), ack(), wait(300)]
    called = call(tmp_path, steps, to=network.sip, number="+49301230902")
    codes = [message[8:11] for message in called.heard() if message.startswith("SIP/2.0")]
    assert codes[:6] == ["100", "100", "200", "200", "180", "180"]


def test_nothing_comes_where_every_reply_is_lost_and_the_phone_rings_all_the_same(network: Carrier) -> None:
    number = "+49301230900"
    with Raw(network) as raw:
        for _ in range(3):
            raw.send("INVITE", number)
        until(lambda: events(network, number), lambda seen: seen == ["dialled", "answered", "ended"])
        assert raw.heard() == []


def test_whoever_answers_a_caller_that_is_gone_hangs_up(network: Carrier) -> None:
    number = "+493012345682"
    with Raw(network) as raw:
        raw.send("INVITE", number)
        raw.hear("SIP/2.0 200")  # and no ACK, for 32 s (RFC 3261 13.3.1.4)
        until(lambda: events(network, number), lambda seen: seen == ["dialled", "answered", "ended"])


def test_a_far_end_that_goes_silent_answers_no_bye(network: Carrier) -> None:
    number = "+49301230903"
    with Raw(network) as raw:
        raw.send("INVITE", number)
        (answer,) = raw.hear("SIP/2.0 200")
        tag = re.search(r"To: .*;tag=(\w+)", answer)
        assert tag is not None
        raw.send("ACK", number, tag=tag[1])
        until(lambda: events(network, number), lambda seen: seen == ["dialled", "answered", "ended"])
        raw.send("BYE", number, tag=tag[1], cseq=2)
        assert not any("BYE" in message for message in raw.heard())


def test_what_is_lost_is_said_again(tmp_path: Path) -> None:
    steps = [invite(), hears(100, optional=True), hears(180, optional=True), hears(200), ack(), *asked("BYE")]
    with carrier(tmp_path, "--loss", "15", "--jitter", "30", "--seed", "7") as bad:
        went_well(call(tmp_path, steps, to=bad.sip, number=PERSON, calls=10, rate=50))
        assert Counter(events(bad, PERSON)) == {"dialled": 10, "answered": 10, "ended": 10}


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["--audio", "/nowhere/at/all"], 1, "/nowhere/at/all is no folder"),
        (["--sip-user", "ada"], 2, "--sip-user and --sip-password go together"),
        (["--loss", "101"], 2, "OUTDIAL_CARRIER_LOSS='101': percent from 0 to 100"),
    ],
)
def test_what_cannot_be_is_said_at_start(given: list[str], code: int, words: str) -> None:
    command = [sys.executable, "-m", "outdial.lab.carrier", "--sip-port", "0", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (code, f"outdial carrier: {words}\n")


# --- two fronts, one network -----------------------------------------------------------------------------------------


async def test_a_call_over_sip_is_looked_up_and_ended_over_http(patient: Carrier, tmp_path: Path) -> None:
    steps = [invite("X-Outdial-Call-Key: both"), *ANSWERED, *asked("BYE")]
    calling = asyncio.create_task(asyncio.to_thread(call, tmp_path, steps, to=patient.sip, number=PERSON))
    async with aiohttp.ClientSession() as http, asyncio.timeout(10):
        while "answered" not in events(patient, PERSON):  # noqa: ASYNC110 - a file rings no bell
            await asyncio.sleep(0.02)
        async with http.get(f"{patient.url}/calls/both") as reply:
            (told,) = (await reply.json())["calls"]
        assert [event["event"] for event in told["events"]] == ["ringing", "answered"]
        async with http.post(f"{patient.url}/calls/both/hang_up", json={"even_if_answered": True}) as reply:
            assert (await reply.json()) == {"ended": 1, "live": 0}
    went_well(await calling)


# --- whatever comes --------------------------------------------------------------------------------------------------

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


class Raw:
    """Datagrams by hand."""

    def __init__(self, network: Carrier, *, port: int = 0, transport: str = "UDP") -> None:
        host, at = network.sip.split(":")
        self._to = (host, int(at))
        self._transport = transport
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(5)
        self.port = port or self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def message(self, method: str, number: str, *, tag: str = "", cseq: int = 1, branch: str = "") -> bytes:
        body = SDP if method == "INVITE" else ""
        lines = [
            f"{method} sip:{number}@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/{self._transport} 127.0.0.1:{self.port};branch=z9hG4bK{branch or method + number[1:]}",
            "From: <sip:x@127.0.0.1>;tag=1",
            f"To: <sip:{number}@127.0.0.1>" + (f";tag={tag}" if tag else ""),
            f"Call-ID: {number[1:]}-{self.port}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:x@127.0.0.1:{self.port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def send(self, method: str, number: str, *, tag: str = "", cseq: int = 1) -> None:
        self.throw(self.message(method, number, tag=tag, cseq=cseq))

    def throw(self, data: bytes) -> None:
        self._socket.sendto(data, self._to)

    def hear(self, beginning: str) -> list[str]:
        """Wait for a message that begins so."""
        while not (text := self._socket.recv(65_536).decode()).startswith(beginning):
            pass
        return [text]

    def heard(self, within: float = 0.3) -> list[str]:
        """All that is there, or comes in a little while."""
        messages = []
        self._socket.settimeout(within)
        with contextlib.suppress(TimeoutError):
            while True:
                messages.append(self._socket.recv(65_536).decode(errors="replace"))
        return messages


def test_what_makes_no_sense_is_refused_or_ignored_and_the_next_call_is_served(network: Carrier) -> None:
    chance = random.Random(1)
    with Raw(network) as raw:
        good = [raw.message(method, PERSON) for method in ("INVITE", "BYE", "ACK", "CANCEL", "OPTIONS", "UPDATE")]
        for n in range(2_000):
            data = bytearray(chance.choice(good).replace(b"z9hG4bK", b"z9hG4bK%d" % n))
            for _ in range(chance.randrange(6)):
                at = chance.randrange(len(data))
                data[at : at + chance.randrange(4)] = bytes(
                    chance.choices(b'\x00\xff \r\n;:,<>@"=%sip', k=chance.randrange(4))
                )
            raw.throw(bytes(data[: chance.choice((len(data), chance.randrange(len(data) + 1)))]))
        raw.throw(raw.message("OPTIONS", PERSON, branch="last").replace(b"Content-Length: 0", b"Content-Length: 99"))
        assert raw.hear("SIP/2.0 400")
        raw.throw(raw.message("OPTIONS", "+49309999", branch="alive"))
        while "alive" not in raw.hear("SIP/2.0 200")[0]:
            pass
