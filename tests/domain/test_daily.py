"""Calls a day: whose day it is, and how many are left of it."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.daily import EVE_SECS, Quota, day_of, next_day
from outdial.domain.limits import UNLIMITED

MIDNIGHT = datetime(2027, 1, 16, tzinfo=UTC).timestamp()
NOON = MIDNIGHT - 43_200


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda instant: 1971 < instant.year < 2200))
def test_a_day_is_the_calendar_s_in_utc(instant: datetime) -> None:
    assert day_of(instant.timestamp()) == (instant.date() - date(1970, 1, 1)).days
    assert datetime.fromtimestamp(next_day(instant.timestamp()), UTC) == datetime.combine(
        instant.date() + timedelta(days=1), datetime.min.time(), UTC
    )


@pytest.mark.parametrize(
    ("limit", "placed", "room"), [(None, 10**9, UNLIMITED), (0, 0, 0), (5, 0, 5), (5, 4, 1), (5, 5, 0), (5, 9, 0)]
)
def test_room(limit: int | None, placed: int, room: int) -> None:
    assert Quota(limit, placed).room(NOON) == room


def test_nobody_is_claimed_under_a_limit_on_the_eve_of_the_next_day() -> None:
    assert Quota(5, 0).room(MIDNIGHT - EVE_SECS - 0.1) == 5
    assert Quota(5, 0).room(MIDNIGHT - EVE_SECS) == 0
    assert Quota(5, 0).room(MIDNIGHT - 0.001) == 0
    assert Quota(5, 0).room(MIDNIGHT) == 5
    assert Quota(None, 0).room(MIDNIGHT - 0.001) == UNLIMITED


@pytest.mark.parametrize(
    ("limit", "placed", "counted", "admitted"),
    [
        (5, 5, True, True),  # it is one of the five
        (5, 5, False, False),
        (5, 4, False, True),
        (5, 6, True, False),  # lowered since it was claimed
        (0, 1, True, False),
        (0, 0, False, False),
        (None, 7, True, True),
    ],
)
def test_who_is_admitted(limit: int | None, placed: int, counted: bool, admitted: bool) -> None:
    assert Quota(limit, placed).admits(counted=counted) is admitted


@given(st.integers(0, 50), st.lists(st.sampled_from(["claim", "void", "go"]), max_size=200))
def test_however_claims_and_withdrawals_follow_each_other_no_more_than_the_limit_is_out(
    limit: int, moves: list[str]
) -> None:
    quota, intents, sent = Quota(limit, 0), 0, 0
    for move in moves:
        if move == "claim" and quota.room(NOON):
            quota, intents = quota.moved(1), intents + 1
        elif move == "void" and intents:
            quota, intents = quota.moved(-1), intents - 1
        elif move == "go" and intents and quota.admits(counted=True):
            intents, sent = intents - 1, sent + 1
        assert sent + intents == quota.placed <= limit
