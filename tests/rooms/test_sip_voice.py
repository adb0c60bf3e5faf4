"""How soon people hear the agent, and how regularly: a call worker as a process, and a far end with a clock."""

import asyncio
import statistics
import time
from pathlib import Path

import pytest

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")

from outdial.agent.greeting import FirstVoice
from outdial.agent.voice import Voice
from outdial.app.pool import PoolSettings, WorkerPool
from outdial.domain.call import EventKind
from outdial.domain.outcome import Outcome
from tests.support.phones import CLOCK, Following, NotingTalker, course, order, sip_lines
from tests.support.uas import uas

pytestmark = pytest.mark.sip


async def test_a_worker_that_stops_hangs_up_on_everybody(tmp_path: Path) -> None:
    pool = WorkerPool(
        PoolSettings("sip_trunk", {"interface": "127.0.0.1"}, spec="outdial.telephony.sip.spec:SPEC"), clock=CLOCK
    )
    await pool.start()
    async with uas(0.0) as far:
        calls = [Following(pool.lines, order(far.address)) for _ in range(40)]
        for call in calls:
            await call.until(EventKind.ANSWERED)
        await pool.stop()
        assert [(await call.over())[-1].ending.reason for call in calls] == ["node_lost"] * 40
        assert all(heard.ended for heard in far.calls.values())


async def test_twenty_people_hear_the_agent_at_once(tmp_path: Path) -> None:
    settings = {"interface": "127.0.0.1", "recordings": str(tmp_path / "recordings")}
    pool = WorkerPool(PoolSettings("sip_trunk", settings, spec="outdial.telephony.sip.spec:SPEC"), clock=CLOCK)
    await pool.start()
    try:
        async with uas() as far:
            told = await asyncio.gather(*(course(pool.lines, order(far.address, talk_secs=4.0)) for _ in range(20)))
            heard = list(far.calls.values())
    finally:
        await pool.stop()
    assert all(events[-1].kind is EventKind.ENDED for events in told)
    assert {events[-1].ending.outcome for events in told if events[-1].ending} == {Outcome.COMPLETED}
    waits = sorted(one.voiced_at - one.acked_at for one in heard)
    packets, late, lost = (sum(x) for x in zip(*((len(o.came), o.late, o.lost) for o in heard), strict=True))
    print(  # noqa: T201 - the figures are the point
        f"ACK to first voiced packet, ms: median {statistics.median(waits) * 1000:.1f}, last {waits[-1] * 1000:.1f}; "
        f"{packets} packets, {late} late, {lost} lost"
    )
    # how soon and how regular it is, `outdial bench sip` tells: here is what a loaded machine can't change
    assert sum(one.silent_first == 0 for one in heard) > 10  # no silence goes before the first word
    assert lost == 0
    assert len(list((tmp_path / "recordings").glob("*/*.wav"))) == 20


async def test_answered_calls_are_hung_up_no_faster_than_is_set() -> None:
    async with uas(0.0) as far, sip_lines(NotingTalker(), teardowns_per_sec=10) as lines:
        calls = [Following(lines, order(far.address, within=10.0)) for _ in range(25)]
        for call in calls:
            await call.until(EventKind.ANSWERED)
        asked_at = time.time()
        for call in calls:
            await lines.hang_up(call.order.call_key, even_if_answered=True)
        for call in calls:
            await call.over()
        ended = sorted(heard.ended_at for heard in far.calls.values())
    assert all(ended[n] >= asked_at + n // 10 for n in range(25))


async def test_it_says_goodbye_five_seconds_after_its_last_word_and_keeps_the_keys() -> None:
    async with uas(0.0) as far, sip_lines(FirstVoice(Voice())) as lines:
        call = Following(lines, order(far.address, first_message="Press a key."))
        await call.until(EventKind.ANSWERED)
        await far.press("42")
        events = await call.over()
        (heard,) = far.calls.values()
    ended = events[-1]
    assert ended.ending is not None
    assert (ended.ending.reason, ended.ending.detail["keys"]) == ("talked", "42")
    assert [(one.role, one.message) for one in ended.said if one.role == "agent"] == [
        ("agent", "Press a key."), ("agent", "Goodbye."),
    ]  # fmt: skip
    assert "".join(one.message for one in ended.said if one.role == "user") == "[4][2]"
    first, goodbye = heard.spoken()
    assert 4.9 < goodbye[0] - first[1] < 8
    assert 0 <= heard.ended_at - goodbye[1] < 1.5


async def test_nobody_is_held_in_silence_by_an_agent_without_a_voice() -> None:
    async with uas(0.0) as far, sip_lines(FirstVoice(Voice(["/nonexistent"]))) as lines:
        call = Following(lines, order(far.address, first_message="Hello."))
        ended = (await call.over())[-1].ending
        (heard,) = far.calls.values()
    assert ended is not None
    assert (ended.outcome, ended.reason, ended.halts_trunk) == (Outcome.PROVIDER_REJECTED, "no_voice", True)
    assert heard.ended
