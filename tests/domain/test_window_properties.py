"""Calling hours over zones and clock changes, against a second and plainer reading of the same rule."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outdial.domain.window import (
    CallingHours,
    HoursRule,
    Openings,
    open_at,
    open_through,
    opens_next,
    parse,
    render,
    window_class,
    window_class_key,
    zones_of,
)

# north and south of the equator, half and quarter hours, a change of 30 minutes, none at all, at midnight, west of 180°
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Asia/Beirut",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "UTC",
)
CHANGES = (
    "2026-03-08T07:00",  # New York, spring
    "2026-03-29T01:00",  # Berlin, London, spring
    "2026-03-28T22:00",  # Beirut, spring, at midnight
    "2026-04-04T15:00",  # Sydney and Lord Howe, autumn
    "2026-04-05T03:00",  # Santiago, autumn
    "2026-04-23T22:00",  # Cairo, spring, at midnight
    "2026-09-06T04:00",  # Santiago, spring, at midnight
    "2026-10-03T16:00",  # Sydney, spring
    "2026-10-25T01:00",  # Berlin, London, autumn
    "2026-11-01T06:00",  # New York, autumn
    "2027-01-01T00:00",
)

clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45, 59]), st.sampled_from([0, 0, 0, 30]))
rules = st.builds(HoursRule, st.frozensets(st.integers(0, 6), min_size=1), clocks, clocks)
all_rules = st.lists(rules, min_size=1, max_size=3).map(tuple)
zones = st.sets(st.sampled_from(ZONES), min_size=1, max_size=4)
instants = st.builds(
    lambda change, seconds: datetime.fromisoformat(change).replace(tzinfo=UTC) + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-3 * 86_400, 3 * 86_400),
)


def plainly_open(all_: tuple[HoursRule, ...], zone: str, instant: datetime) -> bool:
    """By intervals of wall time, each of which begins on a day that is named."""
    wall = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    for rule in all_:
        for back in (0, 1):
            began: date = wall.date() - timedelta(days=back)
            start = datetime.combine(began, rule.start)
            stop = datetime.combine(began, rule.end)
            if stop <= start:
                stop += timedelta(days=1)
            if began.weekday() in rule.weekdays and start <= wall < stop:
                return True
    return False


@settings(deadline=None, max_examples=300)
@given(all_rules, zones, instants)
def test_open_is_open_in_every_candidate_zone_by_its_own_wall_clock(
    all_: tuple[HoursRule, ...], where: set[str], instant: datetime
) -> None:
    hours = CallingHours(all_)
    each = {zone: plainly_open(all_, zone, instant) for zone in where}
    assert open_at(hours, where, instant) is all(each.values())
    for zone in where:
        assert open_at(CallingHours(all_, zone), where, instant) is each[zone]
    assert not open_at(hours, [], instant)


@settings(deadline=None, max_examples=150)
@given(all_rules, zones, instants)
@example((HoursRule(frozenset({6}), time(2, 30), time(2, 45)),), {"Europe/Berlin"}, datetime(2026, 10, 25, tzinfo=UTC))
@example(
    (HoursRule(frozenset({5}), time(23, 30), time(0, 30)),), {"Asia/Beirut"}, datetime(2026, 3, 28, 12, tzinfo=UTC)
)
def test_the_next_opening_is_open_and_nothing_before_it_is(
    all_: tuple[HoursRule, ...], where: set[str], instant: datetime
) -> None:
    hours = CallingHours(all_)
    found = opens_next(hours, where, instant)
    until = min(found or instant + timedelta(days=2), instant + timedelta(days=2))
    if found is not None:
        assert found >= instant
        assert open_at(hours, where, found)
        if found > instant:
            assert not open_at(hours, where, found - timedelta(seconds=1))
    moment = instant
    while moment < until:  # rules begin and end on half minutes, clocks change on whole ones
        assert not open_at(hours, where, moment), moment
        moment += timedelta(minutes=7, seconds=30)


@settings(deadline=None, max_examples=100)
@given(all_rules, zones, instants)
def test_a_wider_set_of_candidates_is_never_open_longer(
    all_: tuple[HoursRule, ...], where: set[str], instant: datetime
) -> None:
    hours = CallingHours(all_)
    if open_at(hours, where, instant):
        assert all(open_at(hours, [zone], instant) for zone in where)
    both = opens_next(hours, where, instant)
    if both is not None:
        for zone in where:
            alone = opens_next(hours, [zone], instant)
            assert alone is not None
            assert alone <= both


@settings(deadline=None, max_examples=100)
@given(all_rules, zones, instants, st.integers(0, 600))
def test_what_is_open_through_a_while_is_open_at_both_its_ends(
    all_: tuple[HoursRule, ...], where: set[str], instant: datetime, seconds: int
) -> None:
    hours, lasting = CallingHours(all_), timedelta(seconds=seconds)
    both = open_at(hours, where, instant) and open_at(hours, where, instant + lasting)
    assert open_through(hours, where, instant, lasting) is both
    assert open_through(None, where, instant, lasting)


@given(all_rules, st.none() | st.sampled_from(ZONES))
def test_hours_survive_their_json(all_: tuple[HoursRule, ...], zone: str | None) -> None:
    whole_days = tuple(r for r in all_ if r.start != r.end or r.end == time())
    hours = CallingHours(whole_days or (HoursRule(frozenset({0}), time(9), time(10)),), zone)
    assert parse(render(hours)) == hours


@given(zones, st.none() | st.sampled_from(ZONES))
def test_a_window_class_is_open_as_its_zones_are(where: set[str], otherwise: str | None) -> None:
    hours = CallingHours((HoursRule(frozenset(range(7)), time(9), time(17)),))
    assert zones_of(window_class(hours, where, otherwise=otherwise)) == where
    assert window_class_key(sorted(where, reverse=True)) == window_class_key(where)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("year", [2025, 2026, 2027])
def test_a_daily_hour_is_open_as_often_as_the_year_has_such_days(zone: str, year: int) -> None:
    """Walked from opening to opening: a clock change may swallow one, or let one come twice, and no more."""
    hours = CallingHours((HoursRule(frozenset(range(7)), time(2, 30), time(3, 30)),), zone)
    moment = datetime(year, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = datetime(year + 1, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    openings = 0
    while (found := opens_next(hours, [], moment)) is not None and found < end:
        openings += 1
        moment = found
        while open_at(hours, [], moment):
            moment += timedelta(minutes=5)
    assert 365 <= openings <= 367


@settings(deadline=None, max_examples=60)
@given(all_rules, zones, instants, st.lists(st.integers(-4 * 86_400, 9 * 86_400), min_size=1, max_size=6))
def test_a_remembered_opening_is_the_one_that_would_be_found(
    all_: tuple[HoursRule, ...], where: set[str], instant: datetime, seconds: list[int]
) -> None:
    hours, key, openings = CallingHours(all_), window_class_key(where), Openings()
    for moment in [instant, *(instant + timedelta(seconds=n) for n in seconds)]:
        found = opens_next(hours, where, moment)
        if found is not None:  # that there is none may be believed for an hour too long
            assert openings.next(hours, key, moment) in {found, None}
        if found == moment:
            assert open_at(hours, where, moment)
