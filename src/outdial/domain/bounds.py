"""How much may be said of one person: so that no list makes an order too big, however it shares out its bytes.

An order travels to a call worker in one frame, and thousands of them are in hand at once. What a list as a whole may
hold is bounded where its body is read.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

LARGEST_DATA = 256 * 1024
"""Bytes of JSON: everything that an agent is told of one person."""
LONGEST_TEXT = 64 * 1024
"""Characters of one text: a variable, a first message, a prompt."""
LONGEST_NAME = 256
"""Characters of a name."""
MOST_VARIABLES = 1_000
DEEPEST = 32
"""Objects and lists inside of one another."""
SMALL = LONGEST_NAME
"""Characters of JSON in which no name, no text and no number of variables can be too large."""
SHOWN = 64
"""Characters of a name that are told again."""

_Path = tuple[str | int, ...]


class Excess(NamedTuple):
    """One thing that there is too much of."""

    path: _Path
    """Inside of the data."""
    msg: str
    """As FastAPI words it."""
    type: str
    plain: str
    """What it is, for whoever wrote a list."""


def evidently_fine(text: str) -> bool:
    """Whether JSON text is so short that it need not be looked into: most people's is."""
    return len(text) <= SMALL and text.count("{") + text.count("[") <= DEEPEST


def too_large(text: str) -> Excess | None:
    """Whether it is too much as a whole: then it is better not looked into."""
    size = len(text) if text.isascii() or len(text) > LARGEST_DATA else len(text.encode())
    if size <= LARGEST_DATA:
        return None
    what = f"Value error, what is said of one person has at most {LARGEST_DATA} bytes"
    return Excess((), what, "value_error", f"what is said of this person has more than {LARGEST_DATA:,} bytes")


def excesses(data: object) -> Iterator[Excess]:
    """Everything that is too long, too many or too deep in what is said of a person."""
    if isinstance(data, Mapping):
        variables = data.get("dynamic_variables")
        if isinstance(variables, Mapping) and len(variables) > MOST_VARIABLES:
            msg = f"Dictionary should have at most {MOST_VARIABLES} items"
            plain = f"it has {len(variables):,} variables; {MOST_VARIABLES:,} are the most"
            yield Excess(("dynamic_variables",), msg, "too_long", plain)
    yield from _inside(data, ())


def _inside(value: object, path: _Path) -> Iterator[Excess]:
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            plain = f"it has {len(value):,} characters; {LONGEST_TEXT:,} are the most"
            yield Excess(path, f"String should have at most {LONGEST_TEXT} characters", "string_too_long", plain)
    elif isinstance(value, Mapping | list):
        if len(path) >= DEEPEST:
            plain = f"more than {DEEPEST} objects or lists inside of one another"
            yield Excess(path[:8], f"Value error, {plain}", "value_error", plain)
            return
        for name, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(name, str) and len(name) > LONGEST_NAME:
                msg = f"A name should have at most {LONGEST_NAME} characters"
                plain = f"its name has {len(name):,} characters; {LONGEST_NAME} are the most"
                yield Excess((*path, name[:SHOWN]), msg, "string_too_long", plain)
            elif isinstance(inner, str | dict | list):
                yield from _inside(inner, (*path, name))
