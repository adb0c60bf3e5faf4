"""Cancel, retry and delete as numbered decisions."""

import pytest

from outdial.domain.decision import Decision, DecisionKind, Standing, as_decided, decided, means, outcomes_taken
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus as S

BARE = outcomes_taken()
RETRY = Decision(3, DecisionKind.RETRY, round=1, outcomes=BARE)
CANCEL = Decision(3, DecisionKind.CANCEL)
DELETE = Decision(3, DecisionKind.DELETE)


@pytest.mark.parametrize(
    ("decision", "standing", "meant"),
    [
        (RETRY, Standing(S.FAILED, Outcome.BUSY, 0, 2), True),
        (RETRY, Standing(S.FAILED, Outcome.BUSY, 0, 3), False),  # settled after it
        (RETRY, Standing(S.FAILED, Outcome.BLOCKED, 0, 0), False),
        (RETRY, Standing(S.CANCELLED, Outcome.CANCELLED, 0, 0), False),
        (RETRY, Standing(S.PENDING, None, 0, 0), False),
        (RETRY, Standing(S.IN_PROGRESS, None, 0, 0), False),
        (CANCEL, Standing(S.PENDING, None, 0, 2), True),
        (CANCEL, Standing(S.PENDING, None, 1, 3), False),  # queued by a later act
        (CANCEL, Standing(S.DISPATCHED, None, 0, 0), False),  # its attempt decides
        (CANCEL, Standing(S.FAILED, Outcome.BUSY, 0, 0), False),
        (DELETE, Standing(S.PENDING, None, 0, 0), True),
        (DELETE, Standing(S.COMPLETED, Outcome.COMPLETED, 0, 0), False),
    ],
)
def test_whom_a_decision_means(decision: Decision, standing: Standing, meant: bool) -> None:
    assert means(decision, standing) is meant
    assert (decided(decision, standing) != standing) is meant


def test_retry_opens_its_round() -> None:
    assert decided(RETRY, Standing(S.FAILED, Outcome.BUSY, 0, 2)) == Standing(S.PENDING, None, 1, 3)


def test_cancel_keeps_the_round() -> None:
    assert decided(CANCEL, Standing(S.PENDING, None, 2, 2)) == Standing(S.CANCELLED, Outcome.CANCELLED, 2, 3)


def test_decisions_apply_in_their_order_whatever_order_they_are_read_in() -> None:
    everybody = outcomes_taken([S.CANCELLED, S.VOICEMAIL])
    first = Decision(1, DecisionKind.CANCEL)
    second = Decision(2, DecisionKind.RETRY, round=1, outcomes=everybody)
    third = Decision(3, DecisionKind.CANCEL)
    row = Standing(S.PENDING, None, 0, 0)
    assert as_decided(row, [second, first]) == Standing(S.PENDING, None, 1, 2)
    assert as_decided(row, [third, second, first]) == Standing(S.CANCELLED, Outcome.CANCELLED, 1, 3)


def test_carrying_out_twice_changes_nothing() -> None:
    row = decided(RETRY, Standing(S.FAILED, Outcome.BUSY, 0, 2))
    assert decided(RETRY, row) == row
