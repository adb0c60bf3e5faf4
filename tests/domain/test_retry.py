"""Whom a retry takes, and whom it tells that it would."""

import pytest

from outdial.domain.decision import outcomes_taken
from outdial.domain.outcome import MEANING, Outcome, reached, status_of
from outdial.domain.recipient import FINAL, RecipientStatus
from outdial.domain.retry import LeftAlone, Preview, preview

O = Outcome  # noqa: E741  the table below is read by its columns
S = RecipientStatus

# architecture: wire status, taken by a bare retry, taken when asked, answered, lasting
TABLE = [
    (O.COMPLETED, S.COMPLETED, False, False, True, False),
    (O.VOICEMAIL, S.VOICEMAIL, False, True, True, False),
    (O.NO_ANSWER, S.FAILED, True, False, False, False),
    (O.BUSY, S.FAILED, True, False, False, False),
    (O.UNREACHABLE, S.FAILED, True, False, False, False),
    (O.REJECTED, S.FAILED, True, False, False, False),
    (O.NETWORK_ERROR, S.FAILED, True, False, False, False),
    (O.PROVIDER_REJECTED, S.FAILED, True, False, False, False),
    (O.EXPIRED, S.FAILED, True, False, False, False),
    (O.UNKNOWN, S.FAILED, True, False, False, False),
    (O.BLOCKED, S.FAILED, False, False, False, True),
    (O.INVALID_NUMBER, S.FAILED, False, False, False, True),
    (O.SUPPRESSED, S.FAILED, False, False, False, True),
    (O.CANCELLED, S.CANCELLED, False, True, False, False),
]


def test_the_table_is_complete() -> None:
    assert [row[0] for row in TABLE] == list(Outcome) == list(MEANING)


@pytest.mark.parametrize(("outcome", "status", "retried", "on_request", "answered", "lasting"), TABLE)
def test_what_an_outcome_means(
    outcome: Outcome, status: RecipientStatus, retried: bool, on_request: bool, answered: bool, lasting: bool
) -> None:
    meaning = MEANING[outcome]
    assert (meaning.status, meaning.retried, meaning.on_request) == (status, retried, on_request)
    assert (reached(outcome), meaning.permanent, status_of(outcome)) == (answered, lasting, status)
    assert status in FINAL
    assert bool(meaning.why_not) is not retried


def test_include_adds_exactly_what_it_names() -> None:
    bare = outcomes_taken()
    assert bare == {row[0] for row in TABLE if row[2]}
    assert outcomes_taken([S.VOICEMAIL]) - bare == {O.VOICEMAIL}
    assert outcomes_taken([S.CANCELLED, S.VOICEMAIL]) - bare == {O.VOICEMAIL, O.CANCELLED}
    assert outcomes_taken([S.COMPLETED, S.FAILED, S.PENDING]) == bare


TALLY = {O.CANCELLED: 4, O.COMPLETED: 10, O.BUSY: 2, O.NO_ANSWER: 3, O.INVALID_NUMBER: 1, O.VOICEMAIL: 5, O.UNKNOWN: 0}


def test_preview_tells_both_sides_in_a_stable_order() -> None:
    found = preview(TALLY)
    assert found == Preview(
        5,
        {O.NO_ANSWER: 3, O.BUSY: 2},
        (
            LeftAlone(O.COMPLETED, 10, "was reached"),
            LeftAlone(O.VOICEMAIL, 5, 'a machine answered; ask with include: ["voicemail"]'),
            LeftAlone(O.INVALID_NUMBER, 1, "the number does not exist"),
            LeftAlone(O.CANCELLED, 4, 'was cancelled; ask with include: ["cancelled"]'),
        ),
    )
    assert list(found.by_outcome) == [O.NO_ANSWER, O.BUSY]
    assert preview(dict(reversed(TALLY.items()))) == found


def test_preview_with_include() -> None:
    found = preview(TALLY, [S.VOICEMAIL, S.CANCELLED])
    assert found.would_call == 14
    assert [left.outcome for left in found.would_not] == [O.COMPLETED, O.INVALID_NUMBER]


def test_preview_of_an_empty_batch() -> None:
    assert preview({}) == Preview(0, {}, ())
