"""Calling hours by the clock where the phone rings."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outdial.domain.errors import Invalid
from outdial.domain.window import (
    ALWAYS,
    NOWHERE,
    CallingHours,
    HoursRule,
    open_at,
    opens_next,
    parse,
    render,
    window_class,
    window_class_key,
    zones_of,
)

DAILY = frozenset(range(7))
WORKDAYS = frozenset(range(5))
BERLIN, NEW_YORK, LOS_ANGELES = "Europe/Berlin", "America/New_York", "America/Los_Angeles"


def hours(start: str, end: str, weekdays: frozenset[int] = DAILY, zone: str | None = None) -> CallingHours:
    return CallingHours((HoursRule(weekdays, time.fromisoformat(start), time.fromisoformat(end)),), zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# 2026-01-05 is a Monday; Berlin is UTC+1 then
@pytest.mark.parametrize(
    ("rule", "instant", "is_open"),
    [
        (hours("09:00", "18:00"), "2026-01-05T08:00:00", True),
        (hours("09:00", "18:00"), "2026-01-05T07:59:59.999999", False),
        (hours("09:00", "18:00"), "2026-01-05T16:59:59.999999", True),
        (hours("09:00", "18:00"), "2026-01-05T17:00:00", False),
        (hours("09:00", "18:00", WORKDAYS), "2026-01-04T10:00:00", False),  # Sunday
        (hours("22:00", "06:00", frozenset({0})), "2026-01-05T21:00:00", True),
        (hours("22:00", "06:00", frozenset({0})), "2026-01-06T04:59:00", True),  # Tuesday morning is Monday's night
        (hours("22:00", "06:00", frozenset({0})), "2026-01-06T05:00:00", False),
        (hours("22:00", "06:00", frozenset({0})), "2026-01-05T04:00:00", False),  # Monday morning is Sunday's night
        (hours("22:00", "06:00", frozenset({6})), "2026-01-05T04:00:00", True),
        (hours("09:00", "00:00", frozenset({0})), "2026-01-05T22:59:00", True),
        (hours("09:00", "00:00", frozenset({0})), "2026-01-05T23:00:00", False),
        (hours("00:00", "00:00", frozenset({0})), "2026-01-04T23:00:00", True),
        (hours("00:00", "00:00", frozenset({0})), "2026-01-05T23:00:00", False),
        # spring 2026-03-29: 02:00 to 03:00 does not exist
        (hours("02:00", "03:00"), "2026-03-29T00:59:59", False),
        (hours("02:00", "03:00"), "2026-03-29T01:00:00", False),
        (hours("02:30", "05:00"), "2026-03-29T01:00:00", True),
        # autumn 2026-10-25: 02:00 to 03:00 comes twice, and both are in the hours
        (hours("02:00", "03:00"), "2026-10-25T00:30:00", True),
        (hours("02:00", "03:00"), "2026-10-25T01:30:00", True),
        (hours("02:00", "03:00"), "2026-10-25T02:00:00", False),
        (hours("01:00", "02:30"), "2026-10-25T00:45:00", False),
        (hours("01:00", "02:30"), "2026-10-25T01:15:00", True),
    ],
)
def test_open_by_the_wall_clock_in_berlin(rule: CallingHours, instant: str, is_open: bool) -> None:
    assert open_at(rule, [BERLIN], utc(instant)) is is_open


def test_every_candidate_zone_must_be_open() -> None:
    rule = hours("09:00", "18:00")
    assert open_at(rule, [NEW_YORK], utc("2026-01-05T14:00:00"))
    assert not open_at(rule, [NEW_YORK, LOS_ANGELES], utc("2026-01-05T14:00:00"))
    assert open_at(rule, [NEW_YORK, LOS_ANGELES], utc("2026-01-05T17:00:00"))


def test_the_hours_own_zone_goes_before_the_numbers() -> None:
    rule = hours("09:00", "18:00", zone=BERLIN)
    assert open_at(rule, [LOS_ANGELES], utc("2026-01-05T08:00:00"))
    assert open_at(rule, [], utc("2026-01-05T08:00:00"))


def test_without_hours_always_and_without_a_zone_never() -> None:
    now = utc("2026-01-05T03:00:00")
    assert open_at(None, [], now)
    assert opens_next(None, [], now) == now
    assert not open_at(hours("00:00", "00:00"), [], now)
    assert opens_next(hours("00:00", "00:00"), [], now) is None


@pytest.mark.parametrize(
    ("rule", "zones", "instant", "opens"),
    [
        (hours("09:00", "18:00"), [BERLIN], "2026-01-05T10:00:00.5", "2026-01-05T10:00:00.5"),
        (hours("09:00", "18:00"), [BERLIN], "2026-01-05T17:00:00", "2026-01-06T08:00:00"),
        (hours("09:00", "18:00", WORKDAYS), [BERLIN], "2026-01-09T17:00:00", "2026-01-12T08:00:00"),
        (hours("22:00", "06:00", frozenset({0})), [BERLIN], "2026-01-06T05:00:00", "2026-01-12T21:00:00"),
        (hours("09:00", "18:00"), [NEW_YORK, LOS_ANGELES], "2026-01-05T14:00:00", "2026-01-05T17:00:00"),
        # the start is in the gap: it opens when the gap is over
        (hours("02:30", "05:00"), [BERLIN], "2026-03-29T00:00:00", "2026-03-29T01:00:00"),
        # the gap swallows the only hour of the week: the week after
        (hours("02:00", "03:00", frozenset({6})), [BERLIN], "2026-03-23T00:00:00", "2026-04-05T00:00:00"),
        # the repeated hour opens again
        (hours("02:30", "02:45"), [BERLIN], "2026-10-25T00:45:00", "2026-10-25T01:30:00"),
        (hours("01:00", "02:30"), [BERLIN], "2026-10-25T00:31:00", "2026-10-25T01:00:00"),
        # Samoa had no 30 December 2011, a Friday
        (hours("09:00", "10:00", frozenset({4})), ["Pacific/Apia"], "2011-12-29T00:00:00", "2012-01-05T19:00:00"),
        # a day that begins at one: Beirut, 2026-03-29
        (hours("00:00", "02:00", frozenset({6})), ["Asia/Beirut"], "2026-03-28T20:00:00", "2026-03-28T22:00:00"),
    ],
)
def test_opens_next(rule: CallingHours, zones: list[str], instant: str, opens: str) -> None:
    assert opens_next(rule, zones, utc(instant)) == utc(opens)


def test_zones_that_never_share_an_hour_never_open() -> None:
    assert opens_next(hours("09:00", "11:00"), [BERLIN, LOS_ANGELES], utc("2026-01-05T00:00:00")) is None
    assert opens_next(CallingHours((), BERLIN), [], utc("2026-01-05T00:00:00")) is None


CLOCKS = st.times().map(lambda t: t.replace(minute=t.minute // 15 * 15, second=0, microsecond=0))
RULES = st.builds(HoursRule, st.frozensets(st.integers(0, 6), min_size=1), CLOCKS, CLOCKS)
ZONES = st.lists(
    st.sampled_from([BERLIN, NEW_YORK, LOS_ANGELES, "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]),
    min_size=1,
    max_size=3,
)
# around the clock changes of north and south
INSTANTS = st.builds(
    lambda start, minutes: start + timedelta(minutes=minutes),
    st.sampled_from([utc("2026-03-27T00:00:00"), utc("2026-10-23T00:00:00"), utc("2026-04-03T00:00:00")]),
    st.integers(0, 5 * 1440),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(RULES, min_size=1, max_size=3), ZONES, INSTANTS)
def test_opens_next_is_the_first_open_quarter_of_an_hour(
    rules: list[HoursRule], zones: list[str], instant: datetime
) -> None:
    rule = CallingHours(tuple(rules))
    found = opens_next(rule, zones, instant)
    if found is not None:
        assert found >= instant
        assert open_at(rule, zones, found)
    # rules, offsets and clock changes all lie on quarters of an hour, so what is open is open at one of them
    quarter = instant.replace(minute=instant.minute // 15 * 15) + timedelta(minutes=15)
    end = min(found or instant + timedelta(days=4), instant + timedelta(days=4))
    assert found == instant or not open_at(rule, zones, instant)
    while quarter < end:
        assert not open_at(rule, zones, quarter)
        quarter += timedelta(minutes=15)


def test_window_classes_are_sets_of_zones() -> None:
    assert window_class_key([NEW_YORK, BERLIN, NEW_YORK]) == window_class_key([BERLIN, NEW_YORK])
    assert zones_of(window_class_key([NEW_YORK, BERLIN])) == {BERLIN, NEW_YORK}
    assert window_class_key([]) == ALWAYS
    assert zones_of(ALWAYS) == zones_of(NOWHERE) == frozenset()


@pytest.mark.parametrize(
    ("rule", "candidates", "otherwise", "key"),
    [
        (None, [BERLIN], None, ALWAYS),
        (hours("09:00", "18:00"), [BERLIN], NEW_YORK, BERLIN),
        (hours("09:00", "18:00"), [], NEW_YORK, NEW_YORK),
        (hours("09:00", "18:00"), [], None, NOWHERE),
        (hours("09:00", "18:00", zone=NEW_YORK), [BERLIN], None, NEW_YORK),
    ],
)
def test_window_class_of_a_recipient(
    rule: CallingHours | None, candidates: list[str], otherwise: str | None, key: str
) -> None:
    assert window_class(rule, candidates, otherwise=otherwise) == key


def test_parse_reads_what_people_write() -> None:
    found = parse(
        {
            "timezone": BERLIN,
            "rules": [
                {"weekdays": ["mon", "Tue", 2], "start": "09:00", "end": "18:30:30"},
                {"start": "00:00", "end": "24:00", "weekdays": [6]},
                {"weekdays": None, "start": "22:00", "end": "24:00"},
            ],
        }
    )
    assert found == CallingHours(
        (
            HoursRule(frozenset({0, 1, 2}), time(9), time(18, 30, 30)),
            HoursRule(frozenset({6}), time(), time()),
            HoursRule(DAILY, time(22), time()),
        ),
        BERLIN,
    )
    assert parse(render(found)) == found
    assert parse(None) is None


GOOD = {"start": "09:00", "end": "18:00"}


@pytest.mark.parametrize(
    ("plain", "param"),
    [
        ({}, "rules"),
        ({"rules": []}, "rules"),
        ({"rules": "mon"}, "rules"),
        ({"rules": [GOOD] * 101}, "rules"),
        ({"rules": [{**GOOD, "weekdays": ["mon"] * 21}]}, "rules.0.weekdays"),
        ({"rules": [GOOD], "zone": BERLIN}, "zone"),
        ({"rules": [GOOD], "timezone": "Europe/Atlantis"}, "timezone"),
        ({"rules": [GOOD], "timezone": "../etc/passwd"}, "timezone"),
        ({"rules": [GOOD], "timezone": "Europe"}, "timezone"),
        ({"rules": [GOOD], "timezone": ""}, "timezone"),
        ({"rules": [GOOD], "timezone": 1}, "timezone"),
        ({"rules": [GOOD, 5]}, "rules.1"),
        ({"rules": [{**GOOD, "days": []}]}, "rules.0.days"),
        ({"rules": [{**GOOD, "weekdays": []}]}, "rules.0.weekdays"),
        ({"rules": [{**GOOD, "weekdays": [7]}]}, "rules.0.weekdays"),
        ({"rules": [{**GOOD, "weekdays": [True]}]}, "rules.0.weekdays"),
        ({"rules": [{**GOOD, "weekdays": "mon"}]}, "rules.0.weekdays"),
        ({"rules": [{**GOOD, "start": "9:00"}]}, "rules.0.start"),
        ({"rules": [{**GOOD, "start": "24:00"}]}, "rules.0.start"),
        ({"rules": [{**GOOD, "start": 900}]}, "rules.0.start"),
        ({"rules": [{"start": "09:00"}]}, "rules.0.end"),
        ({"rules": [{**GOOD, "end": "18:60"}]}, "rules.0.end"),
        ({"rules": [{"start": "09:00", "end": "09:00"}]}, "rules.0.end"),
        ({"rules": [{"start": "00:00", "end": "00:00"}]}, "rules.0.end"),
    ],
)
def test_parse_names_the_place_that_is_wrong(plain: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(plain)
    assert caught.value.param == f"calling_hours.{param}"
