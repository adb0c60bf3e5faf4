"""Decisions about whole batches as rows: read here, made and carried out in deciding.py."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from outdial.domain.decision import Decision, DecisionKind
from outdial.domain.outcome import Outcome
from outdial.store.op import Reads, Row


def decision_of(row: Row) -> Decision:
    """From a row of the table."""
    outcomes = frozenset(Outcome(o) for o in msgspec.json.decode(row.outcomes, type=list[str]))
    return Decision(row.number, DecisionKind(row.kind), row.round, outcomes)


def undone_of(tx: Reads, batch_ids: Iterable[int]) -> dict[int, list[Decision]]:
    """The decisions of each batch whose row work is not over, oldest first."""
    found: dict[int, list[Decision]] = defaultdict(list)
    for row in tx.rows("decisions_undone", ids=sorted(batch_ids)):
        found[row.batch_id].append(decision_of(row))
    return found
