"""Calling hours: when people may be called, by the clock on the wall where the phone rings.

A number often has several candidate time zones; then every one of them must be open. Recipients whose candidate zones
are the same open and close together: that set is their window class, named by a key that the store keeps.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from outdial.domain.errors import Invalid

ALWAYS = ""
"""The window class of recipients without calling hours."""
NOWHERE = "?"
"""The window class of recipients with calling hours and no known zone: never open."""
HORIZON = timedelta(days=15)
"""How far `opens_next` looks: a weekly rule may miss one week, when a clock change swallows its hour."""

MOST_RULES = 100
"""Rules of one batch or workspace: they are looked through at every turn."""
_MOST_DAYS = 20
"""A day may be named twice; nobody names a thousand."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")


@dataclass(frozen=True, slots=True)
class HoursRule:
    """Open on these weekdays from `start` to before `end`, by the wall clock.

    An `end` that is not after `start` is on the next day: 22:00 to 06:00 spans midnight, 00:00 to 00:00 is a whole day.
    """

    weekdays: frozenset[int]
    """0 = Monday … 6 = Sunday, of the day on which the rule starts."""
    start: time
    end: time

    def holds(self, weekday: int, wall: time) -> bool:
        """Whether it is open at this time of this weekday."""
        if self.start < self.end:
            return weekday in self.weekdays and self.start <= wall < self.end
        began_today = weekday in self.weekdays and wall >= self.start
        return began_today or ((weekday - 1) % 7 in self.weekdays and wall < self.end)


@dataclass(frozen=True, slots=True)
class CallingHours:
    """When people may be called: while any rule holds."""

    rules: tuple[HoursRule, ...]
    zone: str | None = None
    """The zone whose clock counts; None: the candidate zones of each number, all of them."""


def window_class_key(zones: Iterable[str]) -> str:
    """The stable name of a set of zones."""
    return ",".join(sorted(set(zones)))


def zones_of(key: str) -> frozenset[str]:
    """The zones of a window class."""
    return frozenset() if key in {ALWAYS, NOWHERE} else frozenset(key.split(","))


def window_class(hours: CallingHours | None, candidates: Iterable[str], *, otherwise: str | None = None) -> str:
    """The class of a recipient; `otherwise` is the zone to assume for a number whose own zones nobody can tell."""
    if hours is None:
        return ALWAYS
    if hours.zone is not None:
        return window_class_key([hours.zone])
    return window_class_key(candidates) or otherwise or NOWHERE


def open_at(hours: CallingHours | None, zones: Iterable[str], instant: datetime) -> bool:
    """Whether a phone with these candidate zones may be called at this (aware) instant.

    Without hours: always. With hours by each number's own zones and no zone known: never.
    """
    if hours is None:
        return True
    wall_clocks = _wall_clocks(hours, zones)
    return bool(wall_clocks) and all(_open(hours, zone, instant) for zone in wall_clocks)


def open_through(hours: CallingHours | None, zones: Collection[str], instant: datetime, lasting: timedelta) -> bool:
    """Whether it is open at this instant and still a while later: what is begun now may be sent a little later."""
    return open_at(hours, zones, instant) and open_at(hours, zones, instant + lasting)


def opens_next(hours: CallingHours | None, zones: Iterable[str], instant: datetime) -> datetime | None:
    """The first instant (UTC) from this one on at which it is open; None: not within HORIZON."""
    if hours is None:
        return instant.astimezone(UTC)
    wall_clocks = _wall_clocks(hours, zones)
    if not wall_clocks:
        return None
    # the hours common to all zones begin where those of one zone begin
    beginnings = {begin for zone in wall_clocks for begin in _beginnings(hours, zone, instant) if begin > instant}
    for moment in (instant.astimezone(UTC), *sorted(beginnings)):
        if all(_open(hours, zone, moment) for zone in wall_clocks):
            return moment
    return None


class Openings:
    """Remembers what `opens_next` said for as long as it stays true: a class of many zones takes it milliseconds."""

    MOST = 10_000
    NEVER_SECS = 3600.0
    """How long it is believed that there is none."""

    def __init__(self) -> None:
        self._known: dict[tuple[CallingHours, str], tuple[float, float, datetime | None]] = {}

    def next(self, hours: CallingHours, key: str, instant: datetime) -> datetime | None:
        """The first instant from this one on at which the window class of this key is open."""
        now = instant.timestamp()
        since, until, opening = self._known.get((hours, key), (0.0, 0.0, None))
        if not since <= now < until:
            opening = opens_next(hours, zones_of(key), instant)
            if len(self._known) >= self.MOST:
                self._known.clear()
            until = now + self.NEVER_SECS if opening is None else opening.timestamp()
            self._known[hours, key] = now, until, opening
        return opening


def _wall_clocks(hours: CallingHours, zones: Iterable[str]) -> list[ZoneInfo]:
    names = set(zones) if hours.zone is None else {hours.zone}
    return [_zone(name) for name in sorted(names)]


def _open(hours: CallingHours, zone: ZoneInfo, instant: datetime) -> bool:
    wall = instant.astimezone(zone)
    weekday, clock = wall.weekday(), wall.time()
    return any(rule.holds(weekday, clock) for rule in hours.rules)


def _beginnings(hours: CallingHours, zone: ZoneInfo, instant: datetime) -> Iterator[datetime]:
    """Every instant (UTC) within the horizon at which a rule may begin to hold in this zone, in no order."""
    today = instant.astimezone(zone).date()
    days = [today + timedelta(days=n) for n in range(-1, HORIZON.days + 1)]
    for day in days:
        for rule in hours.rules:
            if day.weekday() in rule.weekdays:
                # when clocks go back, the same wall time comes twice
                yield _instant(day, rule.start, zone, fold=0)
                yield _instant(day, rule.start, zone, fold=1)
    for day, next_day in pairwise(days):
        # a clock change can open too: it jumps over the start, or back before the end
        yield from _clock_change(_instant(day, time(), zone), _instant(next_day, time(), zone), zone)


def _clock_change(low: datetime, high: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The instant between these two at which the zone's offset changes, to the second, if it does."""
    before = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == before:
        return
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    yield high


def _instant(day: date, clock: time, zone: ZoneInfo, *, fold: int = 0) -> datetime:
    return datetime.combine(day, clock, tzinfo=zone).replace(fold=fold).astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        return _read_zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        why = f"there is no time zone {name[:64]!r}; use an IANA name such as Europe/Berlin"
        raise _invalid(why, "timezone") from None


@lru_cache(maxsize=1_024)
def _read_zone(name: str) -> ZoneInfo:
    """ZoneInfo itself keeps eight: a number with all zones of its country would have them read from disk each time."""
    return ZoneInfo(name)


# --- from JSON -----------------------------------------------------------------------------------------------------


def parse(plain: Mapping[str, object] | None) -> CallingHours | None:
    """Calling hours from their JSON, None where there are none; Invalid names the place that can't be used.

    `{"timezone": "Europe/Berlin" | null, "rules": [{"weekdays": ["mon", …] | [0, …] | null, "start": "09:00",
    "end": "18:00"}, …]}`; null weekdays mean every day, an end of 24:00 is midnight.
    """
    if plain is None:
        return None
    _only(plain, {"timezone", "rules"}, "")
    zone = plain.get("timezone")
    if zone is not None:
        if not isinstance(zone, str):
            raise _invalid("a time zone is a text such as Europe/Berlin", "timezone")
        _zone(zone)
    rules = plain.get("rules")
    if not isinstance(rules, Sequence) or isinstance(rules, str) or not rules:
        raise _invalid("calling hours need at least one rule", "rules")
    if len(rules) > MOST_RULES:
        raise _invalid(f"calling hours have at most {MOST_RULES} rules", "rules")
    return CallingHours(tuple(_rule(rule, f"rules.{n}") for n, rule in enumerate(rules)), zone)


def render(hours: CallingHours) -> dict[str, object]:
    """The JSON of these hours, as `parse` reads it."""
    return {
        "timezone": hours.zone,
        "rules": [
            {
                "weekdays": [_DAYS[n] for n in sorted(rule.weekdays)],
                "start": rule.start.isoformat("auto" if rule.start.second else "minutes"),
                "end": "24:00" if rule.end == time() else rule.end.isoformat("auto" if rule.end.second else "minutes"),
            }
            for rule in hours.rules
        ],
    }


def _rule(plain: object, place: str) -> HoursRule:
    if not isinstance(plain, Mapping):
        raise _invalid("a rule is an object with weekdays, start and end", place)
    _only(plain, {"weekdays", "start", "end"}, f"{place}.")
    start = _time(plain.get("start"), f"{place}.start")
    to_midnight = plain.get("end") == "24:00"
    end = time() if to_midnight else _time(plain.get("end"), f"{place}.end")
    if start == end and not to_midnight:
        raise _invalid("a rule must not end when it starts; a whole day is 00:00 to 24:00", f"{place}.end")
    return HoursRule(_weekdays(plain.get("weekdays"), f"{place}.weekdays"), start, end)


def _weekdays(plain: object, place: str) -> frozenset[int]:
    if plain is None:
        return frozenset(range(7))
    if not isinstance(plain, Sequence) or isinstance(plain, str) or not plain or len(plain) > _MOST_DAYS:
        raise _invalid('weekdays are a list such as [0, 1] or ["mon", "tue"]', place)
    return frozenset(_weekday(day, place) for day in plain)


def _weekday(day: object, place: str) -> int:
    if isinstance(day, int) and not isinstance(day, bool) and 0 <= day <= 6:
        return day
    if isinstance(day, str) and day.lower() in _DAYS:
        return _DAYS.index(day.lower())
    raise _invalid(f"a weekday is 0 (Monday) to 6, or one of {', '.join(_DAYS)}, not {str(day)[:20]!r}", place)


def _time(plain: object, place: str) -> time:
    found = _CLOCK.fullmatch(plain) if isinstance(plain, str) else None
    if found is None:
        raise _invalid(f"a time is written as 09:00, not {str(plain)[:20]!r}", place)
    hour, minute, second = found.groups(default="0")
    return time(int(hour), int(minute), int(second))


def _only(plain: Mapping[str, object], known: set[str], place: str) -> None:
    if unknown := next((str(key) for key in plain if key not in known), None):
        raise _invalid(f"{unknown[:64]!r} is not known here; known are {', '.join(sorted(known))}", f"{place}{unknown}")


def _invalid(message: str, place: str) -> Invalid:
    return Invalid(message, code="invalid_calling_hours", param=f"calling_hours.{place}")
