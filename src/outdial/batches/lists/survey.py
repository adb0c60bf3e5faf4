"""What a list comes to, counted while it streams by."""

from collections import Counter
from dataclasses import dataclass, field

from outdial.batches.lists.number import seems_rounded
from outdial.batches.lists.shape import BadRow, Person, Repair, Wrong

MOST_DOUBLES = 1_000
"""Doubled numbers of which both places are remembered."""


@dataclass(slots=True)
class Survey:
    """Counts of one list. Memory grows by one whole number and one place for each phone number."""

    good: int = 0
    bad: int = 0
    wrongs: Counter[Wrong] = field(default_factory=Counter)
    """How many rows have this wrong."""
    repairs: Counter[Repair] = field(default_factory=Counter)
    rounded: int = 0
    """Good numbers that end in so many zeros that a spreadsheet may have put them there."""
    doubled: int = 0
    """Rows whose number stood in the list already: called one after the other."""
    doubles: list[tuple[int, int]] = field(default_factory=list)
    """(place, first place) of the first MOST_DOUBLES of them."""
    _first: dict[int, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows with anything in them."""
        return self.good + self.bad

    @property
    def different(self) -> int:
        """Different phone numbers."""
        return len(self._first)

    def see(self, row: Person | BadRow) -> None:
        """Count this row."""
        if isinstance(row, BadRow):
            self.bad += 1
            self.wrongs.update({problem.kind for problem in row.problems})
            return
        self.good += 1
        if row.repair is not None:
            self.repairs[row.repair] += 1
        self.rounded += seems_rounded(row.number)
        first = self._first.setdefault(int(row.number), row.place)
        if first != row.place:
            self.doubled += 1
            if len(self.doubles) < MOST_DOUBLES:
                self.doubles.append((row.place, first))
