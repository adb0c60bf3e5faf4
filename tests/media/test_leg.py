"""The leg and its clock, over a line in memory that plays at its own pace."""

import array
import asyncio
import wave
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy", reason="the extra `sip` is not installed: no wheel for this machine")

from outdial.media.clock import FrameClock
from outdial.media.leg import AHEAD_FRAMES, HEARD_FRAMES, QueuedLeg
from outdial.media.mp3 import encoded
from outdial.media.recording import Recorder
from outdial.ports.voice import Audio, Beep, Heard, HungUp, Key, Played
from outdial.store.blobs import BlobFolder
from tests.media.test_codec import power_at, sine
from tests.media.test_tones import tone

FRAME = 320


class MemoryLine:
    """Plays exactly a frame whenever it is told to."""

    rate = 8_000

    def __init__(self) -> None:
        self.came = bytearray()
        self.buffer = bytearray()
        self.played = bytearray()
        self.deepest = 0
        self.kept = 0
        """Bytes that can't be called back."""
        self.idled = 0

    def read(self, size: int) -> bytes:
        got = bytes(self.came[:size])
        del self.came[:size]
        return got

    def write(self, pcm: bytes) -> None:
        self.buffer += pcm
        self.deepest = max(self.deepest, len(self.buffer))

    def queued(self) -> int:
        return len(self.buffer)

    def flush(self) -> None:
        del self.buffer[self.kept :]

    def idle(self) -> None:
        self.idled += 1

    def play(self, frames: int = 1) -> None:
        self.played += self.buffer[: frames * FRAME]
        del self.buffer[: frames * FRAME]


async def nobody(_digits: str) -> None:
    raise AssertionError


def leg_on(line: MemoryLine, **more: Any) -> QueuedLeg:
    return QueuedLeg(line, FrameClock(), press=more.pop("press", nobody), **more)


async def heard(leg: QueuedLeg) -> list[Heard]:
    found = []
    while True:
        try:
            found.append(await asyncio.wait_for(leg.recv(), 0.001))
        except TimeoutError:
            return found


async def test_what_is_sent_is_played_in_order_and_not_too_far_ahead() -> None:
    line = MemoryLine()
    leg = leg_on(line)
    speech = sine(440, 8_000, 1.0)
    leg.send(speech[:5_002])  # in pieces that are no frames
    leg.send(speech[5_002:])
    for _ in range(60):
        line.play()
        leg.tick()
    assert bytes(line.played) == speech
    assert line.deepest <= AHEAD_FRAMES * FRAME


async def test_whole_samples_are_written_whatever_a_line_says(monkeypatch: pytest.MonkeyPatch) -> None:
    line = MemoryLine()
    monkeypatch.setattr(line, "queued", lambda: len(line.buffer) + 1)
    leg_on(line).send(bytes(FRAME * 10))
    assert len(line.buffer) % 2 == 0


async def test_the_first_frames_leave_without_waiting_for_a_tick() -> None:
    line = MemoryLine()
    leg_on(line).send(bytes(FRAME * 10))
    assert len(line.buffer) == AHEAD_FRAMES * FRAME


async def test_a_mark_comes_back_when_all_before_it_was_played() -> None:
    line = MemoryLine()
    leg = leg_on(line)
    leg.send(bytes(FRAME * 4))
    leg.mark("done")
    for _ in range(3):
        line.play()
        leg.tick()
        assert await heard(leg) == []
    line.play()
    leg.tick()
    assert await heard(leg) == [Played("done")]


async def test_a_mark_after_nothing_comes_back_with_the_next_tick() -> None:
    leg = leg_on(MemoryLine())
    leg.mark("now")
    leg.tick()
    assert await heard(leg) == [Played("now")]


async def test_clear_drops_what_is_queued_and_returns_its_marks() -> None:
    line = MemoryLine()
    leg = leg_on(line)
    leg.send(bytes(FRAME * 10))
    leg.mark("a")
    leg.send(bytes(FRAME))
    leg.mark("b")
    leg.clear()
    assert (line.queued(), await heard(leg)) == (0, [Played("a"), Played("b")])
    leg.send(b"\1" * FRAME)  # and the next word is heard whole
    leg.mark("c")
    line.play()
    leg.tick()
    assert bytes(line.played) == b"\1" * FRAME
    assert await heard(leg) == [Played("c")]


async def test_what_cannot_be_called_back_is_played_and_recorded(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    recorder = Recorder(blobs)
    line = MemoryLine()
    line.kept = FRAME
    leg = leg_on(line)
    leg.record(recorder.begin("call1.wav", 8_000))
    leg.send(b"\1" * FRAME * 10)
    leg.mark("a")
    leg.clear()
    assert (line.queued(), await heard(leg)) == (FRAME, [Played("a")])
    leg.send(b"\2" * FRAME)
    leg.mark("b")
    line.play()
    leg.tick()
    assert await heard(leg) == []
    line.play()
    leg.tick()
    assert await heard(leg) == [Played("b")]
    assert bytes(line.played) == b"\1" * FRAME + b"\2" * FRAME
    leg.stop()
    await recorder.close()
    with blobs.open("call1.wav") as file, wave.open(file) as read:
        both = array.array("h", read.readframes(read.getnframes()))
    assert both[1::2].tobytes().strip(b"\0") == bytes(line.played)


async def test_a_line_is_told_when_there_is_nothing_to_say() -> None:
    line = MemoryLine()
    leg = leg_on(line)
    leg.send(bytes(FRAME * (AHEAD_FRAMES + 1)))
    leg.tick()
    assert line.idled == 0
    line.play()
    leg.tick()
    assert line.idled == 1


async def test_audio_comes_in_frames_whatever_it_comes_in() -> None:
    line = MemoryLine()
    leg = leg_on(line)
    line.came += bytes(100)
    leg.tick()
    assert await heard(leg) == []
    line.came += bytes(FRAME * 2)
    leg.tick()
    assert [len(one.pcm) for one in await heard(leg) if isinstance(one, Audio)] == [FRAME, FRAME]


async def test_a_talk_that_does_not_listen_hears_the_newest_and_every_key() -> None:
    line = MemoryLine()
    leg = leg_on(line)
    leg.pressed("1")
    for n in range(HEARD_FRAMES + 50):
        line.came += n.to_bytes(2, "little") * (FRAME // 2)
        leg.tick()
    found = await heard(leg)
    assert found[0] == Key("1")
    last = found[-1]
    assert isinstance(last, Audio)
    assert int.from_bytes(last.pcm[:2], "little") == HEARD_FRAMES + 49
    assert leg.missed_frames == 51


async def test_a_key_in_band_is_heard_and_its_event_is_no_second_one() -> None:
    line = MemoryLine()
    leg = leg_on(line)
    line.came += tone("5", 0.1)
    leg.tick()
    leg.pressed("5")
    leg.pressed("6")
    assert [one.digit for one in await heard(leg) if isinstance(one, Key)] == ["5", "6"]
    line.came += tone("7", 0.1)
    leg.tick()
    assert [one for one in await heard(leg) if isinstance(one, Key)] == []  # events it is, from now on


@pytest.mark.parametrize("answered", [True, False])
async def test_the_first_beep_after_the_answer_is_heard_and_no_ringing_tone_before_it(*, answered: bool) -> None:
    line = MemoryLine()
    leg = leg_on(line)
    if answered:
        leg.answered()
    for _ in range(2):
        line.came += sine(1_000, 8_000, 0.3) + bytes(10 * FRAME)
        for _ in range(50):
            leg.tick()
    assert [one for one in await heard(leg) if isinstance(one, Beep)] == ([Beep()] if answered else [])


async def test_a_call_that_is_over_says_so_to_who_waits_and_who_comes_later() -> None:
    leg = leg_on(MemoryLine())
    waiting = asyncio.create_task(leg.recv())
    await asyncio.sleep(0)
    leg.stop()
    leg.stop()
    assert (await waiting, await leg.recv()) == (HungUp(), HungUp())
    leg.send(bytes(FRAME))


async def test_keys_are_pressed_by_the_network() -> None:
    pressed = []

    async def press(digits: str) -> None:
        pressed.append(digits)

    await leg_on(MemoryLine(), press=press).send_dtmf("12#")
    assert pressed == ["12#"]


@pytest.mark.looptime
async def test_one_clock_ticks_for_all_and_one_that_fails_stops_no_other() -> None:
    clock, ticks = FrameClock(), {"a": 0, "b": 0}

    def tick(who: str) -> None:
        ticks[who] += 1
        if who == "b" and ticks[who] == 10:
            raise RuntimeError("broken audio")

    clock.join("a", lambda: tick("a"))
    clock.join("b", lambda: tick("b"))
    await asyncio.sleep(1.001)
    assert ticks == {"a": 50, "b": 10}
    clock.leave("a")
    clock.leave("a")
    await asyncio.sleep(1)
    assert ticks["a"] == 50


async def test_both_sides_are_recorded_in_step(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    recorder = Recorder(blobs)
    line = MemoryLine()
    clock = FrameClock()
    leg = QueuedLeg(line, clock, press=nobody, keys_in_band=False)
    recording = recorder.begin("call1.wav", 8_000)
    now = recording._began
    recording._time = lambda: now
    leg.record(recording)
    agent, person = sine(440, 8_000, 0.5), sine(1_000, 8_000, 0.5)
    leg.send(agent)  # the agent speaks for 0.5 s, then the person does
    for n in range(60):
        now += 0.02
        if n >= 30:
            line.came += person[(n - 30) * FRAME : (n - 29) * FRAME]
        line.play()
        leg.tick()
    leg.stop()
    await recorder.close()
    with blobs.open("call1.wav") as file, wave.open(file) as read:
        assert (read.getnchannels(), read.getframerate()) == (2, 8_000)
        assert 1.1 <= read.getnframes() / 8_000 <= 1.3
        both = array.array("h", read.readframes(read.getnframes()))
    left, right = both[0::2].tobytes(), both[1::2].tobytes()
    assert power_at(right[2_000:6_000], 440, 8_000) > 0.9  # agent, at 0.13 to 0.38 s
    assert not any(left[2_000:6_000])
    assert power_at(left[12_000:16_000], 1_000, 8_000) > 0.9  # person, at 0.75 to 1 s
    assert not any(right[12_000:16_000])
    with blobs.open("call1.wav") as file:
        mp3 = b"".join(encoded(file))
    assert mp3[:3] == b"ID3" or (mp3[0] == 0xFF and mp3[1] & 0xE0 == 0xE0)
    assert 3_000 < len(mp3) < 12_000
    blobs.delete("call1.wav")
    blobs.delete("call1.wav")
    with pytest.raises(FileNotFoundError):
        blobs.open("call1.wav")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".wav", "a b.wav"])
def test_a_blob_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a blob"):
        BlobFolder(tmp_path).create(name)
