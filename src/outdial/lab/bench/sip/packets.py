"""What the far end noted of a call's packets, and what a listener would have said of them: pure, and no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

FRAME_MS = 20.0
LATE_MS = FRAME_MS
"""A packet this much behind its call's grid is late."""
WINDOW = 50
"""Packets, a second: the grid goes through the earliest of those that follow, so that it forgets a shift for good."""
SHIFT_MS = 0.8 * FRAME_MS
"""The grid has moved by a frame when it moved by more than this: what is less is the sender's own rhythm."""


class Noted(msgspec.Struct):
    """What was seen of one call; moments are nanoseconds of the monotonic clock, 0 for what never happened."""

    call_id: str
    acked_at: int = 0
    ended_at: int = 0
    came: list[int] = []
    """When each packet came."""
    seqs: list[int] = []
    """Their sequence numbers, as they stood in them."""
    voiced: list[bool] = []
    """Whether each was more than silence."""


class FarEnd(msgspec.Struct):
    """All that a far end noted, and how well it kept time itself."""

    calls: list[Noted]
    sent: int
    """Packets of its own."""
    sent_late: int
    """Those it sent more than 20 ms late: no fault of ours, if they are missed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One call, or several together."""

    packets: int
    lost: int
    """Sequence numbers that never came."""
    late: int
    """Packets more than LATE_MS behind the grid."""
    shifts: int
    """Frames by which the grid moved back for good: each is a gap of 20 ms once, and 20 ms more delay from then on."""
    off_first_grid: int
    """Packets more than LATE_MS behind a grid through the earliest of all: those after a shift count to the end."""
    holes: int
    """Silent packets after the first voiced one, of an agent who never pauses."""
    behind_ms: tuple[float, ...]
    """How far each packet was behind the grid."""

    @property
    def late_pct(self) -> float:
        """Of all packets, those that a listener had to wait for, whether it happened once or for good."""
        return 100 * (self.late + self.shifts) / max(self.packets, 1)


def heard(noted: Noted) -> Heard:
    """Judge one call that had at least one packet."""
    seqs = _unwrapped(noted.seqs)
    behind = [came / 1e6 - FRAME_MS * seq for came, seq in zip(noted.came, seqs, strict=True)]
    grid = [min(behind[at : at + WINDOW]) for at in range(len(behind))]
    off = [one - at for one, at in zip(behind, grid, strict=True)]
    first = min(behind)
    marks = grid[::WINDOW]
    return Heard(
        packets=len(seqs),
        lost=max(seqs) - min(seqs) + 1 - len(set(seqs)),
        late=sum(one > LATE_MS for one in off),
        shifts=sum(_frames(after - before) for before, after in pairwise(marks)),
        off_first_grid=sum(one - first > LATE_MS for one in behind),
        holes=_holes(noted.voiced),
        behind_ms=tuple(off),
    )


def together(calls: Sequence[Heard]) -> Heard:
    """The sum of them."""
    return Heard(
        packets=sum(call.packets for call in calls),
        lost=sum(call.lost for call in calls),
        late=sum(call.late for call in calls),
        shifts=sum(call.shifts for call in calls),
        off_first_grid=sum(call.off_first_grid for call in calls),
        holes=sum(call.holes for call in calls),
        behind_ms=tuple(one for call in calls for one in call.behind_ms),
    )


def first_voice_secs(noted: Noted) -> float:
    """From the ACK to the first voiced packet; raises ValueError where there is none."""
    return (noted.came[noted.voiced.index(True)] - noted.acked_at) / 1e9


def most_at_a_time(calls: Sequence[Noted]) -> int:
    """How many were up together."""
    changes = sorted([(one.acked_at, 1) for one in calls] + [(one.ended_at, -1) for one in calls])
    most = up = 0
    for _, change in changes:
        up += change
        most = max(most, up)
    return most


def _unwrapped(seqs: Sequence[int]) -> list[int]:
    """They have 16 bits on the wire, and begin anywhere."""
    told, last = [], seqs[0]
    for seq in seqs:
        last += ((seq - last + 0x8000) & 0xFFFF) - 0x8000
        told.append(last)
    return told


def _frames(shift_ms: float) -> int:
    return int((shift_ms + FRAME_MS - SHIFT_MS) // FRAME_MS) if shift_ms > 0 else 0


def _holes(voiced: Sequence[bool]) -> int:
    """The silence at the end is none: the agent has ended."""
    if True not in voiced:
        return 0
    first, last = voiced.index(True), len(voiced) - voiced[::-1].index(True)
    return sum(not one for one in voiced[first:last])
