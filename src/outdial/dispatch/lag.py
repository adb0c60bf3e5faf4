"""How far the dispatcher is behind: since when those whom it claims could have been claimed.

Waiting for a slot, a rate, a window, a day or a resume is no lag. So besides when somebody was due it counts since when
nothing stood in the way of the batch, as far as turns show it: nothing is asked of the store for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from outdial.ports.store import ClaimAnswer, ClaimWish, Hold, ReadyBatch

_HELD = frozenset({Hold.CAP, Hold.RATE, Hold.TRUNK, Hold.DAILY_LIMIT})


@dataclass(slots=True)
class _Seen:
    """A batch as the turn before saw it."""

    classes: tuple[int, ...]
    """Window classes that were claimed from; none: it could not be claimed from at all."""
    free_since: float | None
    """Unix seconds since when nothing stands in its way; None: something does, until somebody rings."""


class Lag:
    """What turns show. Instants are unix seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Of the latest turn; 0 where nobody was claimed."""
        self._seen: dict[int, _Seen] = {}
        self._turn_began: float | None = None

    def begin(self, now: float) -> None:
        """A turn begins."""
        self._turn_began = now

    def end(self) -> None:
        """It is over, or failed."""
        self._turn_began = None

    def at(self, now: float) -> float:
        """As the latest turn had it; while one takes longer than that, its own duration."""
        under_way = now - self._turn_began if self._turn_began is not None else 0.0
        return max(self.seconds, under_way)

    def look(self, ready: Sequence[ReadyBatch], wishes: Mapping[int, ClaimWish], *, asked_at: float) -> None:
        """A turn looked at these batches and wishes to claim from some; `asked_at`: when somebody rang for it."""
        before, self._seen = self._seen, {}
        for one in ready:
            wish = wishes.get(one.batch.id)
            classes = wish.open_classes if wish else ()
            seen = before.get(one.batch.id)
            self._seen[one.batch.id] = _Seen(classes, _free_since(one, seen, classes, asked_at))

    def claimed(self, answers: Iterable[ClaimAnswer], *, now: float) -> float | None:
        """What the turn's claims say; None where nobody was claimed."""
        waits = []
        for answer in answers:
            seen = self._seen.get(answer.batch_id)
            if seen is None:
                continue
            if answer.claimed and seen.free_since is not None:
                due_at = min(claimed.due_at for claimed in answer.claimed)
                waits.append(max(0.0, now - max(due_at, seen.free_since)))
            if answer.hold in _HELD:
                seen.free_since = answer.again_at
        self.seconds = max(waits, default=0.0)
        return self.seconds if waits else None


def _free_since(one: ReadyBatch, seen: _Seen | None, classes: tuple[int, ...], asked_at: float) -> float:
    if seen is None:
        return one.batch.updated_at  # sealed, resumed or retried since the turn before
    if seen.free_since is None:
        return asked_at  # a slot came free
    if seen.classes and seen.classes != classes:
        return max(seen.free_since, asked_at)  # a window opened
    return seen.free_since
