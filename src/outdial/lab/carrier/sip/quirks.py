"""Paths on which replies are lost, doubled or late: the quirks of numbers 0900 to 0902 (`endings.Quirk`)."""

from outdial.lab.carrier.endings import Quirk
from outdial.lab.carrier.sip.transport import Path, Place

ANSWERS_LOST = 2
"""Of the 200s to one INVITE."""


class Bent:
    """A path, and what becomes of a message on it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return self._path.name

    @property
    def reliable(self) -> bool:
        return self._path.reliable

    @property
    def place(self) -> Place:
        return self._path.place

    def send(self, data: bytes) -> None:
        self._path.send(data)


class Void(Bent):
    """Nothing gets through."""

    def send(self, data: bytes) -> None:
        return


class LosingAnswers(Bent):
    """The first 200s to the INVITE are lost."""

    lost = 0

    def send(self, data: bytes) -> None:
        if self.lost < ANSWERS_LOST and data.startswith(b"SIP/2.0 200 ") and _of_invite(data):
            self.lost += 1
        else:
            super().send(data)


class Doubled(Bent):
    """Every message twice, and a 180 only after the final answer."""

    late = b""

    def send(self, data: bytes) -> None:
        if data.startswith(b"SIP/2.0 18"):
            self.late = data
            return
        for _ in range(2):
            super().send(data)
        if self.late and not data.startswith(b"SIP/2.0 1"):
            late, self.late = self.late, b""
            for _ in range(2):
                super().send(late)


def bent(path: Path, quirk: Quirk) -> Path:
    """The path of a call to a number of that quirk."""
    match quirk:
        case Quirk.NO_REPLY:
            return Void(path)
        case Quirk.ERROR_REPLY:
            return LosingAnswers(path)
        case Quirk.REVERSED:
            return Doubled(path)
    return path


def _of_invite(data: bytes) -> bool:
    head = data.partition(b"\r\n\r\n")[0]
    return any(line.startswith(b"CSeq:") and line.endswith(b" INVITE") for line in head.split(b"\r\n"))
