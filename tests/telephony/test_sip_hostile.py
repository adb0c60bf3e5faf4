"""What strangers and rude far ends send to a call worker: it takes no call, and goes on placing ours."""

import asyncio
import contextlib
import logging
import random
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from outdial.app.pool import PoolSettings, WorkerPool
from outdial.domain.call import CallEvent, EventKind
from outdial.domain.outcome import Outcome
from tests.support.hostile import captured, dropped, hostile_end, media, pelt, pelt_over_tcp
from tests.support.peers import needs
from tests.support.phones import CALLER, CLOCK, Following, course, order, saying_nothing_for, sip_lines
from tests.support.sipp import (
    ACK,
    ANSWERS,
    BYE,
    CANCEL,
    HANGS_UP,
    TAKE_CSEQ,
    TAKE_WAY_BACK,
    Sipp,
    asks,
    box,
    invite,
    refuses,
    reply,
    sipp,
)

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = [pytest.mark.sip, needs("sipp")]

METHODS = ("INVITE", "REGISTER", "MESSAGE", "SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH")
REFS = '  <Reference variables="from,to,contact"/>\n'


@asynccontextmanager
async def worker() -> AsyncIterator[WorkerPool]:
    """A process of its own, as in life: a stack that strangers tried to call can't be taken down in this one."""
    settings = PoolSettings("sip_trunk", {"interface": "127.0.0.1"}, spec="outdial.telephony.sip.spec:SPEC")
    pool = WorkerPool(settings, clock=CLOCK)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


def contact_port(far: Sipp) -> int:
    (came,) = far.came()
    found = re.search(r"Contact: <sip:[^@]+@127\.0\.0\.1:([0-9]+)", came)
    assert found is not None
    return int(found[1])


def audio_port(far: Sipp) -> int:
    (came,) = far.came()
    found = re.search(r"^m=audio ([0-9]+) ", came, re.MULTILINE)
    assert found is not None
    return int(found[1])


def listening(pool: WorkerPool) -> list[int]:
    """Ports at which its process takes TCP connections."""
    (pid,) = pool.pids
    return [one.laddr.port for one in psutil.Process(pid).net_connections("tcp") if one.status == "LISTEN"]


def request(method: str, user: str, port: int, back: int, transport: str) -> bytes:
    body = "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"
    lines = [
        f"{method} sip:{user}@127.0.0.1:{port} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} 127.0.0.1:{back};branch=z9hG4bK{method}{user[-3:]}{back}",
        "Max-Forwards: 70",
        "From: <sip:x@127.0.0.1>;tag=1",
        f"To: <sip:{user}@127.0.0.1:{port}>",
        f"Call-ID: {method}{user}{back}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:x@127.0.0.1:{back}>",
        "Event: presence",
        "Refer-To: <sip:y@127.0.0.1>",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def ask(method: str, user: str, port: int, transport: str) -> list[int]:
    """The codes of all answers."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as stranger:
        stranger.settimeout(0.3)
        stranger.connect(("127.0.0.1", port))
        stranger.send(request(method, user, port, stranger.getsockname()[1], transport))
        said = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while not re.search(rb"^SIP/2\.0 [2-6]", said, re.MULTILINE):
                if not (more := stranger.recv(4096)):
                    break
                said += more
        return [int(code) for code in re.findall(rb"^SIP/2\.0 ([1-6][0-9]{2})", said, re.MULTILINE)]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_nobody_can_call_in(tmp_path: Path, transport: str, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["-t", "t1"] if transport == "tcp" else []
    with sipp(tmp_path, invite(TAKE_CSEQ) + reply("180 Ringing") + CANCEL, options=options) as far:
        async with worker() as pool:
            call = Following(pool.lines, order(far.address, transport=transport))
            await call.until(EventKind.RINGING)
            ports = [contact_port(far)] if transport == "udp" else listening(pool)
            assert ports
            heard = 0
            for port in ports:
                for method in METHODS:
                    for user in (CALLER, "nobody"):
                        codes = await asyncio.to_thread(ask, method, user, port, transport)
                        heard += len(codes)
                        assert all(code >= 300 for code in codes if code >= 200), (method, user, codes)
            assert heard >= len(METHODS)  # they arrived
            await pool.lines.hang_up(call.order.call_key, even_if_answered=False)
            await call.over()
        assert far.done()
    told = "".join(capfd.readouterr())
    assert CALLER not in told
    assert "REGISTER" not in told  # strangers write nothing into our log


TOLD = '  <recv request="NOTIFY"/>\n' + reply("200 OK").replace(";tag=[pid]t[call_number]", "")


async def test_who_is_called_asks_for_a_transfer_in_vain(tmp_path: Path) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE, calls=None) as elsewhere:
        transfer = asks("REFER", f"Refer-To: <sip:x@{elsewhere.address}>", gets=(202,))
        with sipp(tmp_path, invite(TAKE_WAY_BACK) + ANSWERS + transfer + TOLD * 2 + BYE + REFS) as far:
            async with sip_lines(saying_nothing_for(0.5)) as lines:
                events = await course(lines, order(far.address))
            assert far.done(), far.said()
            assert "SIP/2.0 603" in far.said()  # so it was told how that went
        assert elsewhere.came() == []
    assert reason_of(events) == "talked"


async def test_a_trunk_sends_us_elsewhere_in_vain(tmp_path: Path) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE, calls=None) as elsewhere:
        with sipp(tmp_path, refuses("302 Moved Temporarily", f"Contact: <sip:x@{elsewhere.address}>")) as far:
            async with sip_lines() as lines:
                events = await course(lines, order(far.address))
            assert far.done()
        assert elsewhere.came() == []
    assert reason_of(events) == "redirected"


async def test_who_is_called_sends_what_we_do_not_take_and_the_talk_goes_on(tmp_path: Path) -> None:
    odd = "".join(asks(method, "Event: presence", gets=(400, 405, 489, 501)) for method in ("MESSAGE", "PUBLISH"))
    with sipp(tmp_path, invite(TAKE_WAY_BACK) + ANSWERS + odd + BYE + REFS) as far:
        async with sip_lines(saying_nothing_for(0.5)) as lines:
            events = await course(lines, order(far.address))
        assert far.done(), far.said()
    assert reason_of(events) == "talked"


def test_strangers_can_write_only_so_much_into_our_log() -> None:
    from outdial.telephony.sip.stack import _Sparing

    spares = _Sparing(3)
    lines = [logging.makeLogRecord({"created": at}) for at in (100.0, 101.0, 102.0, 103.0, 159.9, 160.0, 161.0)]
    assert [bool(spares.filter(line)) for line in lines] == [True, True, True, False, False, True, True]


async def test_broken_messages_end_no_worker_and_no_call(tmp_path: Path) -> None:
    await withstands(tmp_path, packets=1_000, seed=4)


async def withstands(tmp_path: Path, *, packets: int, seed: int) -> None:
    """A worker gets so many broken messages, from strangers in mid-call and from far ends; all calls come out right."""
    chance = random.Random(seed)
    async with worker() as pool:
        with sipp(tmp_path, invite() + ANSWERS + BYE) as far:
            call = Following(pool.lines, order(far.address))
            await call.until(EventKind.ANSWERED)
            port, whole = contact_port(far), captured(far)
            await pelt(whole, port, packets=packets // 2, chance=chance)
            audio = audio_port(far)
            for media_port in (audio, audio + 1):
                await pelt(media(), media_port, packets=packets // 20, chance=chance)
            assert dropped(port) < packets // 100  # they were read
            for listener in listening(pool):
                await pelt_over_tcp(whole, listener, connections=packets // 60, chance=chance)
            await pool.lines.hang_up(call.order.call_key, even_if_answered=True)
            last = (await call.over())[-1]
            assert last.ending is not None, last
            assert (last.ending.outcome, last.ending.reason) == (Outcome.COMPLETED, "node_lost")
            assert far.done()
        async with hostile_end(chance) as liar:
            orders = [order(liar.address, ring_secs=2, talk_secs=1) for _ in range(packets // 25)]
            told = await asyncio.gather(*(course(pool.lines, one) for one in orders))
            assert liar.sent == packets // 25 * 10
        for events in told:
            # whatever was said: it had arrived, so it is never called unsent, which would dial it again
            assert events[-1].kind in {EventKind.ENDED, EventKind.DOUBTFUL, EventKind.THROTTLED}, events
        assert pool.restarts == 0
        await places_calls_right(tmp_path, pool)


async def places_calls_right(tmp_path: Path, pool: WorkerPool) -> None:
    wanted = {"0486": "busy", "0480": "unreachable", "5678": "hung_up"}
    endings = {digits: reply(f"{digits[1:]} No", again=True) + ACK for digits in ("0486", "0480")}
    numbers = [f"+4930123{digits}" for digits in wanted] * 7
    with sipp(tmp_path, box(endings, ANSWERS + HANGS_UP), calls=len(numbers)) as far:
        told = await asyncio.gather(*(course(pool.lines, order(far.address, number)) for number in numbers))
        assert far.done()
    assert [reason_of(events) for events in told] == list(wanted.values()) * 7


def reason_of(events: list[CallEvent]) -> str:
    assert events[-1].ending is not None, events
    return events[-1].ending.reason
