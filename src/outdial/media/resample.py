"""From one sample rate to another: mono, signed 16 bits."""

from typing import Any


class Resampler:
    """A stream: each piece continues where the last one ended."""

    def __init__(self, rate: int, to_rate: int) -> None:
        """From `rate` to `to_rate`, samples a second."""
        self._stream: Any = None
        if rate != to_rate:
            import soxr  # with numpy: 0.1 s, paid only where rates differ

            self._stream = soxr.ResampleStream(rate, to_rate, 1, dtype="int16")

    def feed(self, pcm: bytes, *, last: bool = False) -> bytes:
        """What is ready by now; a filter holds some of it back until `last`."""
        if self._stream is None:
            return pcm
        import numpy as np

        made: bytes = self._stream.resample_chunk(np.frombuffer(pcm, np.int16), last=last).tobytes()
        return made


def resampled(pcm: bytes, rate: int, to_rate: int) -> bytes:
    """A whole recording at another rate."""
    return Resampler(rate, to_rate).feed(pcm, last=True)
