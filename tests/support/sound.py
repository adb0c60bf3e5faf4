"""What is in a recording."""

import array
import wave
from pathlib import Path


def loud(path: Path, *, channel: int = 0) -> bool:
    """Whether anybody speaks there."""
    with wave.open(str(path)) as file:
        samples = array.array("h", file.readframes(file.getnframes()))[channel :: file.getnchannels()]
    return max(map(abs, samples)) > 3_000
