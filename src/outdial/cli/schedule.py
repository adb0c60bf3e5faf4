"""When to begin and in which hours, as people write it: read against a given now, pure."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WHEN = re.compile(
    r"(?P<day>today|tomorrow|mon|tue|wed|thu|fri|sat|sun|[0-9]{4}-[0-9]{2}-[0-9]{2})[a-z]*"
    r"(?:[T ]\s*(?:at\s+)?|\s+)(?P<clock>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)(?:[.][0-9]+)?"
    r"\s*(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2}|[A-Za-z_]+(?:/[A-Za-z_+\-0-9]+)*)?",
    re.IGNORECASE,
)
_HOURS = re.compile(r"(?:(?P<days>[a-z,\- ]+?)\s+)?(?P<start>[0-9]{2}:[0-9]{2})\s*-\s*(?P<end>[0-9]{2}:[0-9]{2})")
_FORMS = "2026-12-01T09:00+01:00, '2026-12-01 09:00 Europe/Berlin' and 'tomorrow 09:00 Europe/Berlin' can be read"


class Unreadable(ValueError):
    """What was given is no time; the message says what would be."""


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unreadable(f"there is no time zone {name!r}; it is a name such as Europe/Berlin") from None


def begin(text: str, *, now: datetime, zone: str | None = None) -> datetime:
    """The aware instant that is meant; `zone` counts where the text names none. Unreadable where nobody can know."""
    found = _WHEN.fullmatch(text.strip())
    if found is None:
        raise Unreadable(f"{text!r} is no time to begin; {_FORMS}")
    named = found["zone"] or zone
    if named is None:
        raise Unreadable(f"{text!r} names no time zone; say it behind the time, or with --timezone")
    clock = _clock(found["clock"], text)
    offset = re.fullmatch(r"([+-][0-9]{2}):?([0-9]{2})", named)
    if named.upper() in {"Z", "UTC"} or offset:
        tz: Any = UTC if offset is None else datetime.strptime(f"{offset[1]}{offset[2]}", "%z").tzinfo
    else:
        tz = zone_of(named)
    instant = datetime.combine(_day(found["day"], now.astimezone(tz), clock, text), clock, tz)
    if instant.astimezone(UTC).astimezone(tz).replace(tzinfo=None) != instant.replace(tzinfo=None):
        raise Unreadable(f"{text!r}: there is no such time in {named} on that day, clocks jump over it")
    if instant <= now:
        raise Unreadable(f"{text!r} is past; without --schedule it begins at once")
    return instant


def hours_of(texts: list[str], *, zone: str | None = None) -> dict[str, Any]:
    """Calling hours as the wire has them, from `mon-fri 09:00-18:00`; by the clock of `zone`, else of each number."""
    rules = []
    for text in texts:
        found = _HOURS.fullmatch(text.strip().lower())
        if found is None:
            raise Unreadable(f"{text!r} are no calling hours; 'mon-fri 09:00-18:00' and 'sat 10:00-14:00' can be read")
        days = _weekdays(found["days"], text)
        rules.append({"weekdays": days, "start": found["start"], "end": found["end"]})
    return {"timezone": zone, "rules": rules}


def _clock(text: str, whole: str) -> time:
    try:
        return time.fromisoformat(text if len(text.partition(":")[0]) == 2 else f"0{text}")
    except ValueError:
        raise Unreadable(f"{whole!r}: there is no {text} on a clock") from None


def _day(text: str, here: datetime, clock: time, whole: str) -> date:
    word = text.lower()
    if word == "today":
        return here.date()
    if word == "tomorrow":
        return here.date() + timedelta(days=1)
    if word in _DAYS:
        ahead = (_DAYS.index(word) - here.weekday()) % 7
        if ahead == 0 and clock <= here.time():
            ahead = 7
        return here.date() + timedelta(days=ahead)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"{whole!r}: there is no such day") from None


def _weekdays(text: str | None, whole: str) -> list[str] | None:
    """`mon-fri`, `mon,wed`, `sat`; nothing means every day."""
    if text is None:
        return None
    days: list[str] = []
    for part in filter(None, re.split(r"[, ]+", text)):
        first, _, last = (one[:3] for one in part.partition("-"))
        last = last or first
        if first not in _DAYS or last not in _DAYS:
            raise Unreadable(f"{whole!r}: days are written {', '.join(_DAYS)}, from one to another as mon-fri")
        a, b = _DAYS.index(first), _DAYS.index(last)
        days += [_DAYS[n % 7] for n in range(a, (b if b >= a else b + 7) + 1)]
    return list(dict.fromkeys(days))
