"""Setbacks and sick trunks."""

import pytest

from outdial.domain.backoff import LONGEST, TrunkHealth, backoff, held_back
from outdial.domain.limits import UNLIMITED


@pytest.mark.parametrize(
    ("n", "seconds"), [(0, 1), (1, 2), (2, 4), (8, 256), (9, 300), (10, 300), (10_000, 300), (-1, 1)]
)
def test_backoff_doubles_up_to_five_minutes(n: int, seconds: float) -> None:
    assert backoff(n) == seconds


@pytest.mark.parametrize(
    ("asked", "setbacks", "seconds"), [(7.0, 3, 7), (0.2, 0, 0.2), (1e9, 0, 300), (None, 2, 4), (0.0, 1, 2)]
)
def test_a_network_is_waited_for_as_long_as_it_asks_up_to_five_minutes(
    asked: float | None, setbacks: int, seconds: float
) -> None:
    assert held_back(asked, setbacks) == seconds


def refused(times: int, now: float = 100.0) -> TrunkHealth:
    health = TrunkHealth()
    for _ in range(times):
        health = health.refused(now)
    return health


def test_two_refusals_change_nothing() -> None:
    assert refused(2).room(100.0) == UNLIMITED
    assert refused(2).got_through().refused(100.0).refused(100.0).room(100.0) == UNLIMITED


def test_the_third_in_a_row_probes_by_one_call_after_a_while() -> None:
    health = refused(3)
    assert health.probed
    assert health.room(100.9) == 0
    assert health.room(101.0) == 1


def test_fifty_refusals_at_once_are_one_setback() -> None:
    assert refused(50) == refused(3)


def test_the_next_probe_waits_for_the_answer_of_the_one_under_way() -> None:
    health = refused(3).probe_sent(101.0, answer_within=7.0)
    assert health.room(107.9) == 0
    assert health.room(108.0) == 1


def test_refused_probes_wait_longer_each_time() -> None:
    health, now, waits = refused(3), 101.0, []
    for _ in range(10):
        health = health.probe_sent(now, answer_within=7.0).refused(now)
        assert health.probe_at is not None
        waits.append(health.probe_at - now)
        now = health.probe_at
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, LONGEST, LONGEST]


def test_one_that_gets_through_ends_the_probing() -> None:
    assert refused(3).probe_sent(101.0, answer_within=7.0).got_through() == TrunkHealth()


def test_a_healthy_trunk_takes_no_note_of_claims() -> None:
    assert refused(2).probe_sent(101.0, answer_within=7.0) == refused(2)


def test_three_faults_in_a_row_halt() -> None:
    health = TrunkHealth().fault("credentials").fault("credentials")
    assert not health.halted
    assert not health.got_through().fault("credentials").halted
    health = health.fault("balance")
    assert health.halted_reason == "balance"
    assert health.room(1e12) == 0


def test_a_refused_connection_says_nothing_of_faults() -> None:
    assert TrunkHealth().fault("a").fault("a").refused(1.0).fault("a").halted


def test_a_word_before_each_fault_does_not_hide_that_they_come_in_a_row() -> None:
    health = TrunkHealth()
    for _ in range(3):
        health = health.reached().fault("credentials")
    assert health.halted


def test_who_can_be_reached_is_probed_no_longer() -> None:
    assert refused(3).probe_sent(101.0, answer_within=7.0).reached() == TrunkHealth()


def test_a_resumed_trunk_is_tried_by_one_call_until_that_came_to_something() -> None:
    halted = TrunkHealth().fault("a").fault("a").fault("a")
    tried = halted.resumed(50.0).probe_sent(50.0, answer_within=7.0).reached()
    assert tried.room(51.0) == 0
    assert tried.fault("a").halted
    assert tried.got_through().room(51.0) == UNLIMITED


def test_a_halt_stays_until_somebody_lifts_it() -> None:
    halted = TrunkHealth().fault("a").fault("a").fault("a")
    assert halted.got_through().halted
    assert halted.fault("b").halted_reason == "a"
    assert halted.fault("").halted_reason == "a"


def test_a_resumed_trunk_is_tried_by_one_call() -> None:
    halted = TrunkHealth().fault("a").fault("a").fault("a")
    resumed = halted.resumed(50.0)
    assert resumed.room(50.0) == 1
    assert resumed.probe_sent(50.0, answer_within=7.0).room(50.0) == 0
    assert resumed.fault("a").halted
    assert resumed.room(50.0, trying=1) == 0
    assert resumed.got_through().proven() == TrunkHealth()
    assert TrunkHealth().resumed(50.0) == TrunkHealth()


@pytest.mark.parametrize(
    ("faults", "trying", "room"),
    [(0, 0, 3), (0, 2, 1), (0, 3, 0), (0, 9, 0), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)],
)
def test_no_more_try_an_unproven_trunk_than_would_halt_it(faults: int, trying: int, room: int) -> None:
    health = TrunkHealth(faults=faults, unproven=True)
    assert health.room(50.0, trying=trying) == room
    assert health.room(50.0) == UNLIMITED
    assert health.proven().room(50.0, trying=trying) == UNLIMITED


def test_a_fault_does_not_prove_a_trunk_nor_what_says_nothing_of_it() -> None:
    new = TrunkHealth(unproven=True)
    assert new.reached().unproven
    assert new.got_through().unproven
    assert new.fault("a").unproven
    assert new.refused(50.0).unproven


def test_only_a_probe_that_is_ahead_is_a_matter_of_time() -> None:
    probed = refused(3)
    assert probed.opens_at(100.0) == 101.0
    assert probed.opens_at(101.0) is None
    assert TrunkHealth(unproven=True).opens_at(100.0) is None
