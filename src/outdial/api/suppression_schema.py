"""The wire of the do-not-call list; ours, on both prefixes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from outdial.api.schema import Text

# longer than any number, also with its dressing
Number = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00]*$")]


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


# --- requests ------------------------------------------------------------------------------------------------------


class DoNotCallNumber(_Open):
    """A number with a reason of its own."""

    phone_number: Number = Field(description="E.164")
    reason: Text | None = None


class AddDoNotCall(_Open):
    """One number, or many: each a text or an object."""

    phone_number: Number | None = Field(None, description="E.164")
    phone_numbers: list[Number | DoNotCallNumber] | None = Field(None, max_length=10_000)
    reason: Text | None = Field(None, description="For all that have none of their own")
    source: Text | None = Field(None, description="How it was learnt; `api` unless given")


class SomeNumbers(_Open):
    """Numbers to look at, or to take off the list."""

    phone_numbers: list[Number] = Field(max_length=10_000)


# --- answers -------------------------------------------------------------------------------------------------------


class DoNotCallEntry(_Open):
    """A number that is not called."""

    phone_number: str
    reason: str
    source: str
    created_at_unix: int


class DoNotCallList(_Open):
    """A stretch of the list, by number."""

    do_not_call: list[DoNotCallEntry]
    next_cursor: str | None
    has_more: bool


class DoNotCallAdded(_Open):
    """What became of the numbers."""

    added: int
    already_listed: int


class DoNotCallRemoved(_Open):
    """How many were on the list."""

    removed: int


class DoNotCallChecked(_Open):
    """Which of the numbers are on the list."""

    checked: int
    suppressed_count: int
    suppressed: list[DoNotCallEntry]


class BadRow(_Open):
    """A line that can't be used."""

    line: int
    message: str


class DoNotCallImported(_Open):
    """What became of a file; at most 100 bad lines are told one by one."""

    rows: int
    added: int
    already_listed: int
    rejected: int
    errors: list[BadRow]
