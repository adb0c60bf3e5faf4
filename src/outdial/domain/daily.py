"""How many calls an agent may place a day.

A day is one of UTC: an agent calls for batches of several zones, and a count that began anew at another hour for each
of them would be no count. It always has 24 hours, so a change of clocks gives nobody a day of 23 or 25.
"""

import math
from dataclasses import dataclass

from outdial.domain.limits import UNLIMITED

DAY_SECS = 86_400
EVE_SECS = 3.0
"""Nobody is claimed under a limit so shortly before the day ends: what has GO may be sent a send deadline later."""


def day_of(instant: float) -> int:
    """Which day of UTC this is (unix seconds), counted from 1970-01-01."""
    return math.floor(instant / DAY_SECS)


def next_day(instant: float) -> float:
    """When the day after this one begins; unix seconds."""
    return float((day_of(instant) + 1) * DAY_SECS)


@dataclass(frozen=True, slots=True)
class Quota:
    """The use of one agent's limit on one day."""

    limit: int | None
    """Calls a day; None: no limit, 0: nobody is called."""
    placed: int
    """Calls that count: claimed, under way or over. What was never sent does not."""

    @property
    def left(self) -> int:
        """How many more this day may have; negative where the limit was lowered since."""
        return UNLIMITED if self.limit is None else self.limit - self.placed

    def room(self, now: float) -> int:
        """How many more may be claimed now."""
        if self.limit is None:
            return UNLIMITED
        return 0 if next_day(now) - now <= EVE_SECS else max(0, self.left)

    def admits(self, *, counted: bool) -> bool:
        """Whether one call may be sent on this day, that is counted on it already or is not yet."""
        return self.left >= 0 if counted else self.left > 0

    def moved(self, n: int) -> "Quota":
        """With so many calls more or less."""
        return Quota(self.limit, self.placed + n)
