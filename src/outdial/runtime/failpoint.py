"""Fail points: named places where a test lets this very process die, stall or fail.

Nothing happens unless the environment says so when the process starts:

    OUTDIAL_FAILPOINTS = point *("," point)
    point              = NAME "=" action ["@" N]
    action             = "kill" | "stop" | "raise" | "sleep:" SECONDS

`kill` is SIGKILL and `stop` is SIGSTOP to this process, `raise` raises FailpointReached, `sleep` blocks the thread that
came by, as a stalled process does. With `@N` it acts on the N-th time this process reaches the point and never again,
without it each time. `kill:3` is another way to write `kill@3` (so for stop and raise). Each process counts for itself,
and a child that inherits the environment has the same fail points.

    OUTDIAL_FAILPOINTS="after_go=kill@3,in_commit=sleep:0.5" outdial serve
"""

import itertools
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

VARIABLE = "OUTDIAL_FAILPOINTS"

Name = Literal[
    "after_claim",
    "before_go",
    "after_go",
    "before_send",
    "after_send",
    "before_settle",
    "in_commit",
    "after_commit",
    "after_cancel",
]
NAMES: frozenset[str] = frozenset(get_args(Name))
"""Every fail point there is; mypy holds callers of `reach` to it, `parse` the environment."""

Action = Literal["kill", "stop", "raise", "sleep"]

_POINT = re.compile(r"(?P<name>\w+)=(?P<action>kill|stop|raise|sleep)(?::(?P<value>[0-9.]+))?(?:@(?P<nth>[0-9]+))?")


class FailpointReached(RuntimeError):
    """What a point with the action `raise` raises."""


class BadFailpoint(ValueError):
    """OUTDIAL_FAILPOINTS can't be used; told when the process starts."""


@dataclass(frozen=True, slots=True)
class Point:
    """One armed fail point."""

    action: Action
    seconds: float = 0.0
    nth: int | None = None
    """The time it acts on, from 1; None: every time."""
    _times: Iterator[int] = field(default_factory=lambda: itertools.count(1), compare=False)

    def due(self) -> bool:
        """Count one arrival, from any thread, and say whether to act on it."""
        return next(self._times) == self.nth if self.nth is not None else True


def parse(text: str) -> dict[str, Point]:
    """Read the grammar above; raises BadFailpoint."""
    points: dict[str, Point] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, point = _parse_point(part)
        if name in points:
            msg = f"{VARIABLE}: {name} stands twice"
            raise BadFailpoint(msg)
        points[name] = point
    return points


def _parse_point(part: str) -> tuple[str, Point]:
    found = _POINT.fullmatch(part)
    if found is None:
        msg = f"{VARIABLE}: {part!r} is not NAME=kill|stop|raise|sleep:SECONDS, with @N behind it if wanted"
        raise BadFailpoint(msg)
    name, action, value, nth = found["name"], found["action"], found["value"], found["nth"]
    if name not in NAMES:
        msg = f"{VARIABLE}: there is no fail point {name!r}; there are {', '.join(sorted(NAMES))}"
        raise BadFailpoint(msg)
    if action == "sleep":
        return name, Point("sleep", seconds=_number(part, value), nth=_nth(part, nth))
    if value is not None and nth is not None:
        msg = f"{VARIABLE}: {part!r} says twice on which time it acts"
        raise BadFailpoint(msg)
    return name, Point(_action(action), nth=_nth(part, nth or value))


def _action(word: str) -> Action:
    match word:
        case "kill" | "stop" | "raise":
            return word
    raise BadFailpoint(word)


def _number(part: str, value: str | None) -> float:
    try:
        return float(value or "")
    except ValueError:
        msg = f"{VARIABLE}: {part!r} needs its seconds, as in sleep:0.5"
        raise BadFailpoint(msg) from None


def _nth(part: str, value: str | None) -> int | None:
    if value is None:
        return None
    if not value.isdigit() or int(value) < 1:
        msg = f"{VARIABLE}: {part!r} counts its times from 1"
        raise BadFailpoint(msg)
    return int(value)


_armed: Mapping[str, Point] = parse(os.environ.get(VARIABLE, ""))


def reach(name: Name) -> None:
    """Pass this point. Costs one look at an empty mapping when nothing is armed."""
    if _armed and (point := _armed.get(name)) is not None and point.due():
        _act(name, point)


@contextmanager
def armed(text: str) -> Iterator[None]:
    """Arm fail points inside this process for a while: for tests that need no process of their own."""
    global _armed  # noqa: PLW0603 - one mapping a process, so that `reach` costs next to nothing
    before, _armed = _armed, parse(text)
    try:
        yield
    finally:
        _armed = before


def _act(name: str, point: Point) -> None:
    match point.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "sleep":
            time.sleep(point.seconds)
        case "raise":
            raise FailpointReached(name)
