"""How many at once and how fast."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outdial.domain.errors import OverLimit
from outdial.domain.limits import CLOCK_SLACK, UNLIMITED, Bucket, Pacer, batch_cap, limit


@pytest.mark.parametrize(
    ("workspace", "agent", "target", "cap"),
    [
        (100, None, None, 50),
        (100, -1, None, 50),
        (100, 10, None, 7),
        (100, 71, None, 49),
        (100, 72, None, 50),
        (1, 1, None, 1),
        (3, None, None, 1),
        (None, 9, None, 6),
        (-1, None, None, None),
        (None, None, 3, 3),
        (100, 10, 80, 80),
        (100, 10, -1, 7),
        (0, 0, None, 1),
        (100, 10, 0, 1),
    ],
)
def test_the_percentage_rule(workspace: int | None, agent: int | None, target: int | None, cap: int | None) -> None:
    assert batch_cap(workspace=workspace, agent=agent, target=target) == cap


def test_minus_one_is_no_limit() -> None:
    assert limit(-1) is limit(None) is None
    assert limit(0) == 0


def test_a_bucket_without_limits_has_room() -> None:
    assert Bucket().room(0.0) == UNLIMITED
    assert Bucket().take(7, 0.0).live == 7
    assert Bucket().when_next(0.0) == 0.0


def test_a_cap_is_reached_and_freed() -> None:
    bucket = Bucket(cap=3)
    bucket = bucket.take(2, 0.0)
    assert bucket.room(0.0) == 1
    bucket = bucket.take(1, 0.0)
    assert bucket.room(9.0) == 0
    assert bucket.free(2).room(9.0) == 2
    assert bucket.free(9).live == 0


def test_a_lowered_cap_has_no_negative_room() -> None:
    assert Bucket(cap=2, live=5).room(0.0) == 0


def test_taking_more_than_there_is_is_an_error() -> None:
    with pytest.raises(OverLimit, match="4 calls were taken from a limit with room for 3"):
        Bucket(cap=3).take(4, 0.0)


def test_a_slow_rate_waits_its_time() -> None:
    bucket = Bucket(rate=0.2, tokens=1.0)
    assert bucket.room(0.0) == 1
    bucket = bucket.take(1, 0.0)
    assert bucket.when_next(0.0) == pytest.approx(5.25)
    assert bucket.room(5.2) == 0
    assert bucket.room(5.25) == 1
    assert bucket.room(500.0) == 1


def test_rate_zero_never_comes() -> None:
    bucket = Bucket(rate=0.0, tokens=0.0)
    assert bucket.when_next(9.0) == float("inf")
    assert Pacer(0.0).delay(9.0) == Pacer(0.0).reserve(9.0) == float("inf")


def test_ended_calls_give_slots_back_and_no_tokens() -> None:
    bucket = Bucket(cap=5, rate=1.0, tokens=1.0).take(1, 0.0)
    assert bucket.free(1).room(0.5) == 0


def test_a_clock_that_runs_back_brings_no_tokens() -> None:
    bucket = Bucket(rate=1.0, tokens=1.0, refilled_at=100.0).take(1, 100.0)
    assert bucket.refill(99.0).tokens == 0.0
    assert bucket.refill(99.0).refilled_at == 100.0
    # put back by an hour: it must not stand still for that hour
    reset = bucket.refill(100.0 - CLOCK_SLACK - 1)
    assert reset.room(reset.refilled_at + 1.05) == 1


def most_in_a_second(sends: list[float], span: float = 1.0) -> int:
    """Of any closed stretch of so many seconds."""
    return max((sum(1 for t in sends if begin <= t <= begin + span) for begin in sends), default=0)


RATES = st.sampled_from([0.2, 0.5, 0.9, 1.0, 1.5, 2.0, 3.0, 10.0, 30.0])
PAUSES = st.lists(st.floats(0, 2, allow_nan=False), max_size=80)


@settings(deadline=None)
@given(RATES, PAUSES)
def test_a_bucket_gives_out_no_more_than_its_rate_in_any_second(rate: float, pauses: list[float]) -> None:
    bucket, now, taken = Bucket(rate=rate), 1e9, []
    for pause in pauses:
        now += pause
        if n := bucket.room(now):
            bucket = bucket.take(n, now)
            taken += [now] * n
    assert most_in_a_second(taken) <= max(1, int(rate))
    if rate < 1:
        assert most_in_a_second(taken, 1 / rate) <= 1


@settings(deadline=None)
@given(RATES, st.integers(1, 40))
def test_a_bucket_asked_when_it_says_so_keeps_its_pace(rate: float, n: int) -> None:
    bucket, begin = Bucket(rate=rate).refill(1e9), 1e9
    now = begin
    for _ in range(n):
        now += bucket.when_next(now) + 1e-6
        bucket = bucket.take(1, now)
    assert now - begin <= n / bucket.pace + 1e-3


@settings(deadline=None)
@given(RATES, PAUSES)
def test_no_sliding_second_has_more_sends_than_the_rate(rate: float, pauses: list[float]) -> None:
    pacer, now, sent = Pacer(rate), 1e6, []
    for pause in pauses:
        now += pause
        now += pacer.delay(now)
        pacer.record(now)
        sent.append(now)
    assert most_in_a_second(sent) <= max(1, int(rate))
    if rate < 1:
        assert most_in_a_second(sent, 1 / rate) <= 1


@settings(deadline=None)
@given(RATES, PAUSES)
def test_many_who_reserve_at_the_same_gate_get_places_apart(rate: float, pauses: list[float]) -> None:
    pacer, now, sent = Pacer(rate), 1e6, []
    for pause in pauses:
        now += pause / 10
        sent.append(now + pacer.reserve(now))
    assert most_in_a_second(sent) <= max(1, int(rate))
    assert all(a <= b + 1e-9 for a, b in pairwise(sent))


def test_a_gate_without_arrivals_lets_a_second_through_at_once() -> None:
    pacer = Pacer(3.0)
    assert [pacer.reserve(10.0) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(1.05)]


def test_a_gate_without_rate_is_open() -> None:
    pacer = Pacer(None)
    assert [pacer.reserve(1.0) for _ in range(5)] == [0.0] * 5


def test_a_changed_rate_remembers_the_last_sends() -> None:
    pacer = Pacer(3.0)
    for _ in range(3):
        pacer.reserve(10.0)
    pacer.rate = 1.0
    assert pacer.delay(10.5) == pytest.approx(0.55)
    pacer.rate = 5.0
    assert pacer.delay(10.5) == 0.0
