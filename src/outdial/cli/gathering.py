"""A list on its way to the server: read once, its good rows put aside as JSON, its bad ones in a file of their own."""

import sys
import tempfile
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from outdial.batches.lists.badfile import BadFile
from outdial.batches.lists.jsonl import CLIENT_DATA
from outdial.batches.lists.reading import People, open_people
from outdial.batches.lists.shape import BadRow, ListError, Person, Rules
from outdial.batches.lists.survey import Survey
from outdial.batches.people import MOST_PEOPLE
from outdial.cli.client import Failed

PART_BYTES = 48 << 20
"""Of one submit; the server takes 64 MiB."""
SHOWN = 20
"""Bad rows that are told one by one; all of them are in the file."""
KEPT = 1_000
"""Bad rows that are kept for JSON."""

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Part:
    """People that go into one submit."""

    first: int
    """Which of the good rows begins it."""
    people: int = 0
    size: int = 0
    """Bytes."""


@dataclass(slots=True)
class Gathered:
    """A list that was read. Memory: a few bytes a row; the rows themselves wait on the disk."""

    name: str
    people: People
    aside: BinaryIO
    survey: Survey = field(default_factory=Survey)
    parts: list[Part] = field(default_factory=list)
    places: "array[int]" = field(default_factory=lambda: array("L"))
    """Where each good row stood."""
    bad: list[BadRow] = field(default_factory=list)
    """The first KEPT of them."""
    bad_file: Path | None = None
    overrides: set[tuple[str, ...]] = field(default_factory=set)
    """What of the agent's is overridden by anybody."""

    def bodies(self) -> Iterator[tuple[Part, bytes]]:
        """Each part's recipients as a JSON array."""
        self.aside.seek(0)
        for part in self.parts:
            rows = [self.aside.readline().rstrip(b"\n") for _ in range(part.people)]
            yield part, b"[" + b",".join(rows) + b"]"

    def numbers(self) -> Iterator[str]:
        """The phone numbers in list order."""
        number = msgspec.json.Decoder(_Number).decode
        self.aside.seek(0)
        for line in self.aside:
            yield number(line).phone_number

    def place(self, part: Part, index: int) -> int:
        """Where this person of this part stood in the file."""
        return self.places[part.first + index]


class _Number(msgspec.Struct):
    phone_number: str


def gather(path: Path, rules: Rules, *, bad_path: Path | None = None) -> Gathered:
    """Read the list in this file (`-`: standard input); Failed where it is none."""
    name = "standard input" if str(path) == "-" else str(path)
    try:
        with _opened(path) as file:
            people = open_people(file, path.name, rules)
            gathered = Gathered(name, people, tempfile.TemporaryFile())  # noqa: SIM115 - gone with the process
            with BadFile(bad_path or _beside(path, people), people.names, ours=bad_path is None) as bad_file:
                for row in people:
                    _take(gathered, row, bad_file)
    except ListError as error:
        raise Failed(f"{name}: {error}") from None
    except OSError as error:
        raise Failed(f"{error.filename or name}: {error.strerror or error}") from None
    if gathered.survey.bad:
        gathered.bad_file = bad_file.path
    return gathered


def _take(gathered: Gathered, row: Person | BadRow, bad_file: BadFile) -> None:
    gathered.survey.see(row)
    if isinstance(row, BadRow):
        bad_file.write(row)
        if len(gathered.bad) < KEPT:
            gathered.bad.append(row)
        return
    line = _encode(row.recipient) + b"\n"
    gathered.aside.write(line)
    parts = gathered.parts
    if not parts or parts[-1].people >= MOST_PEOPLE or parts[-1].size + len(line) > PART_BYTES:
        parts.append(Part(len(gathered.places)))
    parts[-1].people += 1
    parts[-1].size += len(line)
    gathered.places.append(row.place)
    override = row.recipient.get(CLIENT_DATA, {}).get("conversation_config_override")
    if override:
        gathered.overrides.update(_leaves(override))


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, below in tree.items():
        if isinstance(below, dict):
            yield from _leaves(below, (*path, key))
        elif below is not None:
            yield (*path, key)


def _opened(path: Path) -> BinaryIO:
    if str(path) != "-":
        return path.open("rb")
    # a pipe can't be looked at twice, as guessing needs
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - its reader closes it
    while chunk := sys.stdin.buffer.read(1 << 20):
        copy.write(chunk)
    copy.seek(0)
    return copy


def _beside(path: Path, people: People) -> Path:
    """people.csv → people.bad.csv."""
    kind = ".csv" if people.names else ".jsonl"
    if str(path) == "-":
        return Path(f"outdial.bad{kind}")
    return path.with_name(f"{path.stem}.bad{kind}")
