"""A WAV recording as MP3, for players that want it."""

import wave
from collections.abc import Iterator
from typing import BinaryIO

PIECE_FRAMES = 16_000
BIT_RATE = 32
"""kbit/s: telephone audio in two channels."""


def encoded(source: BinaryIO) -> Iterator[bytes]:
    """The MP3 of a WAV with 16-bit samples, piece by piece."""
    import lameenc

    with wave.open(source, "rb") as file:
        encoder = lameenc.Encoder()
        encoder.set_bit_rate(BIT_RATE)
        encoder.set_in_sample_rate(file.getframerate())
        encoder.set_channels(file.getnchannels())
        encoder.set_quality(7)  # 2 is best, 7 is fast
        encoder.silence()
        while piece := file.readframes(PIECE_FRAMES):
            if made := bytes(encoder.encode(piece)):
                yield made
        yield bytes(encoder.flush())
