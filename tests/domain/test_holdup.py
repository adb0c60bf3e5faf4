"""The words for why nobody is dialled, one row each."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from outdial.domain.daily import Quota
from outdial.domain.holdup import PAUSED, Front, Holdup, Limit, Queue, at, why, why_held_back
from outdial.domain.window import ALWAYS, NOWHERE, CallingHours, parse

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC).timestamp()
DAY = parse({"timezone": None, "rules": [{"weekdays": None, "start": "09:30", "end": "17:00"}]})
IN_PARIS = parse({"timezone": "Europe/Paris", "rules": [{"weekdays": ["mon"], "start": "10:00", "end": "11:00"}]})
NEVER = "they do not open within two weeks for every time zone in which a number that waits may be"
NOTHING = Holdup(
    zone=None,
    scheduled_at=NOW - 10,
    paused=False,
    halted_reason="",
    probe_at=None,
    hours=None,
    hours_of="batch",
    queues=(Queue(ALWAYS, NOW - 5),),
    limits=(Limit("workspace", 100, 99), Limit("agent", None, 500)),
    rate=None,
    rate_wait=0.0,
)


HALTED = (
    "halted: the trunk refuses every call alike (wrong password); "
    "mend its settings (`outdial doctor` says how), then resume"
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"paused": True}, "paused: nobody new is called until it is resumed"),
        ({"halted_reason": "wrong password"}, HALTED),
        (
            {"halted_reason": "wrong password", "asked": ("it is there", NOW - 10), "zone": "Europe/Berlin"},
            f"{HALTED}. Asked at 2027-01-15 08:59:50 Europe/Berlin: it is there",
        ),
        ({"paused": True, "halted_reason": "x", "asked": ("it is there", NOW)}, PAUSED),
        ({"scheduled_at": NOW + 3600}, "scheduled: it begins at 2027-01-15 09:00 UTC"),
        (
            {"scheduled_at": NOW + 3601, "zone": "America/New_York"},
            "scheduled: it begins at 2027-01-15 04:00:01 America/New_York",
        ),
        ({"queues": ()}, "its people are being queued"),
        (
            {"hours": DAY, "queues": (Queue("Europe/Berlin", NOW),)},
            "outside calling hours: they open next at 2027-01-15 09:30 Europe/Berlin",
        ),
        ({"hours": DAY, "queues": (Queue("Europe/Berlin", NOW), Queue("Asia/Dubai", NOW))}, ""),
        (
            {"hours": DAY, "hours_of": "workspace", "queues": (Queue("America/Chicago,America/New_York", NOW),)},
            "outside calling hours of the workspace: they open next at 2027-01-15 15:30 UTC",
        ),
        (
            {"hours": IN_PARIS, "queues": (Queue(ALWAYS, NOW),)},
            "outside calling hours: they open next at 2027-01-18 10:00 Europe/Paris",
        ),
        (
            {"hours": DAY, "queues": (Queue(ALWAYS, NOW),)},
            "outside calling hours: the time zones of its numbers are being looked up",
        ),
        (
            {"hours": DAY, "queues": (Queue(NOWHERE, NOW),)},
            "outside calling hours: nobody can tell in which time zone the numbers that wait are",
        ),
        ({"hours": CallingHours(()), "queues": (Queue("Europe/Berlin", NOW),)}, f"outside calling hours: {NEVER}"),
        (
            {"probe_at": NOW + 4},
            (
                "the network takes no connections (`outdial doctor` tells more): one call tries again at "
                "2027-01-15 08:00:04 UTC"
            ),
        ),
        ({"probe_at": NOW - 4}, ""),
        (
            {"limits": (Limit("workspace", 100, 99), Limit("trunk", 2, 3))},
            "limit reached: 3 of at most 2 calls at once of this trunk are up; it goes on when one ends",
        ),
        ({"rate": 0.5, "rate_wait": 1.5}, "paced: this phone number places 0.5 calls a second"),
        ({"rate": 0.5, "rate_wait": 0.0}, ""),
    ],
)
def test_words(changes: dict[str, object], words: str) -> None:
    assert why(replace(NOTHING, **changes), NOW) == words  # type: ignore[arg-type]  # a table of fields


EVENING = parse({"timezone": "UTC", "rules": [{"weekdays": None, "start": "20:00", "end": "21:00"}]})
FROM_EIGHT = parse({"timezone": "UTC", "rules": [{"weekdays": None, "start": "08:00", "end": "21:00"}]})
TODAY_ONLY = parse({"timezone": "UTC", "rules": [{"weekdays": ["fri"], "start": "07:00", "end": "24:00"}]})
REACHED = "daily limit reached: 7 of at most 7 calls a day of this agent are placed"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"today": Quota(7, 6)}, ""),
        ({"today": Quota(7, 7)}, f"{REACHED}; it goes on at 2027-01-16 00:00 UTC"),
        (
            {"today": Quota(7, 9), "zone": "Asia/Tokyo"},
            f"{REACHED.replace('7 of', '9 of')}; it goes on at 2027-01-16 09:00 Asia/Tokyo",
        ),
        (
            {"today": Quota(0, 0)},
            "daily limit: this agent may call nobody (its daily_limit is 0); it goes on when that is raised",
        ),
        # both hold: the later one is told
        ({"today": Quota(7, 7), "hours": EVENING}, f"{REACHED}; it goes on at 2027-01-16 20:00 UTC"),
        ({"today": Quota(7, 7), "hours": FROM_EIGHT}, f"{REACHED}; it goes on at 2027-01-16 08:00 UTC"),
        (
            {"today": Quota(7, 7), "hours": IN_PARIS},
            "outside calling hours: they open next at 2027-01-18 10:00 Europe/Paris",
        ),
        ({"today": Quota(7, 7), "hours": TODAY_ONLY}, f"{REACHED}; it goes on at 2027-01-22 07:00 UTC"),
        (
            {"today": Quota(7, 7), "hours": CallingHours(()), "queues": (Queue("Europe/Berlin", NOW),)},
            f"outside calling hours: {NEVER}",
        ),
        ({"today": Quota(7, 7), "limits": (Limit("agent", 1, 1),)}, f"{REACHED}; it goes on at 2027-01-16 00:00 UTC"),
        ({"today": Quota(7, 7), "paused": True}, "paused: nobody new is called until it is resumed"),
    ],
)
def test_words_for_a_day_that_is_used_up(changes: dict[str, object], words: str) -> None:
    assert why(replace(NOTHING, **changes), NOW) == words  # type: ignore[arg-type]  # as above


def test_the_most_lasting_reason_is_told() -> None:
    everything = replace(
        NOTHING,
        paused=True,
        halted_reason="x",
        scheduled_at=NOW + 9,
        hours=CallingHours(()),
        limits=(Limit("agent", 1, 1),),
        probe_at=NOW + 1,
    )
    assert why(everything, NOW).startswith("paused")
    assert why(replace(everything, paused=False), NOW).startswith("halted")
    assert why(replace(everything, paused=False, halted_reason=""), NOW).startswith("scheduled")


def test_held_back() -> None:
    busy, back, later, free = (
        Front(busy=True, setbacks=0, due_at=NOW + 1),
        Front(busy=False, setbacks=2, due_at=NOW + 7),
        Front(busy=False, setbacks=0, due_at=NOW + 60),
        Front(busy=False, setbacks=0, due_at=NOW),
    )
    assert why_held_back(NOTHING, [], NOW) == ""
    assert why_held_back(NOTHING, [busy, back, free], NOW) == ""
    assert "calls of other batches" in why_held_back(NOTHING, [busy, busy], NOW)
    assert why_held_back(NOTHING, [busy, back, later], NOW) == (
        "everybody who waits is held back after a setback; it goes on at 2027-01-15 08:00:07 UTC"
    )
    assert "may still be up; it goes on at 2027-01-15 08:01:00 UTC" in why_held_back(NOTHING, [later, busy], NOW)


def test_an_instant_says_whose_clock_it_is() -> None:
    assert at(NOW, "Asia/Tokyo") == "2027-01-15 17:00 Asia/Tokyo"
    assert at(NOW, "Mars/Olympus") == "2027-01-15 08:00 UTC"
    assert at(NOW, None, exact=True) == "2027-01-15 08:00:00 UTC"
    assert at(253_402_300_799, "Pacific/Kiritimati").startswith("9999-12-3")
