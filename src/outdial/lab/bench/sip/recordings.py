"""What is on the recordings of a run: whether the person, who speaks all the time, is there all the time."""

import time
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path

QUIET = 400
FRAMES_PER_S = 50
BEGIN_SECS = 0.5
"""The stack waits for a few packets before it plays the first."""
KEPT_WITHIN_SECS = 10.0
"""So long after its call a recording may be finished: another thread writes it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """All files of a folder; frames are of 20 ms."""

    files: int
    frames: int
    """From the first to the last with the person in it."""
    holes: int
    """Those of them without."""
    quiet_frames: int
    """While nobody hung up, on this call or another."""
    quiet_holes: int


def listen(folder: Path, files: int, *, quiet_secs: float) -> Recorded:
    """Judge the person's side of each, and remove it; nobody hangs up in the first so many seconds of a call."""
    paths = _finished(folder, files)
    persons = [_person(path) for path in paths]
    for path in paths:
        path.unlink()
    whole = [person[person.index(True) : len(person) - person[::-1].index(True)] for person in persons if any(person)]
    quiet = [person[round(BEGIN_SECS * FRAMES_PER_S) : int(quiet_secs * FRAMES_PER_S)] for person in persons]
    return Recorded(
        len(paths),
        sum(map(len, whole)),
        sum(person.count(False) for person in whole),
        sum(map(len, quiet)),
        sum(person.count(False) for person in quiet),
    )


def _finished(folder: Path, files: int) -> list[Path]:
    until = time.monotonic() + KEPT_WITHIN_SECS
    while len(paths := list(folder.glob("*/*.wav"))) < files and time.monotonic() < until:
        time.sleep(0.02)
    return paths


def _person(path: Path) -> list[bool]:
    """Whether each 20 ms of the left side is more than silence."""
    with wave.open(str(path)) as file:
        size = file.getframerate() // FRAMES_PER_S
        both = array("h", file.readframes(file.getnframes()))
    left = both[::2]
    return [max(left[at : at + size]) > QUIET for at in range(0, len(left) - size + 1, size)]
