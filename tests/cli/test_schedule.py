"""When to begin and in which hours, as people write it."""

from datetime import UTC, datetime

import pytest

from outdial.cli.schedule import Unreadable, begin, hours_of
from outdial.domain.window import parse

NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
"""A Sunday."""


@pytest.mark.parametrize(
    ("text", "zone", "meant"),
    [
        ("2026-12-01T09:00+01:00", None, "2026-12-01T08:00"),
        ("2026-12-01T09:00:30Z", None, "2026-12-01T09:00:30"),
        ("2026-12-01 09:00 Europe/Berlin", None, "2026-12-01T08:00"),
        ("2026-12-01 9:00", "America/New_York", "2026-12-01T14:00"),
        ("tomorrow 09:00 Europe/Berlin", None, "2026-11-23T08:00"),
        ("Tomorrow at 09:00 Asia/Tokyo", None, "2026-11-23T00:00"),
        ("today 18:30 UTC", None, "2026-11-22T18:30"),
        ("monday 10:00 Europe/Berlin", None, "2026-11-23T09:00"),
        ("sun 10:00 Europe/Berlin", None, "2026-11-29T09:00"),
        ("sun 15:00 Europe/Berlin", None, "2026-11-22T14:00"),
        ("tomorrow 09:00 +0530", None, "2026-11-23T03:30"),
        ("tomorrow 09:00 America/Argentina/Buenos_Aires", "Europe/Berlin", "2026-11-23T12:00"),
        ("2026-10-25 02:30 Europe/Berlin", None, ""),
    ],
)
def test_a_time_is_read_in_its_own_zone(text: str, zone: str | None, meant: str) -> None:
    now = NOW if meant else datetime(2026, 10, 1, tzinfo=UTC)
    # of the hour that comes twice when clocks go back, the first is meant
    expected = datetime.fromisoformat(meant or "2026-10-25T00:30").replace(tzinfo=UTC)
    assert begin(text, now=now, zone=zone).timestamp() == expected.timestamp()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("soon", "is no time to begin"),
        ("tomorrow", "is no time to begin"),
        ("tomorrow 09:00", "names no time zone"),
        ("tomorrow 25:00 UTC", "no 25:00 on a clock"),
        ("2026-13-01 09:00 UTC", "no such day"),
        ("2026-11-22 09:00 UTC", "is past"),
        ("today 13:00 UTC", "is past"),
        ("tomorrow 09:00 Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ("2027-03-28 02:30 Europe/Berlin", "clocks jump over it"),
    ],
)
def test_what_nobody_can_know_is_refused(text: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        begin(text, now=NOW)


def test_calling_hours_are_those_of_the_wire() -> None:
    assert hours_of(["mon-fri 09:00-18:00", "sat 10:00-14:00"], zone="Europe/Berlin") == {
        "timezone": "Europe/Berlin",
        "rules": [
            {"weekdays": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "18:00"},
            {"weekdays": ["sat"], "start": "10:00", "end": "14:00"},
        ],
    }
    assert hours_of(["fri-mon 22:00-06:00"])["rules"][0]["weekdays"] == ["fri", "sat", "sun", "mon"]
    assert hours_of(["monday, wednesday 09:00 - 12:00"])["rules"][0]["weekdays"] == ["mon", "wed"]
    every_day = hours_of(["00:00-24:00"])
    assert every_day["rules"][0]["weekdays"] is None
    assert parse(every_day) is not None


@pytest.mark.parametrize("text", ["", "mon-fri", "9-18", "mon-xyz 09:00-18:00", "often 09:00-18:00"])
def test_hours_that_nobody_can_read_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        hours_of([text])
