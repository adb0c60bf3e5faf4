"""Calls over SIP against sipp: what a foreign far end does, and what we make of it."""

import asyncio
import audioop
import contextlib
import logging
import random
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outdial.domain.call import CallEvent, EventKind
from outdial.domain.outcome import Ending, Outcome
from outdial.ports.voice import Leg, Played
from outdial.telephony.sip.outcome import CAUSES, FINAL
from tests.media.test_codec import power_at, sine
from tests.support.certificates import Authority, Certificate
from tests.support.peers import needs
from tests.support.phones import CALLER, Following, NotingTalker, course, order, saying_nothing_for, sip_lines
from tests.support.ports import free_port
from tests.support.sipp import (
    ACK,
    ANSWERS,
    BYE,
    CANCEL,
    HANGS_UP,
    SDP,
    TAKE_CSEQ,
    TAKE_WAY_BACK,
    Sipp,
    asks,
    box,
    invite,
    refuses,
    reply,
    sipp,
    wait,
)
from tests.support.uas import uas

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = [pytest.mark.sip, needs("sipp")]

CHALLENGE = 'WWW-Authenticate: Digest realm="trunk.test", nonce="47ebe028cda119c35d48", algorithm=MD5, qop="auth"'
AGAIN = asks("INVITE", sdp=True)
REFS = '  <Reference variables="from,to,contact"/>\n'


def kinds(events: list[CallEvent]) -> list[EventKind]:
    return [event.kind for event in events]


def ending(events: list[CallEvent]) -> Ending:
    last = events[-1]
    assert last.kind is EventKind.ENDED, events
    assert last.ending is not None
    return last.ending


def final(line: str, *headers: str) -> str:
    return reply(line, *headers, again=True) + ACK


async def test_a_call_is_placed_answered_and_hung_up(tmp_path: Path) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE) as far:
        async with sip_lines(saying_nothing_for(0.2)) as lines:
            events = await course(lines, order(far.address))
        assert far.done()
    assert kinds(events) == [EventKind.SENT, EventKind.RINGING, EventKind.ANSWERED, EventKind.ENDED]
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "talked")
    assert events[-1].answered_at is not None
    assert len({event.provider_call_id for event in events}) == 1


async def test_the_invite_says_who_calls_whom_and_for_which_call(tmp_path: Path) -> None:
    with sipp(tmp_path, refuses("486 Busy Here")) as far:
        given = order(
            far.address,
            ring_secs=42.0,
            headers={"X-Campaign": "spring"},
            attributes_to_headers={"name": "X-Name", "absent": "X-Absent"},
            variables={"name": "Ann\r\nX-Evil: 1"},
            credentials={"username": "ada", "password": "s3cret-of-the-trunk"},
        )
        async with sip_lines() as lines:
            await course(lines, given)
        (came,) = far.came()
    assert f"INVITE sip:{given.number}@{far.address}" in came
    assert f"From: <sip:{CALLER}@{far.address}>" in came
    assert f"P-Asserted-Identity: <sip:{CALLER}@{far.address}>" in came
    assert f"X-Outdial-Call-Key: {given.call_key}" in came
    assert "X-Campaign: spring" in came
    assert "X-Name: Ann X-Evil: 1" in came
    assert "X-Absent" not in came
    assert "Expires: 42" in came
    assert "PCMU/8000" in came
    assert "telephone-event/8000" in came
    assert "s3cret" not in far.said()


async def test_a_call_with_all_headers_that_it_may_have_is_followed(tmp_path: Path) -> None:
    named = {f"v{n}": f"X-{n}-".ljust(63, "n") for n in range(20)}
    variables = dict.fromkeys(named, "語" * 300)
    with sipp(tmp_path, invite() + ANSWERS + BYE) as far:
        async with sip_lines(saying_nothing_for(0.1)) as lines:
            events = await course(lines, order(far.address, variables=variables, attributes_to_headers=named))
        assert far.done(), far.said()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "talked")


async def test_every_final_code_is_what_the_table_says(tmp_path: Path) -> None:
    # a challenge without its header is no answer of any trunk
    codes = {code: row for code, row in FINAL.items() if code not in {401, 407}} | {302: None, 499: None, 699: None}
    endings = {f"9{code}": final(f"{code} Code {code}", f"X-Code: {code}") for code in codes}
    with sipp(tmp_path, box(endings, ANSWERS + BYE), calls=len(codes)) as far:
        async with sip_lines() as lines:
            orders = {code: order(far.address, f"+4930129{code}") for code in codes}
            told = await asyncio.gather(*(course(lines, one) for one in orders.values()))
        assert far.done()
    for (code, row), events in zip(codes.items(), told, strict=True):
        assert ending(events).sip_code == code
        if row is not None:
            said = ending(events)
            assert (said.outcome, said.reason, said.blame) == (row.outcome, row.reason, row.blame), code


@pytest.mark.parametrize(
    ("line", "reason", "outcome", "q850"),
    [
        ("480 Temporarily Unavailable", 'Reason: Q.850;cause=19;text="No answer"', Outcome.NO_ANSWER, 19),
        ("603 Decline", 'Reason: Q.850;cause=21;text="v=analytics1;url=https://x.example"', Outcome.BLOCKED, 21),
        ("404 Not Found", "Reason: Q.850;cause=3", Outcome.NETWORK_ERROR, 3),
        ("500 Oops", 'Reason: SIP;cause=486;text="x", Q.850;cause=17', Outcome.BUSY, 17),
        ("486 Busy Here", "Reason: Q.850;cause=16", Outcome.BUSY, 16),
    ],
)
async def test_a_reason_is_read(tmp_path: Path, line: str, reason: str, outcome: Outcome, q850: int) -> None:
    with sipp(tmp_path, refuses(line, reason)) as far:
        async with sip_lines() as lines:
            events = await course(lines, order(far.address))
    assert (ending(events).outcome, ending(events).q850) == (outcome, q850)


@pytest.mark.parametrize("code", [480, 500, 603])
async def test_every_cause_is_what_the_table_says(tmp_path: Path, code: int) -> None:
    endings = {f"9{cause:03}": final(f"{code} Code", f'Reason: Q.850;cause={cause};text="{cause}"') for cause in CAUSES}
    with sipp(tmp_path, box(endings, ANSWERS + BYE), calls=len(CAUSES)) as far:
        async with sip_lines() as lines:
            told = await asyncio.gather(*(course(lines, order(far.address, f"+4930129{c:03}")) for c in CAUSES))
        assert far.done()
    for (cause, row), events in zip(CAUSES.items(), told, strict=True):
        said = ending(events)
        assert (said.outcome, said.reason, said.blame) == (row.outcome, row.reason, row.blame), cause
        assert (said.sip_code, said.q850, said.halts_trunk) == (code, cause, row.halts)


async def test_no_fast_busy_is_lost(tmp_path: Path) -> None:
    assert await fast_busies(tmp_path, 400) == {Outcome.BUSY: 400}


async def fast_busies(tmp_path: Path, calls: int) -> Counter[Outcome]:
    """What became of so many calls that are refused at once, sixty at a time."""
    with sipp(tmp_path, refuses("486 Busy Here"), calls=calls) as far:
        async with sip_lines() as lines:
            gate = asyncio.Semaphore(60)

            async def one() -> Outcome:
                async with gate:
                    return ending(await course(lines, order(far.address))).outcome

            outcomes = Counter(await asyncio.gather(*(one() for _ in range(calls))))
            assert await asyncio.to_thread(far.done)  # as long as we are there: what it missed is repeated
    return outcomes


async def test_calls_that_begin_at_once_share_one_identity(tmp_path: Path) -> None:
    with sipp(tmp_path, refuses("486 Busy Here"), calls=10) as far:
        async with sip_lines() as lines:
            made: list[str] = []
            (await lines.stack.start()).subscribe(lambda event: made.append(event.event.name))
            await asyncio.gather(*(course(lines, order(far.address)) for _ in range(10)))
        assert far.done(), far.said()
    assert made.count("CREATE") == 1


async def test_a_503_with_retry_after_throttles(tmp_path: Path) -> None:
    with sipp(tmp_path, refuses("503 Service Unavailable", "Retry-After: 7")) as far:
        async with sip_lines() as lines:
            (*_, last) = await course(lines, order(far.address))
    assert (last.kind, last.retry_after) == (EventKind.THROTTLED, 7.0)


async def test_a_throttling_is_known_by_its_header_however_late_the_trace_tells_it(tmp_path: Path) -> None:
    """The stack's trace comes through a thread of its own, which may have to wait for a busy machine."""
    with sipp(tmp_path, refuses("503 Service Unavailable", "Retry-After: 7")) as far:
        async with sip_lines() as lines:
            (tap,) = logging.getLogger("baresip.native.sip").handlers
            told = tap._tell  # type: ignore[attr-defined]
            tap._tell = lambda message: asyncio.get_running_loop().call_later(0.2, told, message)  # type: ignore[attr-defined]
            (*_, last) = await course(lines, order(far.address))
    assert (last.kind, last.retry_after) == (EventKind.THROTTLED, 7.0)


async def test_a_503_with_a_limit_text_throttles_and_a_ring_before_it_does_not(tmp_path: Path) -> None:
    limit, later = final("503 Trunk CPS limit exceeded"), final("503 Service Unavailable", "Retry-After: 3")
    endings = {
        "0001": limit,
        "0002": reply("180 Ringing") + limit,
        "0003": reply("183 Session Progress", sdp=True) + limit,
        "0004": reply("183 Session Progress") + later,
    }
    with sipp(tmp_path, box(endings, ANSWERS), calls=4) as far:
        async with sip_lines() as lines:
            (*_, plain) = await course(lines, order(far.address, "+49300001"))
            rang = [await course(lines, order(far.address, f"+4930000{n}")) for n in (2, 3, 4)]
    assert plain.kind is EventKind.THROTTLED
    for events in rang:
        assert ending(events).outcome is Outcome.NETWORK_ERROR
        assert events[-1].rang


async def test_what_comes_after_a_challenge_is_read_too(tmp_path: Path) -> None:
    # the challenge is a final answer too, and must not be taken for the one that says how long to wait
    after = invite() + final("401 Unauthorized", CHALLENGE) + invite()
    credentials = {"username": "ada", "password": "right"}
    with sipp(tmp_path, after + final("503 Service Unavailable", "Retry-After: 7"), calls=40) as far:
        async with sip_lines() as lines:
            orders = [order(far.address, credentials=credentials) for _ in range(40)]
            told = await asyncio.gather(*(course(lines, one) for one in orders))
        assert far.done()
    assert {(events[-1].kind, events[-1].retry_after) for events in told} == {(EventKind.THROTTLED, 7.0)}


def digest_scenario() -> str:
    check = '<verifyauth assign_to="right" username="ada" password="s3cret;of the trunk"/>'
    return (
        invite()
        + final("401 Unauthorized", CHALLENGE)
        + f'  <recv request="INVITE" crlf="true"><action>{check}</action></recv>\n'
        + '  <nop test="right" next="1"/>\n'
        + final("403 Forbidden").replace(ACK, '  <recv request="ACK" next="2"/>\n')
        + '  <label id="1"/>\n'
        + ANSWERS
        + BYE
        + '  <label id="2"/>\n'
    )


@pytest.mark.parametrize(
    ("password", "outcome"), [("s3cret;of the trunk", Outcome.COMPLETED), ("wrong", Outcome.PROVIDER_REJECTED)]
)
async def test_a_digest_with_a_user_that_is_not_the_caller(tmp_path: Path, password: str, outcome: Outcome) -> None:
    with sipp(tmp_path, digest_scenario()) as far:
        async with sip_lines(saying_nothing_for(0.1)) as lines:
            given = order(far.address, credentials={"username": "ada", "password": password})
            events = await course(lines, given)
        assert far.done()
    assert ending(events).outcome is outcome
    assert ending(events).halts_trunk == (outcome is Outcome.PROVIDER_REJECTED)


async def test_without_credentials_a_challenge_halts_the_trunk(tmp_path: Path) -> None:
    with sipp(tmp_path, refuses("401 Unauthorized", CHALLENGE) + refuses("401 Unauthorized", CHALLENGE)) as far:
        async with sip_lines() as lines:
            events = await course(lines, order(far.address))
    assert (ending(events).outcome, ending(events).halts_trunk) == (Outcome.PROVIDER_REJECTED, True)


async def test_the_far_end_hangs_up(tmp_path: Path) -> None:
    with sipp(tmp_path, invite(TAKE_WAY_BACK) + ANSWERS + wait(200) + HANGS_UP + REFS) as far:
        async with sip_lines(NotingTalker()) as lines:
            events = await course(lines, order(far.address))
        assert far.done()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "hung_up")


async def test_a_lost_ack_ends_as_completed_by_the_bye_of_the_far_end(tmp_path: Path) -> None:
    # the 200 comes again and again, as it does where our ACK was lost; the stack does not send another
    again = reply("200 OK", sdp=True) + wait(200)
    scenario = invite(TAKE_WAY_BACK) + ANSWERS + again * 3 + HANGS_UP + REFS
    with sipp(tmp_path, scenario) as far:
        async with sip_lines(NotingTalker()) as lines:
            events = await course(lines, order(far.address))
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "hung_up")


async def test_an_answer_that_is_lost_twice_comes_a_third_time(tmp_path: Path) -> None:
    lost = reply("200 OK", sdp=True, lost=True)
    scenario = invite() + reply("180 Ringing") + lost + wait(200) + lost + wait(300) + ANSWERS.replace("180", "183")
    with sipp(tmp_path, scenario + BYE) as far:
        async with sip_lines(saying_nothing_for(0.1)) as lines:
            events = await course(lines, order(far.address))
        assert far.done()
    assert kinds(events) == [EventKind.SENT, EventKind.RINGING, EventKind.ANSWERED, EventKind.ENDED]
    assert ending(events).outcome is Outcome.COMPLETED


OTHER_CODEC = SDP.replace("AVP 0 101", "AVP 18").replace("0 PCMU", "18 G729").partition("a=rtpmap:101")[0].rstrip()
NO_AUDIO = {
    "in clear": ("required", SDP),
    "other codec": ("disabled", OTHER_CODEC),
    "refused": ("disabled", SDP.replace("[media_port]", "0")),
    "held": ("disabled", SDP + "\na=inactive"),
    "none": ("disabled", ""),
    "garbage": ("disabled", "this is no description"),
}
"""What we want, and what the far end says of its audio when it answers."""


async def test_an_answer_without_audio_that_we_can_use_is_hung_up_and_counts_against_the_trunk(tmp_path: Path) -> None:
    answers = {
        f"000{n}": reply("180 Ringing") + reply("200 OK", sdp=bool(sdp), again=True).replace(SDP, sdp) + ACK + BYE
        for n, (_, sdp) in enumerate(NO_AUDIO.values(), 1)
    }
    talker = NotingTalker()
    with sipp(tmp_path, box(answers, CANCEL), calls=len(answers)) as far:
        async with sip_lines(talker) as lines:
            wanted = zip(answers, (encryption for encryption, _ in NO_AUDIO.values()), strict=True)
            orders = [order(far.address, f"+4930{digits}", media_encryption=wish) for digits, wish in wanted]
            told = await asyncio.gather(*(course(lines, one) for one in orders))
        assert far.done()
    for case, events in zip(NO_AUDIO, told, strict=True):
        assert kinds(events) == [EventKind.SENT, EventKind.RINGING, EventKind.ENDED], case
        assert (ending(events).outcome, ending(events).reason) == (Outcome.PROVIDER_REJECTED, "no_audio"), case
        assert ending(events).halts_trunk, case
    assert {talk.rate for talk in talker.talks} == {0}  # nobody talked


async def test_who_is_held_at_first_is_talked_to_once_there_is_audio(tmp_path: Path) -> None:
    held = reply("200 OK", sdp=True, again=True).replace(SDP, SDP + "\na=inactive") + ACK
    scenario = invite(TAKE_WAY_BACK) + held + wait(300) + AGAIN + BYE + REFS
    with sipp(tmp_path, scenario) as far:
        async with sip_lines(saying_nothing_for(0.3)) as lines:
            events = await course(lines, order(far.address))
        assert far.done(), far.said()
    assert kinds(events) == [EventKind.SENT, EventKind.ANSWERED, EventKind.ENDED]
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "talked")


async def test_a_session_that_the_far_end_refreshes_goes_on(tmp_path: Path) -> None:
    talker = saying_nothing_for(0.8)
    with sipp(tmp_path, invite(TAKE_WAY_BACK) + ANSWERS + wait(200) + AGAIN + BYE + REFS) as far:
        async with sip_lines(talker) as lines:
            events = await course(lines, order(far.address))
        assert far.done(), far.said()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "talked")
    assert len(talker.talks[0].heard) > 0.4 * 16_000


async def test_a_far_end_that_never_answers_our_bye_keeps_nothing_up(tmp_path: Path) -> None:
    with sipp(tmp_path, invite() + ANSWERS + '  <recv request="BYE"/>\n' + wait(100)) as far:
        async with sip_lines(saying_nothing_for(0.1)) as lines:
            events = await course(lines, order(far.address), within=5)
    assert ending(events).outcome is Outcome.COMPLETED


async def test_a_far_end_without_audio_is_noticed(tmp_path: Path) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE, echo=False) as far:
        async with sip_lines(NotingTalker(), media_lost_secs=1) as lines:
            events = await course(lines, order(far.address))
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "media_lost")


async def test_the_longest_call_is_kept(tmp_path: Path) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE) as far:
        async with sip_lines(NotingTalker()) as lines:
            events = await course(lines, order(far.address, talk_secs=0.3))
        assert far.done()
    assert ending(events).reason == "time_limit"


async def test_the_ring_limit_cancels(tmp_path: Path) -> None:
    with sipp(tmp_path, invite(TAKE_CSEQ) + reply("180 Ringing") + CANCEL) as far:
        async with sip_lines() as lines:
            events = await course(lines, order(far.address, ring_secs=0.3))
        assert far.done()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.NO_ANSWER, "ring_limit")
    assert events[-1].rang


async def test_who_answers_while_we_cancel_is_not_left_on_the_line(tmp_path: Path) -> None:
    answers = reply("200 OK", sdp=True, again=True).replace("[last_CSeq:]", "CSeq: [$cseq] INVITE") + ACK + BYE
    crossing = '  <recv request="CANCEL"/>\n' + reply("200 OK") + answers
    with sipp(tmp_path, invite(TAKE_CSEQ) + reply("180 Ringing") + crossing) as far:
        async with sip_lines(NotingTalker()) as lines:
            events = await course(lines, order(far.address, ring_secs=0.3))
        assert far.done(), far.said()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.NO_ANSWER, "ring_limit")


async def test_a_ringing_call_is_given_up(tmp_path: Path) -> None:
    with sipp(tmp_path, invite(TAKE_CSEQ) + reply("180 Ringing") + CANCEL) as far:
        async with sip_lines() as lines:
            call = Following(lines, order(far.address))
            await call.until(EventKind.RINGING)
            for _ in range(2):
                await lines.hang_up(call.order.call_key, even_if_answered=False)
            events = await call.over()
        assert far.done()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.NETWORK_ERROR, "node_lost")


async def test_giving_up_spares_a_talk_unless_told(tmp_path: Path) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE) as far:
        async with sip_lines(NotingTalker()) as lines:
            call = Following(lines, order(far.address))
            await call.until(EventKind.ANSWERED)
            await lines.hang_up(call.order.call_key, even_if_answered=False)
            await asyncio.sleep(0.1)
            assert not call.task.done()
            await lines.hang_up(call.order.call_key, even_if_answered=True)
            events = await call.over()
        assert far.done()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "node_lost")


async def test_what_is_too_late_or_stopped_is_never_sent(tmp_path: Path) -> None:
    with sipp(tmp_path, refuses("486 Busy Here")) as far:
        async with sip_lines() as lines:
            (late,) = await course(lines, order(far.address, within=-0.001))
            stopped = order(far.address)
            await lines.hang_up(stopped.call_key, even_if_answered=False)
            (never,) = await course(lines, stopped)
            assert far.came() == []
            assert ending(await course(lines, order(far.address))).outcome is Outcome.BUSY  # the twin
    assert (late.kind, late.reason) == (EventKind.UNSENT, "too_late")
    assert (never.kind, never.reason) == (EventKind.UNSENT, "stopped")


async def test_a_trunk_that_says_nothing_leaves_doubt() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with sip_lines(reply_secs=0.5) as lines:
            (event,) = await course(lines, order(f"127.0.0.1:{nobody.getsockname()[1]}"))
    assert (event.kind, event.reason) == (EventKind.DOUBTFUL, "no_reply")


@pytest.mark.parametrize("answered", [False, True])
async def test_a_trunk_that_wakes_up_after_we_gave_up_is_told(tmp_path: Path, answered: bool) -> None:
    rings = reply("180 Ringing") + CANCEL
    answers = reply("200 OK", sdp=True, again=True) + ACK + BYE
    scenario = invite(TAKE_CSEQ) + wait(900) + (answers if answered else rings)
    with sipp(tmp_path, scenario + '  <Reference variables="cseq"/>\n') as far:
        async with sip_lines(reply_secs=0.3) as lines:
            (event,) = await course(lines, order(far.address))
            assert (event.kind, event.reason) == (EventKind.DOUBTFUL, "no_reply")
            assert await asyncio.to_thread(far.done), far.said()


async def test_an_invite_that_nobody_hears_is_not_said_again_once_its_call_must_be_over() -> None:
    """By then the same number may be dialled by another call."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with sip_lines(reply_secs=0.2) as lines:
            given = order(f"127.0.0.1:{nobody.getsockname()[1]}", within=0.5, ring_secs=0.5, talk_secs=0.5)
            (event,) = await course(lines, given)
            assert (event.kind, event.reason) == (EventKind.DOUBTFUL, "no_reply")
            async with asyncio.timeout(5):  # the stack would go on for 32 s (RFC 3261 17.1.1.2, timer B)
                while lines.stack._calls:  # noqa: ASYNC110 - nobody follows this call any more
                    await asyncio.sleep(0.02)


async def test_a_call_given_up_before_its_first_word_is_cancelled_with_it(tmp_path: Path) -> None:
    with sipp(tmp_path, invite(TAKE_CSEQ) + wait(400) + reply("180 Ringing") + CANCEL) as far:
        async with sip_lines() as lines:
            call = Following(lines, order(far.address))
            while not far.came():  # noqa: ASYNC110 - a file rings no bell
                await asyncio.sleep(0.01)
            await lines.hang_up(call.order.call_key, even_if_answered=False)
            events = await call.over()
        assert far.done()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.NETWORK_ERROR, "node_lost")


async def test_a_first_word_after_the_ring_limit_is_no_missed_call(tmp_path: Path) -> None:
    with sipp(tmp_path, invite(TAKE_CSEQ) + wait(700) + reply("180 Ringing") + CANCEL) as far:
        async with sip_lines() as lines:
            events = await course(lines, order(far.address, ring_secs=0.3))
        assert far.done()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.NETWORK_ERROR, "late_reply")


async def test_a_refusal_after_the_ring_limit_is_what_became_of_the_call(tmp_path: Path) -> None:
    throttled = final("503 Service Unavailable", "Retry-After: 3")
    with sipp(tmp_path, invite() + wait(700) + throttled) as far:
        async with sip_lines() as lines:
            (*_, last) = await course(lines, order(far.address, ring_secs=0.3))
        assert far.done()
    assert (last.kind, last.retry_after) == (EventKind.THROTTLED, 3.0)


async def test_a_refused_connection_is_provably_unsent() -> None:
    async with sip_lines() as lines:
        (event,) = await course(lines, order(f"127.0.0.1:{free_port()}", transport="tcp"))
    assert (event.kind, event.reason) == (EventKind.UNSENT, "connection_refused")


@pytest.mark.parametrize("address", ["no-such-name.invalid", "[2001:db8::1]"])
async def test_where_no_way_leads_to_nothing_was_sent(address: str) -> None:
    async with sip_lines() as lines:
        (event,) = await course(lines, order(address))
    assert (event.kind, event.reason) == (EventKind.UNSENT, "connection_refused")


async def test_a_trunk_that_cannot_be_used_halts(tmp_path: Path) -> None:
    async with sip_lines() as lines:
        events = await course(lines, order("no address at all"))
    assert ending(events).halts_trunk


async def test_keys_go_both_ways(tmp_path: Path) -> None:
    async def act(leg: Leg) -> None:
        await leg.send_dtmf("12#")  # sipp echoes RTP, and so our keys come back
        await asyncio.sleep(0.5)

    talker = NotingTalker(act)
    with sipp(tmp_path, invite() + ANSWERS + BYE) as far:
        async with sip_lines(talker) as lines:
            events = await course(lines, order(far.address))
    assert talker.talks[0].keys == "12#"
    assert ending(events).detail["keys"] == "12#"


async def test_early_media_counts_as_ringing_and_is_heard(tmp_path: Path) -> None:
    scenario = invite() + reply("183 Session Progress", sdp=True) + wait(300) + reply("200 OK", sdp=True, again=True)
    talker = saying_nothing_for(0.3)
    with sipp(tmp_path, scenario + ACK + BYE) as far:
        async with sip_lines(talker) as lines:
            events = await course(lines, order(far.address))
        assert far.done()
    assert kinds(events) == [EventKind.SENT, EventKind.RINGING, EventKind.ANSWERED, EventKind.ENDED]
    assert len(talker.talks[0].heard) > 0.4 * 16_000  # 0.3 s of it before the answer


@pytest.mark.parametrize("early", [False, True])
async def test_every_sample_arrives_once_and_in_order(early: bool) -> None:
    chance = random.Random(5)
    loud = bytes(chance.choice(b"\x00\x10\x20\x80\x90\xa0") for _ in range(8_000))

    async def act(leg: Leg) -> None:
        pcm = audioop.ulaw2lin(loud, 2)
        leg.send(pcm[:5_002])  # in pieces that are no frames
        leg.send(pcm[5_002:])
        leg.mark("all")

    talker = NotingTalker(act, until=Played("all"))
    async with uas(early=early) as far, sip_lines(talker) as lines:
        told = await asyncio.gather(*(course(lines, order(far.address)) for _ in range(10)))
        heard = list(far.calls.values())
    assert {ending(events).reason for events in told} == {"talked"}
    silence = b"\xff"  # the leg's clock may tick before the first word, and the last frame is filled up
    assert [bytes(one.said).strip(silence) for one in heard] == [loud] * 10
    assert sum(one.lost for one in heard) == 0


async def test_who_holds_the_call_for_good_does_not_keep_it_up(tmp_path: Path) -> None:
    held = AGAIN.replace(SDP, SDP + "\na=inactive")

    async def act(leg: Leg) -> None:
        leg.send(sine(500, leg.rate, 1.0) + bytes(54))  # no whole frames
        leg.mark("all")

    scenario = invite(TAKE_WAY_BACK) + ANSWERS + wait(200) + held + BYE + REFS
    with sipp(tmp_path, scenario) as far:
        async with sip_lines(NotingTalker(act, until=Played("all"))) as lines:
            events = await course(lines, order(far.address, talk_secs=5))
        assert far.done(), far.said()
    assert ending(events).reason == "talked"


async def test_audio_goes_on_after_the_far_end_held_the_call(tmp_path: Path) -> None:
    held = AGAIN.replace(SDP, SDP + "\na=inactive")
    scenario = invite(TAKE_WAY_BACK) + ANSWERS + wait(300) + held + wait(200) + AGAIN + wait(600) + HANGS_UP + REFS

    async def act(leg: Leg) -> None:
        leg.send(sine(500, leg.rate, 10.0))
        await asyncio.sleep(10)

    talker = NotingTalker(act)
    with sipp(tmp_path, scenario) as far:
        async with sip_lines(talker) as lines:
            events = await course(lines, order(far.address))
        assert far.done(), far.said()
    assert ending(events).reason == "hung_up"
    assert power_at(bytes(talker.talks[0].heard[-4_800:]), 500, 8_000) > 0.9  # sipp echoes RTP


# --- secrets ---------------------------------------------------------------------------------------------------------


async def test_no_secret_and_no_number_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with sipp(tmp_path, digest_scenario()) as far:
        async with sip_lines(saying_nothing_for(0.1)) as lines:
            given = order(far.address, credentials={"username": "ada", "password": "s3cret;of the trunk"})
            assert ending(await course(lines, given)).outcome is Outcome.COMPLETED
    told = caplog.text + "".join(capfd.readouterr())
    assert "s3cret" not in told
    assert "Digest username" not in told
    assert given.number not in told


# --- transports ------------------------------------------------------------------------------------------------------


async def test_a_call_over_tcp(tmp_path: Path) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE, options=["-t", "t1"]) as far:
        async with sip_lines(saying_nothing_for(0.1)) as lines:
            events = await course(lines, order(far.address, transport="tcp"))
        assert far.done()
    assert ending(events).outcome is Outcome.COMPLETED


@asynccontextmanager
async def behind_tls(far: Sipp, shown: Certificate) -> AsyncIterator[str]:
    """Debian's sipp has no TLS: what comes in over TLS here goes on to it over TCP; the address to call."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.cert, shown.key)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        on_reader, on_writer = await asyncio.open_connection("127.0.0.1", far.port)
        await asyncio.gather(pipe(reader, on_writer), pipe(on_reader, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    try:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize(
    ("name", "known", "expired", "answers"),
    [
        ("localhost", True, False, True),
        ("localhost", False, False, False),
        ("localhost", True, True, False),
        ("other.example", True, False, False),
    ],
    ids=["right", "unknown issuer", "expired", "wrong name"],
)
async def test_a_call_over_tls_to_who_can_show_a_certificate(
    tmp_path: Path, name: str, known: bool, expired: bool, answers: bool
) -> None:
    trusted = Authority(tmp_path)
    issuer = trusted if known else Authority(tmp_path, "stranger")
    shown = issuer.certificate(name, expired=expired)
    with sipp(tmp_path, invite() + ANSWERS + BYE, options=["-t", "t1"]) as far:
        async with (
            behind_tls(far, shown) as address,
            sip_lines(saying_nothing_for(0.1), reply_secs=3, cafile=str(trusted.cafile)) as lines,
        ):
            events = await course(lines, order(address, transport="tls"))
        if answers:
            assert ending(events).outcome is Outcome.COMPLETED
        else:
            assert (ending(events).reason, ending(events).halts_trunk) == ("bad_certificate", True)
            assert far.came() == []
