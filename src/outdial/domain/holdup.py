"""Why nobody is being dialled for a batch just now, and when it goes on: in words, with time and zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from outdial.domain.daily import Quota, next_day
from outdial.domain.window import ALWAYS, NOWHERE, CallingHours, Openings, open_at, zones_of

PAUSED = "paused: nobody new is called until it is resumed"
ALL_LISTED = "everybody on the list is on the do-not-call list"


@dataclass(frozen=True, slots=True)
class Queue:
    """The people of one window class who wait."""

    key: str
    """Of the window class (domain/window.py)."""
    next_due: float
    """Unix seconds at which the first of them is due."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of a limit is used."""

    of: str
    """What it limits: workspace, agent, phone number, trunk, batch."""
    cap: int | None
    live: int

    @property
    def reached(self) -> bool:
        """Whether no other call may start."""
        return self.cap is not None and self.live >= self.cap


@dataclass(frozen=True, slots=True)
class Front:
    """The first who waits and is not outside calling hours."""

    busy: bool
    """The number is in a call of somebody else's."""
    setbacks: int
    due_at: float


@dataclass(frozen=True, slots=True)
class Holdup:
    """A batch in which people wait, as far as it says why. Instants are unix seconds."""

    zone: str | None
    """Whose clock people read: the batch's."""
    scheduled_at: float
    paused: bool
    halted_reason: str
    probe_at: float | None
    """Before which nobody may try its trunk, where that is being probed."""
    hours: CallingHours | None
    hours_of: str
    """Whose calling hours these are: batch or workspace."""
    queues: tuple[Queue, ...]
    limits: tuple[Limit, ...]
    rate: float | None
    """Calls per second of the number."""
    rate_wait: float
    """Seconds until the rate allows the next call."""
    today: Quota | None = None
    """Of the agent, where its calls a day are limited."""
    asked: tuple[str, float] | None = None
    """What its halted trunk said when it was asked last whether it is there, and when."""
    trying: int | None = None
    """Calls that try its trunk for the others, where there may be no more; None: nobody waits for them."""


def why(holdup: Holdup, now: float) -> str:
    """What keeps everybody waiting, the most lasting first; empty if nothing does, as far as this much tells."""
    reasons = (_held, _not_begun, _used_up, _closed, _probed, _tried, _limited)
    return next((reason for find in reasons if (reason := find(holdup, now))), "")


def _held(holdup: Holdup, _now: float) -> str:
    if holdup.paused or not holdup.halted_reason or holdup.asked is None:
        return PAUSED if holdup.paused else halted(holdup.halted_reason)
    says, when = holdup.asked
    return f"{halted(holdup.halted_reason)}. Asked at {at(when, holdup.zone, exact=True)}: {says}"


def halted(reason: str) -> str:
    """What to say of a halted trunk; empty while it is not halted."""
    way = "mend its settings (`outdial doctor` says how), then resume"
    return reason and f"halted: the trunk refuses every call alike ({reason}); {way}"


def _not_begun(holdup: Holdup, now: float) -> str:
    if holdup.scheduled_at > now:
        return f"scheduled: it begins at {at(holdup.scheduled_at, holdup.zone)}"
    return "" if holdup.queues else "its people are being queued"


def _probed(holdup: Holdup, now: float) -> str:
    if holdup.probe_at is None or holdup.probe_at <= now:
        return ""
    again = at(holdup.probe_at, holdup.zone, exact=True)
    return f"the network takes no connections (`outdial doctor` tells more): one call tries again at {again}"


def _tried(holdup: Holdup, _now: float) -> str:
    if holdup.trying is None:
        return ""
    return (
        f"this trunk has yet to show that it takes calls: {holdup.trying} try it (never more than three), "
        "and all others go as soon as one of them rings"
    )


def why_held_back(holdup: Holdup, fronts: Sequence[Front], now: float) -> str:
    """What keeps all of those in front waiting: a back-off, or that their numbers are in other calls."""
    if not fronts or not all(front.busy or front.due_at > now for front in fronts):
        return ""
    if all(front.busy for front in fronts):
        return "the numbers that wait are in calls of other batches just now; it goes on when those end"
    first = min((front for front in fronts if not front.busy), key=lambda front: front.due_at)
    when = at(first.due_at, holdup.zone, exact=True)
    if first.setbacks:
        return f"everybody who waits is held back after a setback; it goes on at {when}"
    return f"nobody is due yet: earlier calls of those who wait may still be up; it goes on at {when}"


def in_doubt(calls: int, over_at: float, zone: str | None) -> str:
    """What to say of calls that nobody can be asked about: they hold their places until they must be over."""
    are = "1 call is" if calls == 1 else f"{calls} calls are"
    why = "who placed them is gone, or they had no word since"
    return f"{are} in doubt: {why}; without news they end as unknown by {at(over_at, zone, exact=True)}"


def at(instant: float, zone: str | None, *, exact: bool = False) -> str:
    """An instant by the clock of this zone, and which clock that is; to the second where that says more."""
    name = zone or "UTC"
    try:
        wall = datetime.fromtimestamp(instant, UTC).astimezone(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError):
        name, wall = "UTC", datetime.fromtimestamp(min(instant, _LAST), UTC)
    return f"{wall:%Y-%m-%d %H:%M:%S} {name}" if exact or wall.second else f"{wall:%Y-%m-%d %H:%M} {name}"


_LAST = datetime.max.replace(tzinfo=UTC).timestamp() - 86_400


def open_queues(holdup: Holdup, now: float) -> list[Queue]:
    """Those whose calling hours are open."""
    instant = datetime.fromtimestamp(now, UTC)
    return [queue for queue in holdup.queues if open_at(holdup.hours, zones_of(queue.key), instant)]


_OPENINGS, _OF_THE_NEXT_DAY = Openings(), Openings()


def _used_up(holdup: Holdup, now: float) -> str:
    """What to say when the agent's calls of this day are placed, unless calling hours begin later than the next day."""
    today = holdup.today
    if today is None or today.left > 0:
        return ""
    if today.limit == 0:
        return "daily limit: this agent may call nobody (its daily_limit is 0); it goes on when that is raised"
    tomorrow = next_day(now)
    if not open_queues(holdup, now):
        opening = _first_opening(holdup, now, _OPENINGS)
        if opening is None or opening[0] >= tomorrow:
            return ""
    reached = f"daily limit reached: {today.placed} of at most {today.limit} calls a day of this agent are placed"
    following = (tomorrow, "") if open_queues(holdup, tomorrow) else _first_opening(holdup, tomorrow, _OF_THE_NEXT_DAY)
    if following is None:
        return f"{reached}; the next day begins at {at(tomorrow, holdup.zone)}"
    return f"{reached}; it goes on at {at(following[0], holdup.zone)}"


def _first_opening(holdup: Holdup, now: float, openings: Openings) -> tuple[float, str] | None:
    """When the first of those who wait may be called, from `now` on, and of which window class he is."""
    if holdup.hours is None:
        return now, ALWAYS
    instant = datetime.fromtimestamp(now, UTC)
    found = ((openings.next(holdup.hours, queue.key, instant), queue.key) for queue in holdup.queues)
    return min(((when.timestamp(), key) for when, key in found if when is not None), default=None)


def _closed(holdup: Holdup, now: float) -> str:
    """What to say when everybody is outside calling hours."""
    hours = holdup.hours
    if hours is None or open_queues(holdup, now):
        return ""
    outside = "outside calling hours" + ("" if holdup.hours_of == "batch" else f" of the {holdup.hours_of}")
    opening = _first_opening(holdup, now, _OPENINGS)
    if opening is None:
        return f"{outside}: {_never(hours, frozenset(queue.key for queue in holdup.queues))}"
    when, key = opening
    zones = sorted(zones_of(key))
    zone = hours.zone or (zones[0] if len(zones) == 1 else holdup.zone)
    return f"{outside}: they open next at {at(when, zone)}"


def _never(hours: CallingHours, keys: frozenset[str]) -> str:
    """Why no opening is known."""
    if hours.zone is None and ALWAYS in keys:
        return "the time zones of its numbers are being looked up"
    if hours.zone is None and keys == {NOWHERE}:
        return "nobody can tell in which time zone the numbers that wait are"
    return "they do not open within two weeks for every time zone in which a number that waits may be"


def _limited(holdup: Holdup, _now: float) -> str:
    for limit in holdup.limits:
        if limit.reached:
            return (
                f"limit reached: {limit.live} of at most {limit.cap} calls at once of this {limit.of} are up; "
                "it goes on when one ends"
            )
    if holdup.rate is not None and holdup.rate_wait > 0:
        return f"paced: this phone number places {holdup.rate:g} calls a second"
    return ""
