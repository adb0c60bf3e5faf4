"""What is said of a list: what was guessed and mended, what is wrong row by row, and what to do about it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outdial.batches.lists.shape import Problem, Repair, Wrong
from outdial.batches.people import MOST_PEOPLE
from outdial.cli.gathering import SHOWN, Gathered
from outdial.domain.number import zones
from outdial.domain.window import CallingHours, opens_next

_MENDED = {
    Repair.APOSTROPHE: 'an apostrophe or ="…" around the number, as spreadsheets write text; it was left out',
    Repair.DECIMAL: "a .0 behind the number, as programs write it; it was left out",
    Repair.INVISIBLE: "invisible or wide signs in the number, as address books write it; they were left out",
    Repair.PLUS: "no + before the country code; it was put there",
}
_HELP = {
    Wrong.ROUNDED: "Rounded numbers can't be read back: where the list comes from, format the column as text and "
    "export it again.",
    Wrong.NO_PLUS: "Numbers without +: --country DE reads them as people in Germany write them (any country's two "
    "letters do); --add-plus is right where they begin with their country code and only the + was lost.",
}
_ZONES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps people of the list from being called."""

    words: str
    """What it is, and what to do."""
    everybody: bool
    """Whether it keeps all of them."""


@dataclass(frozen=True, slots=True)
class Legal:
    """People whose phones have the same candidate zones, and when the first of them may be called."""

    zones: frozenset[str]
    people: int
    first_call: datetime | None


def notes(gathered: Gathered) -> Iterator[str]:
    """What its owner should know even where all is well."""
    survey, unit = gathered.survey, gathered.people.unit
    yield from gathered.people.told
    for repair, n in survey.repairs.items():
        if repair is Repair.NATIONAL:
            yield f"{_rows(n)} had no country code and {_was(n)} read as {gathered.people.rules.country} numbers"
        else:
            yield f"{_rows(n)} had {_MENDED[repair]}"
    if survey.doubled:
        first = ", ".join(f"{unit} {place} as {unit} {first}" for place, first in survey.doubles[:5])
        more = ", …" if survey.doubled > 5 else ""
        doubled = f"{_rows(survey.doubled)} with a number that stands above ({first}{more})"
        yield f"{doubled}: called once for each, one after the other"
    if survey.rounded:
        rounded = f"{_rows(survey.rounded)} with a number that ends in six zeros"
        yield f"{rounded}: look at it, a spreadsheet may have rounded it"
    if gathered.people.nameless:
        yield f"{_rows(gathered.people.nameless)} with something in a column without a name; it was left out"


def complaints(gathered: Gathered) -> Iterator[str]:
    """What is wrong, row by row, and what to do."""
    survey, unit = gathered.survey, gathered.people.unit
    for row in gathered.bad[:SHOWN]:
        for problem in row.problems:
            yield f"  {unit} {row.place}{worded(problem)}"
    if survey.bad > SHOWN:
        yield f"  … and {survey.bad - SHOWN:,} more"
    if gathered.bad_file is not None:
        bad = f"{_rows(survey.bad)} can't be called and {_was(survey.bad)} written to {gathered.bad_file}"
        yield f"{bad}, with what is wrong. Corrected there, that file can be submitted as it is."
    yield from (words for kind, words in _HELP.items() if survey.wrongs[kind])
    if survey.wrongs[Wrong.MISSING] and unit == "row":
        yield "Where a formula makes the number, open the list in a spreadsheet once and save it."


def worded(problem: Problem) -> str:
    """One problem behind its row."""
    return f", {problem.column}: {problem.message}" if problem.column else f": {problem.message}"


def too_many(gathered: Gathered) -> str:
    """Why it does not fit into one batch; empty where it does."""
    if len(gathered.parts) <= 1:
        return ""
    return f"{_too_many(gathered)}; nothing was sent."


def _too_many(gathered: Gathered) -> str:
    return (
        f"{gathered.survey.good:,} people do not fit: one submit takes {MOST_PEOPLE:,}. "
        f"--split makes {len(gathered.parts)} batches of them"
    )


def legal(
    gathered: Gathered, hours: CallingHours | None, start: datetime, *, otherwise: str | None = None
) -> list[Legal]:
    """Zones of the list's phones, the most frequent first, with the first minute in which each may be called.

    `otherwise` is the zone of a number whose own nobody can tell, as the server has it.
    """
    unknown = frozenset({otherwise} if otherwise else ())
    counted = Counter(zones(number) or unknown for number in gathered.numbers())
    return [Legal(these, n, opens_next(hours, these, start)) for these, n in counted.most_common()]


def obstacles(
    gathered: Gathered, found: list[Legal], hours: CallingHours | None, *, split: bool, own: bool
) -> Iterator[Obstacle]:
    """What is in the way of the good rows. `own`: the hours are the batch's and not the workspace's."""
    if not split and len(gathered.parts) > 1:
        yield Obstacle(f"will be refused without --split: {_too_many(gathered)}", everybody=True)
    if hours is not None and (never := sum(one.people for one in found if one.first_call is None)):
        everybody = never == gathered.survey.good
        whom = "nobody can" if everybody else f"{never:,} of {gathered.survey.good:,} can't"
        yield Obstacle(f"{whom} be called: {_never(hours, own=own)}", everybody=everybody)


def _never(hours: CallingHours, *, own: bool) -> str:
    """Why calling hours open for nobody, and what to do."""
    if hours.zone is not None:
        return "the calling hours do not open in the next two weeks; give others with --hours"
    cure = (
        "give --timezone, such as Europe/Berlin, by whose clock the hours count for everybody"
        if own
        else "give --hours and --timezone, which count instead of the workspace's hours"
    )
    return (
        f"for these numbers no single time zone is known, and the hours do not open in all that may be theirs; {cure}"
    )


def report(
    gathered: Gathered, found: list[Legal], hours: CallingHours | None, suppressed: int | None, start: datetime
) -> Iterator[str]:
    """A dry run in words, up to what is in the way."""
    survey = gathered.survey
    yield f"{gathered.name}: {_rows(survey.rows)}, {survey.good:,} can be called, {survey.bad:,} can't"
    numbers = "number" if survey.different == 1 else "numbers"
    yield f"  {survey.different:,} different {numbers}, {_rows(survey.doubled)} doubled"
    if suppressed is None:
        yield "  the do-not-call list was not asked"
    else:
        yield f"  {suppressed:,} on the do-not-call list{'; they are listed and not called' if suppressed else ''}"
    if len(gathered.parts) > 1:
        yield f"  {len(gathered.parts)} batches, since one takes {MOST_PEOPLE:,} (--split)"
    yield "  time zones of the phones:"
    for one in found[:_ZONES_SHOWN]:
        yield f"    {one.people:>7,}  {zone_words(one.zones)}{_opening(one, hours, start)}"
    if len(found) > _ZONES_SHOWN:
        yield f"    {sum(one.people for one in found[_ZONES_SHOWN:]):>7,}  in {len(found) - _ZONES_SHOWN} more"
    yield f"  first call: {_first(found, hours, start)}"


def as_plain(
    gathered: Gathered, found: list[Legal], hours: CallingHours | None, suppressed: int | None, start: datetime
) -> dict[str, Any]:
    """A dry run as JSON."""
    survey = gathered.survey
    earliest = first_call(found, hours, start)
    return {
        "file": gathered.name,
        "rows": survey.rows,
        "people": survey.good,
        "bad_rows": survey.bad,
        "bad": [_bad(row.place, problem) for row in gathered.bad for problem in row.problems],
        "bad_file": None if gathered.bad_file is None else str(gathered.bad_file),
        "different_numbers": survey.different,
        "doubled": survey.doubled,
        "doubles": [{"place": place, "first_place": first} for place, first in survey.doubles],
        "mended": {str(kind): n for kind, n in survey.repairs.items()},
        "notes": list(notes(gathered)),
        "suppressed": suppressed,
        "batches": len(gathered.parts),
        "zones": [
            {"zones": sorted(one.zones), "people": one.people, "first_call_at": _iso(one.first_call)} for one in found
        ],
        "first_call_at": _iso(earliest),
        "sent": False,
    }


def first_call(found: list[Legal], hours: CallingHours | None, start: datetime) -> datetime | None:
    """The first minute in which anybody of the list may be called."""
    if hours is None:
        return start
    return min((one.first_call for one in found if one.first_call is not None), default=None)


def zone_words(these: frozenset[str]) -> str:
    """Candidate zones for people."""
    names = sorted(these)
    if not names:
        return "nobody can tell"
    return names[0] if len(names) == 1 else f"any of {names[0]} … {names[-1]} ({len(names)})"


def _opening(one: Legal, hours: CallingHours | None, start: datetime) -> str:
    if hours is None:
        return ""
    if one.first_call is None:
        return "  never in the next two weeks"
    return "  from the start" if one.first_call <= start else f"  from {_when(one.first_call, _only(one.zones))}"


def _first(found: list[Legal], hours: CallingHours | None, start: datetime) -> str:
    earliest = first_call(found, hours, start)
    if earliest is None:
        return "never in the next two weeks: no phone's calling hours open"
    none = "" if hours is not None else " (no calling hours are set)"
    return f"{_when(earliest, hours.zone if hours else None)}{none}"


def _only(these: frozenset[str]) -> str | None:
    return next(iter(these)) if len(these) == 1 else None


def _when(instant: datetime, zone: str | None) -> str:
    from outdial.cli.schedule import zone_of

    here = instant.astimezone(zone_of(zone)) if zone else instant
    return f"{here:%Y-%m-%d %H:%M} {zone or here.tzname() or ''}".rstrip()


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="seconds")


def _bad(place: int, problem: Problem) -> Mapping[str, Any]:
    return {"place": place, "column": problem.column, "problem": str(problem.kind), "message": problem.message}


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n:,} rows"


def _was(n: int) -> str:
    return "was" if n == 1 else "were"
