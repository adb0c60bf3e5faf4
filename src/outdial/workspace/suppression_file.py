"""A do-not-call list as CSV, read as it comes: numbers with their lines, and what is wrong where one can't be used.

The first line may name the columns (`phone_number`, and `reason` if there is one; others are passed over), or be the
first number already. Fields are separated by comma, semicolon or tab. A record in quotes may span lines (RFC 4180).
"""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from outdial.domain.errors import Invalid
from outdial.domain.number import ImpossibleNumber, canonical

NUMBER, REASON = "phone_number", "reason"
LONGEST_RECORD = 64 * 1024
"""Characters. A quote that is never closed must not swallow the file."""
LONGEST_REASON = 1_000


_END = re.compile(r"\r\n|\n|\r(?=[^\n])")
"""Where a line ends. A carriage return at the end of what has come may be half of it."""


class Row(NamedTuple):
    """One record; `problem` says why it can't be used, and never repeats the number."""

    line: int
    """Where it begins, from 1."""
    number: str
    reason: str
    problem: str = ""


class SuppressionFile:
    """Reads the bytes of one file, however they are cut; memory stays with the longest record."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._line = 1
        self._record = ""
        self._began = 1
        self._columns: tuple[int, int | None] | None = None
        self._delimiter = ","

    def feed(self, chunk: bytes) -> Iterator[Row]:
        """The records that end in this chunk; Invalid where it is no text, or names no column of numbers."""
        self._text += self._decode(chunk, final=False)
        begins = [0, *(end.end() for end in _END.finditer(self._text))]
        lines = [self._text[start:stop] for start, stop in pairwise(begins)]
        self._text = self._text[begins[-1] :]
        yield from self._lines(lines)
        if len(self._text) > LONGEST_RECORD:
            raise self._invalid(self._line, f"it has more than {LONGEST_RECORD} characters")

    def end(self) -> Iterator[Row]:
        """The records that were left."""
        self._text += self._decode(b"", final=True)
        text, self._text = self._text, ""
        yield from self._lines([text] if text else [])
        if self._record:
            yield Row(self._began, "", "", "a quote is opened and never closed")
            self._record = ""

    def _decode(self, chunk: bytes, *, final: bool) -> str:
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeDecodeError:
            raise self._invalid(self._line, "from here on it is not UTF-8") from None
        if "\0" in text:
            raise self._invalid(self._line, "from here on it is no text")
        return text

    def _lines(self, lines: Iterable[str]) -> Iterator[Row]:
        for line in lines:
            if not self._record:
                self._began = self._line
            self._line += 1
            self._record += line
            if self._record.count('"') % 2 == 0:
                record, self._record = self._record, ""
                yield from self._read(record)
            elif len(self._record) > LONGEST_RECORD:
                self._record = ""
                yield Row(self._began, "", "", "a quote is opened and not closed soon")

    def _read(self, record: str) -> Iterator[Row]:
        if not record.strip(" \t\r\n,;"):
            return
        if self._columns is None:
            self._delimiter = max(",;\t", key=record.count)
            if self._names(record):
                return
        try:
            fields = [field.strip() for field in next(csv.reader([record], delimiter=self._delimiter), [])]
        except csv.Error as error:
            yield Row(self._began, "", "", f"it is no CSV: {error}")
            return
        yield self._row(fields)

    def _names(self, record: str) -> bool:
        """Whether this first record names the columns; else it is the first number."""
        fields = [field.strip() for field in next(csv.reader([record], delimiter=self._delimiter), [])]
        names = [field.lower() for field in fields]
        if NUMBER in names:
            self._columns = names.index(NUMBER), names.index(REASON) if REASON in names else None
            return True
        try:
            canonical(fields[0])
        except ImpossibleNumber:
            raise self._invalid(self._began, f"it names no column {NUMBER!r} and begins with no phone number") from None
        self._columns = 0, 1
        return False

    def _row(self, fields: list[str]) -> Row:
        place, reason_place = self._columns or (0, None)
        reason = fields[reason_place] if reason_place is not None and reason_place < len(fields) else ""
        try:
            number = canonical(fields[place] if place < len(fields) else "")
        except ImpossibleNumber as error:
            return Row(self._began, "", "", error.message)
        if len(reason) > LONGEST_REASON:
            return Row(self._began, "", "", f"a reason has at most {LONGEST_REASON} characters")
        return Row(self._began, number, reason)

    @staticmethod
    def _invalid(line: int, why: str) -> Invalid:
        return Invalid(f"line {line}: {why}; what stood before it is kept", code="invalid_file", param="body")
