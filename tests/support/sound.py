"""What is in a recording."""

import array
import wave
from pathlib import Path


def loud(path: Path, *, channel: int = 0) -> bool:
    """Whether anybody speaks there."""
    with wave.open(str(path)) as file:
        samples = array.array("h", file.readframes(file.getnframes()))[channel :: file.getnchannels()]
    return max(map(abs, samples)) > 3_000


MP3_KBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Of layer III below 32 kHz, by the index in a frame's head (ISO 13818-3)."""
MP3_HERTZ = {0: (11_025, 12_000, 8_000), 2: (22_050, 24_000, 16_000)}
"""By version (0: MPEG 2.5, 2: MPEG 2) and index."""


def mp3_of(data: bytes) -> tuple[float, int, int]:
    """Seconds, samples a second and channels of an MP3, frame by frame to its last byte."""
    at = frames = hertz = channels = 0
    while at < len(data):
        head = int.from_bytes(data[at : at + 4], "big")
        assert head >> 21 == 0x7FF, f"no frame at {at} of {len(data)}"
        assert head >> 17 & 3 == 1, "layer III"
        kbits, hertz = MP3_KBITS[head >> 12 & 15], MP3_HERTZ[head >> 19 & 3][head >> 10 & 3]
        channels = 1 if head >> 6 & 3 == 3 else 2
        at += 72_000 * kbits // hertz + (head >> 9 & 1)
        frames += 1
    assert at == len(data), "cut off"
    return frames * 576 / hertz, hertz, channels
