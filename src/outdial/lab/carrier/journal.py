"""The log of the network: what was truly dialled, answered and ended; it judges the fault runs, and remembers `nth`."""

import os
import time
from pathlib import Path

import msgspec


class Line(msgspec.Struct):
    """One line of the log."""

    t: float
    """Unix seconds."""
    event: str
    """`dialled`, `answered` or `ended`."""
    number: str
    """E.164, in full: this is the only log with phone numbers."""
    call_key: str
    nth: int
    """How many times this number was dialled, this time included."""


class Journal:
    """Appends each line at its moment with one unbuffered write; without a path it only forgets."""

    def __init__(self, path: Path | None) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600) if path else None
        self._encode = msgspec.json.Encoder().encode
        self.nth = _dialled(path) if path else {}
        """How often each number (its digits) was dialled, earlier processes included."""
        if self._file is not None:
            _end_torn_line(self._file)

    def write(self, event: str, *, number: str, call_key: str, nth: int) -> None:
        """Append a line now."""
        if self._file is not None:
            line = Line(t=time.time(), event=event, number=number, call_key=call_key, nth=nth)
            os.write(self._file, self._encode(line) + b"\n")

    def close(self) -> None:
        """Give the file back; may be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _dialled(path: Path) -> dict[int, int]:
    """The counts that an earlier process left; a line that was torn by a kill is skipped."""
    nth: dict[int, int] = {}
    decode = msgspec.json.Decoder(Line).decode
    with path.open("rb") as lines:
        for line in lines:
            if b'"dialled"' not in line:
                continue
            try:
                told = decode(line)
            except msgspec.DecodeError:
                continue
            digits = int(told.number)
            nth[digits] = max(told.nth, nth.get(digits, 0))
    return nth


def _end_torn_line(file: int) -> None:
    """A process that died in the middle of a line must not spoil the next one."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        os.write(file, b"\n")
