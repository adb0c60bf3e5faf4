"""The one tree of errors.

OutdialError
├── IllegalTransition      a state machine was asked for a step that its table does not have
├── Refused                the caller's request can't be done; becomes an HTTP answer in one place per dialect
│   ├── NotFound           404: the thing is unknown in this workspace
│   ├── NotAllowed         401/403: key missing, wrong, or without the right
│   ├── Invalid            400: a value is wrong, with the parameter's name
│   │   └── ImpossibleNumber   not a phone number that can be dialled (domain/number.py)
│   ├── InUse              400: an open batch still needs the thing
│   ├── StillGoing         400: the call is not over
│   └── Unprocessable      422: the request does not have the published shape
├── OverLimit              more was taken from a limit than it has room for
├── Unavailable            503: not now, and nothing was done; says after how many seconds to come back
│   └── Doubtful           503: nobody can say whether it was done
└── BadSetting             a setting is wrong; told at start
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class OutdialError(Exception):
    """The root of every error that Outdial raises on purpose."""


@dataclass(eq=False)  # not frozen: Python itself writes an error's traceback
class IllegalTransition(OutdialError):
    """A state table has no row for this pair."""

    machine: str
    state: str
    event: str

    def __str__(self) -> str:
        return f"{self.machine} can't take '{self.event}' in state '{self.state}'"


class Refused(OutdialError):
    """The request can't be done, and repeating it as it is won't help."""

    kind = "invalid_request"

    def __init__(self, message: str, *, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param


@contextmanager
def named(param: str) -> Iterator[None]:
    """A refusal inside is about this parameter of the request, unless it says so itself."""
    try:
        yield
    except Refused as error:
        error.param = error.param or param
        raise


class NotFound(Refused):
    """The thing is not in this workspace; whether it exists elsewhere is not told."""

    kind = "not_found"

    def __init__(self, thing: str, public_id: str, *, param: str | None = None) -> None:
        self.thing = thing
        self.public_id = public_id
        shown = public_id if len(public_id) <= 64 else f"{public_id[:64]}…"
        code = f"{thing.replace(' ', '_')}_not_found"
        super().__init__(f"there is no {thing} {shown!r} in this workspace", code=code, param=param)


class NotAllowed(Refused):
    """The key is missing or wrong (401), or right but not for this (403)."""

    def __init__(self, message: str, *, code: str, authenticated: bool = False) -> None:
        super().__init__(message, code=code)
        self.kind = "authorization_error" if authenticated else "authentication_error"


class Invalid(Refused):
    """A value has the right shape and can't be used all the same."""

    kind = "validation_error"


class InUse(Refused):
    """An open batch still needs this agent or number."""

    def __init__(self, thing: str, public_id: str, *, by: str) -> None:
        super().__init__(
            f"{thing} {public_id!r} is used by {by}, which is not over; cancel it or wait for its end", code="in_use"
        )


class StillGoing(Refused):
    """The conversation's call is not over."""

    def __init__(self, public_id: str) -> None:
        super().__init__(
            f"conversation {public_id!r} is still going on; delete it when it is over", code="conversation_in_progress"
        )


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing wrong with a request, as FastAPI words it in a 422."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class Unprocessable(OutdialError):
    """The request does not have the published shape: one complaint for each place."""

    def __init__(self, complaints: list[Complaint]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, c.loc))}: {c.msg}" for c in complaints[:5]))
        self.complaints = complaints


class OverLimit(OutdialError):
    """More calls were taken from a limit than it has room for."""

    def __init__(self, wanted: int, room: int) -> None:
        super().__init__(f"{wanted} calls were taken from a limit with room for {room}")


class Unavailable(OutdialError):
    """Not now: the database is away or a twin of this request is still at work. Nothing was changed."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds."""


class Doubtful(Unavailable):
    """The database went away in the commit: it may have been done, or not."""


@contextmanager
def after_the_commit() -> Iterator[None]:
    """What can't be had inside must not be told as `Unavailable`, which says that nothing was done."""
    try:
        yield
    except Unavailable as error:
        raise Doubtful(f"it was begun, and what became of it can't be told: {error}") from error


class BadSetting(OutdialError):
    """A setting can't be used; the message names it, its value and what would do."""
