"""What is said and heard in calls of the network in a box."""

import asyncio
import itertools
import math
import struct
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from outdial.lab.carrier.ear import PAUSE_SECS, Ear
from outdial.lab.carrier.g711 import FRAME, LAWS
from outdial.lab.carrier.person import Manners, Voice, machine, person
from outdial.lab.carrier.rtp import Pacer, Rtp
from outdial.lab.carrier.voices import prepare, tone
from outdial.lab.carrier.weather import Weather

LAW = LAWS["PCMU"]
SPEECH = LAW.encode(tone(300, 0.2))


# --- ears ------------------------------------------------------------------------------------------------------------


def hear(ear: Ear, *packets: tuple[int, bytes]) -> None:
    for timestamp, coded in packets:
        ear.hear(0, timestamp % 2**32, coded)


async def test_what_is_kept_stands_at_its_place_in_time(tmp_path: Path) -> None:
    ear = Ear(keeps=True)
    a, b, c, d = (bytes([n]) * FRAME for n in (1, 2, 3, 4))
    start = 2**32 - FRAME  # it wraps
    # b is overtaken by c, another one is lost before d, and a comes twice
    hear(ear, (start, a), (start + 2 * FRAME, c), (start + FRAME, b), (start + 4 * FRAME, d), (start, a))
    ear.write(tmp_path / "x.wav")
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 8_000)
        assert file.readframes(10_000) == LAW.decode(a + b + c + LAW.silence + d)


@pytest.mark.looptime
async def test_speech_is_over_after_a_pause() -> None:
    ear, loop = Ear(), asyncio.get_running_loop()
    waiting = asyncio.create_task(ear.until_spoken(within=10))
    for n in range(20):  # 0.4 s of it, with a short pause within
        await asyncio.sleep(0.02 if n != 10 else 0.3)
        hear(ear, (n * FRAME, SPEECH[:FRAME]), (n * FRAME, LAW.silence))
    ended = loop.time()
    assert await waiting
    assert loop.time() - ended == pytest.approx(PAUSE_SECS, abs=0.01)


@pytest.mark.looptime
async def test_nobody_waits_for_ever() -> None:
    ear, loop = Ear(), asyncio.get_running_loop()
    hear(ear, (0, LAW.silence))
    assert not await ear.until_spoken(within=3)
    assert loop.time() == pytest.approx(3)


# --- people ----------------------------------------------------------------------------------------------------------


class Mouth:
    """Notes what is done, and takes as long as it would."""

    def __init__(self) -> None:
        self.did: list[str] = []

    async def press(self, key: str) -> None:
        self.did.append(f"pressed {key}")
        await asyncio.sleep(0.16)

    async def say(self, coded: bytes) -> None:
        self.did.append(f"said {coded.decode()}")
        await asyncio.sleep(2)


@pytest.mark.looptime
async def test_a_person_lets_the_agent_speak_then_presses_a_key_and_talks_for_its_time() -> None:
    mouth, ear, loop = Mouth(), Ear(), asyncio.get_running_loop()
    loop.call_later(1.0, hear, ear, (0, SPEECH[:FRAME]))
    await person(cast("Any", mouth), ear, Voice(b"yes"), Manners(0.7, 10), key="8")
    assert mouth.did == ["pressed 8", "said yes"]
    assert loop.time() == pytest.approx(1.0 + PAUSE_SECS + 0.7)


@pytest.mark.looptime
async def test_a_machine_lets_nobody_speak_before_its_beep() -> None:
    mouth, ear, loop = Mouth(), Ear(), asyncio.get_running_loop()
    loop.call_later(1.0, hear, ear, (0, SPEECH[:FRAME]))  # while it greets
    loop.call_later(4.0, hear, ear, (0, SPEECH[:FRAME]))
    await machine(cast("Any", mouth), ear, Voice(machine=b"beep"), Manners(0.7, 10))
    assert mouth.did == ["said beep"]
    assert loop.time() == pytest.approx(4.0 + PAUSE_SECS + 0.7)


@pytest.mark.looptime
async def test_without_a_talk_time_they_hang_up_at_once() -> None:
    mouth, ear, loop = Mouth(), Ear(), asyncio.get_running_loop()
    await person(cast("Any", mouth), ear, Voice(b"yes"), Manners(0, 10), key="8")
    await machine(cast("Any", mouth), ear, Voice(machine=b"beep"), Manners(0, 10))
    assert (mouth.did, loop.time()) == ([], 0)


async def test_everybody_has_a_voice_in_both_codecs() -> None:
    voices = await prepare()
    for name, voice in voices.items():
        for coded in (voice.person, voice.machine, voice.ringback):
            assert len(coded) > 4_000
            assert LAWS[name].loudness(coded) > 300
    # the beep stands at the end of the greeting, and is one tone of 1000 Hz
    (beep,) = (LAW.decode(voices["PCMU"].machine[-800:]),)
    samples = [sample for (sample,) in struct.iter_unpack("<h", beep)]
    at_1000 = abs(sum(s * complex(math.cos(math.pi * n / 4), math.sin(math.pi * n / 4)) for n, s in enumerate(samples)))
    assert at_1000**2 / (len(samples) * sum(s * s for s in samples)) > 0.45  # 0.5: nothing else


# --- packets ---------------------------------------------------------------------------------------------------------


class Far:
    """The other side of a stream: every packet that came."""

    def __init__(self) -> None:
        self.came: list[tuple[int, int, bytes]] = []
        self._news = asyncio.Event()

    def hear(self, kind: int, timestamp: int, payload: bytes) -> None:
        self.came.append((kind, timestamp, payload))
        self._news.set()

    @property
    def said(self) -> bytes:
        return b"".join(payload for kind, _, payload in self.came if kind == 0)

    async def until_heard(self, coded: bytes) -> None:
        async with asyncio.timeout(5):
            while coded not in self.said:
                self._news.clear()
                await self._news.wait()


@contextmanager
def pair(weather: Weather) -> Iterator[tuple[Rtp, Far]]:
    """A stream that speaks, and one that listens."""
    pacer, far = Pacer(), Far()
    near, other = Rtp(pacer, weather, lambda *_: None), Rtp(pacer, Weather(), far.hear)
    near.agree(("127.0.0.1", other.port), 0, LAW.silence, 101)
    near.start()
    try:
        yield near, far
    finally:
        near.close()
        other.close()


async def test_speech_arrives_whole_and_a_key_as_the_book_has_it() -> None:
    with pair(Weather()) as (near, far):
        await near.press("7")
        await near.say(SPEECH)
        await far.until_heard(SPEECH)
    keys = [(timestamp, payload) for kind, timestamp, payload in far.came if kind == 101]
    assert len({timestamp for timestamp, _ in keys}) == 1  # RFC 4733 2.5.1.2: all of one event
    events = [struct.unpack("!BBH", payload) for _, payload in keys]
    assert {number for number, _, _ in events} == {7}
    assert [length for _, _, length in events] == [160, 320, 480, 640, 800, 800, 800, 800]
    assert [bool(flags & 0x80) for _, flags, _ in events] == [False] * 5 + [True] * 3
    stamps = [timestamp for kind, timestamp, _ in far.came if kind == 0]
    assert {(later - earlier) % 2**32 for earlier, later in itertools.pairwise(stamps)} == {FRAME}


async def test_the_same_chance_loses_the_same_packets() -> None:
    lost = [
        [weather.loses() for _ in range(1_000)] for weather in (Weather(30, 0, 5), Weather(30, 0, 5), Weather(30, 0, 6))
    ]
    assert lost[0] == lost[1] != lost[2]
    assert 250 < sum(lost[0]) < 350


async def test_bad_weather_loses_some_of_it() -> None:
    with pair(Weather(50, 5, 1)) as (near, far):
        await near.say(LAW.encode(tone(300, 0.8)))
    assert 8 <= len(far.came) <= 32  # of 40
