"""The parts of the network's SIP side, each by itself; sipp's verdict on the whole is in test_carrier_trunk.py."""

import asyncio
import logging
import random
from collections.abc import Iterator

import pytest

from outdial.lab.carrier.g711 import LAWS
from outdial.lab.carrier.journal import Journal
from outdial.lab.carrier.network import Network
from outdial.lab.carrier.person import Manners
from outdial.lab.carrier.sip import sdp
from outdial.lab.carrier.sip.callee import Studio
from outdial.lab.carrier.sip.dialog import Trunk
from outdial.lab.carrier.sip.front import SipFront
from outdial.lab.carrier.sip.message import Asked, Malformed, note_source, read, way_back
from outdial.lab.carrier.sip.transaction import Repeated, Timers
from outdial.lab.carrier.sip.transport import Doors
from outdial.lab.carrier.weather import Weather

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 9 8 0 97\r\na=rtpmap:9 G722/8000\r\na=rtpmap:97 telephone-event/8000\r\n"
)


def message(method: str = "OPTIONS", *changes: tuple[str, str], body: str = "") -> bytes:
    lines = [
        f"{method} sip:+493012345678@127.0.0.1 SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK1",
        "From: <sip:x@127.0.0.1>;tag=1",
        "To: <sip:+493012345678@127.0.0.1>",
        "Call-ID: one",
        f"CSeq: 1 {method}",
        "Contact: <sip:x@127.0.0.1:5099>",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    text = "\r\n".join(lines) + "\r\n\r\n" + body
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def asked(*changes: tuple[str, str]) -> Asked:
    told = read(message("OPTIONS", *changes))
    assert isinstance(told, Asked)
    return told


# --- messages --------------------------------------------------------------------------------------------------------


def test_headers_may_be_short_folded_and_spaced() -> None:
    told = asked(("Call-ID:", "i :"), ("Via: SIP/2.0/UDP ", "v: SIP/2.0/UDP\r\n  "))
    assert (told.call_id, told.via.port) == ("one", 5099)


@pytest.mark.parametrize(
    "change",
    [
        ("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"),
        ("sip:+49", "http:+49"),
        ("Via: SIP/2.0/UDP", "Via: nonsense"),
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
        ("CSeq: 1 OPTIONS", "CSeq: x OPTIONS"),
        ("Call-ID: one\r\n", ""),
        ("tag=1", "self=1"),
        ("Content-Length: 0", "Content-Length: 7"),
        ("Content-Length: 0", "Content-Length: -1"),
        ("Content-Length: 0\r\n\r\n", "Content-Length: 0"),
        ("Contact", "\xff"),
    ],
)
def test_what_is_no_message_is_told_apart(change: tuple[str, str]) -> None:
    data = message("OPTIONS", change).replace("ÿ".encode(), b"\xff")  # no UTF-8
    with pytest.raises(Malformed):
        read(data)


def test_a_response_goes_back_to_where_the_request_came_from() -> None:
    plain, symmetric = asked(), asked((";branch", ";rport;branch"))
    source = ("127.0.0.9", 7777)
    assert way_back(plain, source) == ("127.0.0.9", 5099)
    assert way_back(symmetric, source) == source
    note_source(symmetric, source)
    assert symmetric.header("Via") == "SIP/2.0/UDP 127.0.0.1:5099;rport=7777;branch=z9hG4bK1;received=127.0.0.9"


def test_without_the_magic_cookie_a_transaction_is_told_by_its_headers() -> None:
    old = ("z9hG4bK1", "1")
    assert asked(old).transaction == asked(old).transaction
    assert asked(old).transaction != asked(old, ("Call-ID: one", "Call-ID: two")).transaction


# --- offers ----------------------------------------------------------------------------------------------------------


def test_the_first_codec_that_both_speak_is_taken() -> None:
    offer = sdp.read(SDP.encode())
    assert offer == sdp.Offer(("127.0.0.1", 4000), "PCMA", 8, 97, plays=True)
    assert sdp.read(sdp.write("127.0.0.1", 6000, offer)) == sdp.Offer(("127.0.0.1", 6000), "PCMA", 8, 97, plays=True)
    assert sdp.read(sdp.write("127.0.0.1", 6000, None)).codec == "PCMU"


@pytest.mark.parametrize(
    "change",
    [
        ("RTP/AVP", "RTP/SAVP"),
        ("9 8 0 97", "9 97"),
        ("m=audio 4000", "m=audio 0"),
        ("m=audio", "m=video"),
        ("c=IN", "x="),
    ],
)
def test_an_offer_without_audio_for_us_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(sdp.NotForUs):
        sdp.read(SDP.replace(*change).encode())


def test_a_hold_is_answered_as_one() -> None:
    offer = sdp.read(f"{SDP}a=sendonly\r\n".encode())
    assert not offer.plays
    assert b"a=recvonly" in sdp.write("127.0.0.1", 6000, offer)


# --- G.711 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_g711_is_what_the_standard_library_made_of_it(name: str) -> None:
    audioop = pytest.importorskip("audioop", reason="no audioop: Python 3.13 without the extra `sip`")
    decode, encode = {"PCMU": (audioop.ulaw2lin, audioop.lin2ulaw), "PCMA": (audioop.alaw2lin, audioop.lin2alaw)}[name]
    law, every = LAWS[name], bytes(range(256))
    assert law.decode(every) == decode(every, 2)
    coded = law.encode(law.decode(every))
    assert law.decode(coded) == law.decode(every)
    assert decode(encode(bytes(320), 2), 2) == law.decode(law.silence)
    assert law.loudness(law.silence) < 32
    assert law.loudness(every) > 1_000


# --- timers ----------------------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_what_is_not_heard_is_said_at_the_times_of_the_book() -> None:
    loop = asyncio.get_running_loop()
    began, said, gave_up = loop.time(), [], asyncio.Event()
    Repeated(lambda: said.append(loop.time() - began), Timers(), gave_up.set)
    await gave_up.wait()
    # RFC 3261 13.3.1.4: T1, then twice as long each time up to T2, until 64 T1 are over
    assert said == pytest.approx([0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
    assert loop.time() - began == pytest.approx(32.0)


# --- whatever comes --------------------------------------------------------------------------------------------------


class Nowhere:
    """A path whose messages are counted."""

    name = "TCP"
    reliable = True
    place = ("127.0.0.1", 5099)

    def __init__(self) -> None:
        self.codes: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.codes.append(data[8:11])


@pytest.fixture
async def front() -> Iterator[SipFront]:  # type: ignore[misc]
    made = SipFront()
    weather = Weather()
    network = Network(Journal(None), ring_secs=0, talk_secs=0)
    made.trunk = Trunk(network, Doors(made.receive, weather), Studio(weather, Manners(0, 0)))
    yield made
    made.close()


async def test_no_message_is_ever_too_much(front: SipFront, caplog: pytest.LogCaptureFixture) -> None:
    chance, path = random.Random(7), Nowhere()
    methods = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE", "REGISTER", "NOTIFY", "FOO")
    good = [message(method, body=SDP if method == "INVITE" else "") for method in methods]
    for n in range(5_000):
        data = bytearray(chance.choice(good).replace(b"z9hG4bK1", b"z9hG4bK%d" % (n % 50)))
        for _ in range(chance.randrange(5)):
            at = chance.randrange(len(data))
            data[at : at + chance.randrange(5)] = bytes(
                chance.choices(b'\x00\xff \r\n;:,<>@"=%self', k=chance.randrange(5))
            )
        front.receive(bytes(data), path)
        if n % 100 == 0:
            await asyncio.sleep(0)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert {b"100", b"400", b"405", b"481"} <= set(path.codes)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("sip:+493012345678@127.0.0.1 SIP", "sip:nobody@127.0.0.1 SIP"), b"484"),
        (("RTP/AVP", "RTP/SAVP"), b"488"),
        (("Contact", "Require: 100rel\r\nContact"), b"420"),
        (("application/sdp", "text/plain"), b"415"),
    ],
)
async def test_an_invite_that_is_no_call_dials_nobody(front: SipFront, change: tuple[str, str], code: bytes) -> None:
    path = Nowhere()
    data = message("INVITE", body=SDP).decode()
    assert change[0] in data
    changed = data.replace(*change)
    head, _, body = changed.partition("\r\n\r\n")
    front.receive(
        f"{head}\r\n\r\n{body}".replace(f"Content-Length: {len(SDP)}", f"Content-Length: {len(body)}").encode(), path
    )
    assert path.codes == [code]
    assert front.trunk.network.placed == 0
