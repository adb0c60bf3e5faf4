"""The walk through all batches that wait, a page a turn: batches that can't be served must not hide those behind."""

import math
from collections.abc import Sequence

from outdial.ports.store import ReadyBatch

AT_ONCE = 0.0


class Round:
    """Goes on behind the last batch that was looked at, until everybody had a turn; then from the front again.

    Batches come least recently served first. One that is outside its calling hours, or whose limits are used up, stays
    in front however often it is looked at.
    """

    def __init__(self, page: int) -> None:
        self.page = page
        """Batches in one look."""
        self.after: tuple[float, int] | None = None
        """(last served, id) of the last batch of the page before; None: at the front."""
        self._began = 0.0
        self._wake_at = math.inf

    def begin(self, now: float) -> None:
        """A turn begins."""
        if self.after is None:
            self._began, self._wake_at = now, math.inf

    def goes_on(self, ready: Sequence[ReadyBatch], wake_at: float, *, stay: bool) -> float:
        """When to look again (unix seconds), after a turn that saw these; `stay`: at the same page, it is not done."""
        self._wake_at = min(self._wake_at, wake_at)
        if stay:
            return self._wake_at
        if len(ready) >= self.page and ready[-1].batch.last_served < self._began:
            self.after = ready[-1].batch.last_served, ready[-1].batch.id
            return AT_ONCE
        self.after = None
        return self._wake_at
