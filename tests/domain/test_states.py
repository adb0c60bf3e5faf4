"""The state tables are those of the design, and a missing pair is an error."""

import contextlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import product
from typing import TypeVar

import pytest

from outdial.domain import attempt, batch, recipient
from outdial.domain.attempt import AttemptEvent, AttemptState
from outdial.domain.batch import BatchEvent, BatchStatus, Counters, verdict
from outdial.domain.errors import IllegalTransition
from outdial.domain.recipient import RecipientEvent, RecipientStatus
from tests.domain import published

K = TypeVar("K", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def ways(table: Mapping[K, Mapping[E, K]]) -> dict[K, set[K]]:
    return {state: set(steps.values()) for state, steps in table.items()}


def test_recipients_move_as_designed() -> None:
    assert ways(recipient.TRANSITIONS) == published.RECIPIENT


def test_attempts_move_as_designed() -> None:
    assert ways(attempt.TRANSITIONS) == published.ATTEMPT


def test_batches_move_as_designed() -> None:
    assert ways(batch.TRANSITIONS) == published.BATCH


def test_every_state_has_its_row() -> None:
    assert set(recipient.TRANSITIONS) == set(RecipientStatus)
    assert set(attempt.TRANSITIONS) == set(AttemptState)
    assert set(batch.TRANSITIONS) == set(BatchStatus)


def test_a_pair_that_is_not_in_its_table_is_an_error() -> None:
    for status, happens in product(RecipientStatus, RecipientEvent):
        if happens not in recipient.TRANSITIONS[status]:
            with pytest.raises(IllegalTransition, match=f"recipient can't take '{happens}' in state '{status}'"):
                recipient.next_status(status, happens)
    for state, event in product(AttemptState, AttemptEvent):
        if event not in attempt.TRANSITIONS[state]:
            with pytest.raises(IllegalTransition):
                attempt.next_state(state, event)
    for whole, moves in product(BatchStatus, BatchEvent):
        if moves not in batch.TRANSITIONS[whole]:
            with pytest.raises(IllegalTransition):
                batch.next_status(whole, moves)


def test_an_illegal_step_passes_a_context_manager() -> None:
    @contextlib.contextmanager
    def room() -> Iterator[None]:
        yield

    with pytest.raises(IllegalTransition), room():
        recipient.next_status(RecipientStatus.COMPLETED, RecipientEvent.RETRIED)


def test_final_states_are_left_by_retry_or_late_truth_alone() -> None:
    assert {"completed", "voicemail", "failed", "cancelled"} == recipient.FINAL
    assert set(recipient.ENDING_EVENT) == recipient.FINAL
    for status in recipient.FINAL:
        assert RecipientEvent.CLAIMED not in recipient.TRANSITIONS[status]
        assert RecipientEvent.CANCELLED not in recipient.TRANSITIONS[status]


def test_open_and_sent_attempts() -> None:
    assert set(attempt.OPEN) == {s for s, steps in attempt.TRANSITIONS.items() if steps} - {AttemptState.UNKNOWN}
    assert set(attempt.SENT) == set(AttemptState) - {AttemptState.INTENT, AttemptState.VOID}


@pytest.mark.parametrize(
    ("scheduled", "finished", "reached", "expired", "event"),
    [
        (10, 9, 0, 9, None),
        (10, 10, 0, 0, BatchEvent.FINISHED),  # failed calls alone don't fail a batch
        (10, 10, 0, 10, BatchEvent.COULD_NOT_RUN),
        (10, 10, 1, 9, BatchEvent.FINISHED),
        (1, 1, 1, 0, BatchEvent.FINISHED),
        (0, 0, 0, 0, BatchEvent.FINISHED),
    ],
)
def test_how_a_batch_is_over(
    scheduled: int, finished: int, reached: int, expired: int, event: BatchEvent | None
) -> None:
    counters = Counters(scheduled, finished, finished)
    assert verdict(counters, reached=reached, expired=expired) is event


def test_counters_say_who_waits() -> None:
    assert Counters(10, 4, 1).waiting == 6
    assert not Counters(10, 4, 1).over
