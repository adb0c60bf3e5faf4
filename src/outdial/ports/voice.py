"""The audio of a call, and who talks in it: what networks with audio give to an agent, and an agent to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from outdial.domain.call import Utterance
from outdial.ports.blobs import Blobs
from outdial.ports.lines import CallOrder

FRAME_SECS = 0.02
"""Audio travels in frames of this length."""


@dataclass(frozen=True, slots=True)
class Audio:
    """One frame of what the person says: signed 16-bit samples, mono, at the leg's rate."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A key that the person pressed."""

    digit: str
    """One of 0-9 A-D * #."""


@dataclass(frozen=True, slots=True)
class Beep:
    """A steady tone has just ended, the first since the answer: a machine, which records from now on."""


@dataclass(frozen=True, slots=True)
class Played:
    """Everything that was sent before this mark has left for the person, or was cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class HungUp:
    """The call is over; nothing follows."""


Heard = Audio | Key | Beep | Played | HungUp


class Leg(Protocol):
    """The audio of one live call, both ways. The clock is its own: what is sent is played in time, whenever given."""

    @property
    def rate(self) -> int:
        """Samples a second, both ways."""
        ...

    async def recv(self) -> Heard:
        """The next thing that came; after `HungUp` always `HungUp`."""
        ...

    def send(self, pcm: bytes) -> None:
        """Play this after what is queued already; any length, 16-bit mono at `rate`."""
        ...

    def clear(self) -> None:
        """Drop what is queued and not played; marks in it come back at once."""
        ...

    def mark(self, name: str) -> None:
        """Come back as `Played` when everything sent so far is played."""
        ...

    async def send_dtmf(self, digits: str) -> None:
        """Press keys for the far end."""
        ...


@dataclass(frozen=True, slots=True)
class TalkResult:
    """What a talk left behind."""

    said: tuple[Utterance, ...] = ()
    keys: str = ""
    """Keys that the person pressed, in order."""
    machine: bool = False
    """An answering machine took the call."""


class Mute(Exception):
    """The agent has no voice just now: the person would hear nothing at all."""


class Talk(Protocol):
    """One call's conversation; made while it rings."""

    async def run(self, leg: Leg) -> None:
        """Talk until there is nothing more to say, or nobody to say it to; then the call is hung up. Raises Mute."""
        ...

    def result(self) -> TalkResult:
        """What was said so far, at any time."""
        ...

    def drop(self) -> None:
        """Let go of what was prepared: nobody answered, or it is over. May be called twice."""
        ...


class Talker(Protocol):
    """Who talks: the agent's engine, one for each call worker."""

    async def open(self) -> None:
        """Start what takes time, before the first call; a voice that can't be had is told of, and talks raise Mute."""
        ...

    def prepare(self, order: CallOrder, rates: Sequence[int]) -> Talk:
        """Begin to get ready for this call; returns at once, and the phone is about to ring.

        `rates`: what its leg may run at, samples a second; which, the answer tells.
        """
        ...

    async def close(self) -> None:
        """End what it has running; may be called twice."""
        ...


@runtime_checkable
class CarriesAudio(Protocol):
    """Lines whose calls have audio in this process."""

    def talk_with(self, talker: Talker, blobs: Blobs | None) -> None:
        """Who talks in calls from now on, and where their recordings go (None: nothing is recorded)."""
        ...
