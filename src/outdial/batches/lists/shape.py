"""What reading a list is about: how to read it, what was found in it, and what was wrong."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

NUMBER = "phone_number"
ID = "id"
OURS = "outdial_"
"""Columns that begin so are ours (the file of bad rows has them) and never reach the agent."""


class ListError(Exception):
    """The file can't be read as a list of people at all; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a list is to be read where its owner said so; what is None is guessed, and every guess is told."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    number_column: str | None = None
    columns: tuple[str, ...] | None = None
    """Names for a file without a first line of names."""
    country: str | None = None
    """ISO 3166 code: numbers without + are read as people of this country write them."""
    add_plus: bool = False
    """Numbers without + begin with their country code already; only the + was lost."""


class Wrong(StrEnum):
    """What can be wrong with a row."""

    MISSING = "missing"
    """No phone number."""
    ROUNDED = "rounded"
    """1.41E+10: a spreadsheet threw digits away."""
    NO_PLUS = "no_plus"
    NUMBER = "number"
    """Not a phone number for any other reason."""
    ID = "id"
    COLUMNS = "columns"
    VALUE = "value"
    SIZE = "size"
    """More is said of this person than the server takes (domain/bounds.py)."""
    BROKEN = "broken"
    """Not CSV, not JSON."""


class Repair(StrEnum):
    """What was done to a number so that it can be dialled: never a guess at digits."""

    APOSTROPHE = "apostrophe"
    DECIMAL = "decimal"
    INVISIBLE = "invisible"
    PLUS = "plus"
    NATIONAL = "national"


class Problem(NamedTuple):
    """One thing wrong with one row."""

    kind: Wrong
    column: str
    """Its name in the file; empty where it is about the whole row."""
    message: str


class Person(NamedTuple):
    """A good row."""

    place: int
    """Its line (of a sheet: its row) in the file, from 1."""
    number: str
    """E.164."""
    recipient: dict[str, Any]
    """As the wire has it."""
    repair: Repair | None = None


class BadRow(NamedTuple):
    """A row that can't be called."""

    place: int
    problems: tuple[Problem, ...]
    cells: tuple[str, ...]
    """As they stood in the file; of JSON lines: the line."""
