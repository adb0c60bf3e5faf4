"""Codecs and resampling."""

import array
import math

import pytest

pytest.importorskip("soxr", reason="the extra `sip` is not installed: no wheel for this machine")

from outdial.media.codec import CODECS
from outdial.media.resample import Resampler, resampled


def sine(hertz: float, rate: int, secs: float, peak: int = 10_000) -> bytes:
    count = int(rate * secs)
    return array.array("h", (int(peak * math.sin(2 * math.pi * hertz * n / rate)) for n in range(count))).tobytes()


def power_at(pcm: bytes, hertz: float, rate: int) -> float:
    """The share of the energy that is at this frequency."""
    samples = array.array("h", pcm)
    real = sum(s * math.cos(2 * math.pi * hertz * n / rate) for n, s in enumerate(samples))
    imaginary = sum(s * math.sin(2 * math.pi * hertz * n / rate) for n, s in enumerate(samples))
    return 2 * (real**2 + imaginary**2) / (len(samples) * sum(s * s for s in samples))


@pytest.mark.parametrize("name", CODECS)
def test_what_is_encoded_comes_back(name: str) -> None:
    codec = CODECS[name]
    pcm = sine(440, 8_000, 0.1)
    back = array.array("h", codec.decode(codec.encode(pcm)))
    assert len(back) * 2 == len(pcm)
    # G.711 keeps 13 bits of a loud sample: 3 % of its size
    assert all(abs(a - b) <= 16 + abs(a) * 0.04 for a, b in zip(array.array("h", pcm), back, strict=True))


@pytest.mark.parametrize(("name", "size"), [("PCMU", 160), ("PCMA", 160), ("L16", 320)])
def test_a_frame_has_its_size(name: str, size: int) -> None:
    assert len(CODECS[name].encode(bytes(320))) == size


def test_g711_is_what_the_standard_says() -> None:
    assert CODECS["PCMU"].encode(b"\0\0") == b"\xff"
    assert CODECS["PCMA"].encode(b"\0\0") == b"\xd5"
    assert CODECS["L16"].encode((1).to_bytes(2, "little")) == b"\0\1"


@pytest.mark.parametrize(("rate", "to_rate"), [(22_050, 8_000), (8_000, 16_000), (48_000, 16_000), (16_000, 48_000)])
def test_a_tone_stays_the_same_tone(rate: int, to_rate: int) -> None:
    made = resampled(sine(440, rate, 0.5), rate, to_rate)
    assert abs(len(made) / 2 - to_rate * 0.5) <= 2
    assert power_at(made, 440, to_rate) > 0.99


def test_what_a_lower_rate_cannot_carry_is_gone() -> None:
    made = array.array("h", resampled(sine(6_000, 22_050, 0.5), 22_050, 8_000))
    assert max(map(abs, made[400:-400])) < 200  # it would alias to 2 kHz at full strength


def test_a_stream_in_pieces_is_the_same_as_in_one() -> None:
    pcm = sine(440, 8_000, 0.2)
    stream = Resampler(8_000, 16_000)
    pieces = [stream.feed(pcm[at : at + 320]) for at in range(0, len(pcm), 320)] + [stream.feed(b"", last=True)]
    whole, joined = array.array("h", resampled(pcm, 8_000, 16_000)), array.array("h", b"".join(pieces))
    assert len(whole) == len(joined)
    assert max(abs(a - b) for a, b in zip(whole, joined, strict=True)) <= 3  # it dithers by chance


def test_the_same_rate_costs_nothing() -> None:
    assert Resampler(8_000, 8_000).feed(b"\1\2") == b"\1\2"
