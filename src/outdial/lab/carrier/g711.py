"""G.711 by its two tables: between bytes on the wire and 16-bit samples (ITU-T G.711)."""

import struct
from bisect import bisect_right
from collections.abc import Iterable

RATE = 8_000
FRAME = 160
"""Samples, and bytes, in 20 ms."""


def _ulaw(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw(code: int) -> int:
    code ^= 0x55
    segment, magnitude = (code & 0x70) >> 4, ((code & 0x0F) << 4) + 8
    if segment:
        magnitude = (magnitude + 0x100) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


class Law:
    """One of the two."""

    def __init__(self, samples: Iterable[int]) -> None:
        self._samples = tuple(samples)
        self._steps = sorted((sample, code) for code, sample in enumerate(self._samples))
        self._pcm = [struct.pack("<h", sample) for sample in self._samples]
        self._loudness = bytes(min(255, abs(sample) >> 5) for sample in self._samples)
        self.silence = self.encode(bytes(2 * FRAME))

    def encode(self, pcm: bytes) -> bytes:
        """Signed 16-bit little-endian samples as bytes of the wire: each the nearest there is."""
        nearest: dict[int, int] = {}
        coded = bytearray()
        for (sample,) in struct.iter_unpack("<h", pcm):
            code = nearest.get(sample)
            if code is None:
                code = nearest[sample] = self._nearest(sample)
            coded.append(code)
        return bytes(coded)

    def decode(self, coded: bytes) -> bytes:
        """And back."""
        return b"".join([self._pcm[code] for code in coded])

    def loudness(self, coded: bytes) -> float:
        """The mean of the samples' size, in a coarse way."""
        return 32 * sum(coded.translate(self._loudness)) / max(1, len(coded))

    def _nearest(self, sample: int) -> int:
        at = bisect_right(self._steps, (sample, 256))
        around = self._steps[max(0, at - 1) : at + 1]
        return min(around, key=lambda step: (abs(step[0] - sample), -step[0]))[1]


LAWS = {"PCMU": Law(map(_ulaw, range(256))), "PCMA": Law(map(_alaw, range(256)))}
"""As in SDP."""
