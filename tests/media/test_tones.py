"""Keys and beeps in audio."""

import array
import math
import random

import pytest

pytest.importorskip("numpy", reason="the extra `sip` is not installed: no wheel for this machine")

from outdial.media.codec import CODECS
from outdial.media.tones import HIGH, KEYS, LOW, BeepDetector, KeyDetector
from tests.media.test_codec import sine

RATE = 8_000


def mixed(*tracks: bytes) -> bytes:
    return array.array("h", (sum(s) for s in zip(*(array.array("h", t) for t in tracks), strict=True))).tobytes()


def tone(digit: str, secs: float = 0.1, rate: int = RATE, peak: int = 6_000, twist: float = 1.0) -> bytes:
    (row,) = [n for n, keys in enumerate(KEYS) if digit in keys]
    column = KEYS[row].index(digit)
    return mixed(sine(LOW[row], rate, secs, peak), sine(HIGH[column], rate, secs, int(peak * twist)))


def silence(secs: float, rate: int = RATE) -> bytes:
    return bytes(int(secs * rate) * 2)


def noise(secs: float, peak: int, seed: int = 1) -> bytes:
    chance = random.Random(seed)
    return array.array("h", (chance.randint(-peak, peak) for _ in range(int(secs * RATE)))).tobytes()


def keys_in(audio: bytes, rate: int = RATE) -> str:
    ears, frame = KeyDetector(rate), rate // 50 * 2
    found = (ears.feed(audio[at : at + frame]) for at in range(0, len(audio) - frame + 1, frame))
    return "".join(digit for digit in found if digit)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_every_key_is_heard_once(rate: int) -> None:
    digits = "".join(KEYS)
    audio = b"".join(tone(digit, 0.1, rate) + silence(0.06, rate) for digit in digits)
    assert keys_in(audio, rate) == digits


def test_the_same_key_twice_is_two() -> None:
    assert keys_in(tone("5") + silence(0.06) + tone("5")) == "55"


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("twist", [0.6, 1.0, 1.6])
def test_a_key_survives_the_telephone(codec: str, twist: float) -> None:
    coded = CODECS[codec]
    audio = mixed(tone("7", 0.1, twist=twist), noise(0.1, 600))
    assert keys_in(coded.decode(coded.encode(audio))) == "7"


@pytest.mark.parametrize(
    "audio",
    [
        silence(1.0),
        noise(2.0, 8_000),
        sine(697, RATE, 0.5),
        sine(1_000, RATE, 0.5),
        mixed(sine(350, RATE, 0.5), sine(440, RATE, 0.5)),  # a dial tone
        tone("5", 0.015),  # too short
        tone("5", 0.1, peak=80),  # too weak
    ],
)
def test_what_is_no_key_is_none(audio: bytes) -> None:
    assert keys_in(audio) == ""


def beeps_in(audio: bytes) -> int:
    ears = BeepDetector(RATE)
    return sum(ears.feed(audio[at : at + 320]) for at in range(0, len(audio) - 319, 320))


@pytest.mark.parametrize("hertz", [440, 800, 1_000, 1_400, 1_750])
@pytest.mark.parametrize("secs", [0.2, 0.5])
def test_a_beep_is_heard_when_it_ends(hertz: int, secs: float) -> None:
    audio = noise(0.5, 2_000) + silence(0.1) + sine(hertz, RATE, secs) + silence(0.2)
    coded = CODECS["PCMU"]
    assert beeps_in(coded.decode(coded.encode(audio))) == 1


@pytest.mark.parametrize(
    "audio",
    [
        noise(2.0, 8_000),
        silence(1.0),
        sine(1_000, RATE, 0.06) + silence(0.2),
        sine(1_000, RATE, 2.0),
        sine(425, RATE, 1.0) + silence(0.2),  # it rings on, behind a switchboard
    ],
)
def test_what_is_no_beep_or_has_not_ended_is_none(audio: bytes) -> None:
    assert beeps_in(audio) == 0


def glide(start: float, end: float, secs: float) -> bytes:
    """A tone as a voice holds one: its pitch moves."""
    count = int(RATE * secs)
    phase, out = 0.0, array.array("h")
    for n in range(count):
        phase += 2 * math.pi * (start + (end - start) * n / count) / RATE
        out.append(int(9_000 * math.sin(phase)))
    return out.tobytes()


@pytest.mark.parametrize(("start", "end"), [(400, 480), (520, 430), (900, 1_000)])
def test_a_held_vowel_that_moves_is_no_beep(start: float, end: float) -> None:
    assert beeps_in(glide(start, end, 0.4) + silence(0.2)) == 0
