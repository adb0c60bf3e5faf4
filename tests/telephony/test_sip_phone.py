"""A call to Debian's baresip: its tone is heard here and our voice there, plain and encrypted."""

import array
import asyncio
import wave
from pathlib import Path

import pytest

from outdial.domain.call import EventKind
from outdial.domain.outcome import Outcome
from outdial.ports.voice import Leg
from tests.media.test_codec import power_at
from tests.support.baresip import NUMBER, TONE_HERTZ, phone
from tests.support.peers import needs
from tests.support.phones import Following, NotingTalker, clearest, course, order, sip_lines

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = [pytest.mark.sip, needs("baresip")]

SPEECH_HERTZ = 1_000


@pytest.mark.parametrize(
    ("theirs", "ours", "encryption", "wanted"),
    [
        ("pcmu", ["PCMU/8000"], "", "disabled"),
        ("pcma", ["PCMU/8000", "PCMA/8000"], "", "allowed"),
        ("pcmu", ["G722/8000", "PCMU/8000"], "", "disabled"),
        ("g722/16000/1", ["G722/8000", "PCMU/8000"], "", "disabled"),
        ("opus/48000/2", ["opus/48000"], "", "disabled"),
        ("pcmu", ["PCMU/8000"], "srtp-mand", "required"),
    ],
)
async def test_both_ends_hear_each_other(
    tmp_path: Path, theirs: str, ours: list[str], encryption: str, wanted: str
) -> None:
    from tests.media.test_codec import sine

    async def act(leg: Leg) -> None:
        leg.send(sine(SPEECH_HERTZ, leg.rate, 1.5))
        await asyncio.sleep(1.6)

    talker = NotingTalker(act)
    with phone(tmp_path, codecs=theirs, encryption=encryption) as far:
        async with sip_lines(talker) as lines:
            given = order(far.address, NUMBER, enabled_codecs=ours, media_encryption=wanted)
            events = await course(lines, given, within=20)
        assert events[-1].ending is not None, events
        assert events[-1].ending.outcome is Outcome.COMPLETED, far.log.read_text(errors="replace")[-2_000:]
        await asyncio.sleep(0.3)  # it closes its file
    (talk,) = talker.talks
    assert clearest(bytes(talk.heard), TONE_HERTZ, talk.rate) > 0.9
    with wave.open(str(far.heard)) as file:
        heard = array.array("h", file.readframes(file.getnframes()))[:: file.getnchannels()]
        rate = file.getframerate()
    step = rate // 10
    loud = [at for at in range(0, len(heard) - step, step) if max(map(abs, heard[at : at + step])) > 3_000]
    assert len(loud) >= 10, "our voice"
    middle = loud[len(loud) // 2]
    assert power_at(heard[middle - step : middle + step].tobytes(), SPEECH_HERTZ, rate) > 0.9


async def test_who_does_not_encrypt_is_refused_where_it_is_required(tmp_path: Path) -> None:
    with phone(tmp_path) as far:
        async with sip_lines() as lines:
            events = await course(lines, order(far.address, NUMBER, media_encryption="required"), within=20)
    assert events[-1].ending is not None, events
    assert (events[-1].ending.outcome, events[-1].ending.halts_trunk) == (Outcome.PROVIDER_REJECTED, True)


async def test_keys_go_both_ways_as_events(tmp_path: Path) -> None:
    with phone(tmp_path) as far:

        async def act(leg: Leg) -> None:
            await asyncio.sleep(0.3)  # it listens once it hears us
            await leg.send_dtmf("1#")
            await asyncio.to_thread(far.press, "59*")
            await asyncio.sleep(0.3)

        talker = NotingTalker(act)
        async with sip_lines(talker) as lines:
            events = await course(lines, order(far.address, NUMBER))
        assert far.pressed == "1#"
    assert talker.talks[0].keys == "59*"
    assert events[-1].ending is not None
    assert events[-1].ending.detail["keys"] == "59*"


async def test_a_phone_that_vanishes_in_mid_call_is_noticed(tmp_path: Path) -> None:
    with phone(tmp_path) as far:
        async with sip_lines(NotingTalker(), media_lost_secs=1) as lines:
            call = Following(lines, order(far.address, NUMBER))
            await call.until(EventKind.ANSWERED)
            await asyncio.sleep(1.5)  # as long as it is heard, it is there
            assert not call.task.done()
            far.process.kill()
            events = await call.over(within=5)
    assert events[-1].ending is not None
    assert (events[-1].ending.outcome, events[-1].ending.reason) == (Outcome.COMPLETED, "media_lost")
