"""What a retry would do, told before anybody decides."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from outdial.domain.decision import outcomes_taken
from outdial.domain.outcome import MEANING, Outcome
from outdial.domain.recipient import RecipientStatus


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """People whom the retry would not call."""

    outcome: Outcome
    count: int
    reason: str
    """For people."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Whom a retry would call again and whom not, in the order of the list of outcomes."""

    would_call: int
    by_outcome: dict[Outcome, int]
    would_not: tuple[LeftAlone, ...]


def preview(tally: Mapping[Outcome, int], include: Iterable[RecipientStatus] = ()) -> Preview:
    """The preview for a batch whose recipients ended so; those who still wait or talk are in no tally."""
    taken = outcomes_taken(include)
    counts = {outcome: tally[outcome] for outcome in Outcome if tally.get(outcome, 0) > 0}
    by_outcome = {outcome: n for outcome, n in counts.items() if outcome in taken}
    would_not = tuple(LeftAlone(o, n, MEANING[o].why_not) for o, n in counts.items() if o not in taken)
    return Preview(sum(by_outcome.values()), by_outcome, would_not)
