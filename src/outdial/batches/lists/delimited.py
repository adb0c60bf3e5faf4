"""Lists as delimited text: CSV with comma, semicolon, tab or bar."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO, NamedTuple

from outdial.batches.lists.columns import numbers_named
from outdial.batches.lists.encoding import Encoding
from outdial.batches.lists.number import like_a_number
from outdial.batches.lists.shape import ListError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SAMPLE_CHARS = 65_536
_SAMPLE_ROWS = 20


class Record(NamedTuple):
    """One row of a table as it stands there."""

    place: int
    cells: list[str]
    broken: str = ""
    """Why it is no row of a table; `cells` then holds its text."""
    lines: int = 1
    """How many lines of the file it took."""


class Delimited(NamedTuple):
    """How to read a file as delimited text."""

    encoding: str
    delimiter: str
    skip: int
    """Lines before the first that counts: a spreadsheet's `sep=;`."""
    told: tuple[str, ...]

    def records(self, file: BinaryIO) -> Iterator[Record]:
        """Its rows, the line of names too; empty ones are left out. ListError where a quote never closes."""
        text = _text(file, self.encoding)
        try:
            yield from _records(text, self.delimiter, self.skip)
        finally:
            text.detach()  # the file stays its opener's


def delimited(file: BinaryIO, encoding: Encoding, delimiter: str | None) -> Delimited:
    """How this file is delimited: as its owner says, as its first line says, or as fits its first rows best."""
    text = _text(file, encoding.name)
    sample = text.read(_SAMPLE_CHARS)
    text.detach()
    file.seek(0)
    told = [encoding.told] if encoding.told else []
    first, _, rest = sample.partition("\n")
    said = first.strip()
    skip = 1 if said.lower().startswith("sep=") and len(said) <= 5 else 0
    if skip:
        sample = rest
        delimiter = delimiter or (first.rstrip("\r")[4:5] or None)
    if delimiter is None:
        delimiter = max(DELIMITERS, key=lambda one: _fit(sample, one))
        if delimiter != "," and _fit(sample, delimiter)[2] > 1:
            told.append(f"its columns are separated by {DELIMITERS[delimiter]}s")
    return Delimited(encoding.name, delimiter, skip, tuple(told))


def one_delimiter(text: str) -> str:
    """The delimiter that somebody named: itself, or its word."""
    word = {name: sign for sign, name in DELIMITERS.items()} | {"\\t": "\t", "pipe": "|"}
    sign = word.get(text.lower(), text)
    if len(sign) != 1 or sign in '"\r\n':
        raise ListError(f"{text!r} is no delimiter; comma, semicolon, tab, bar or one sign is")
    return sign


def _text(file: BinaryIO, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding=encoding, newline="")


def _fit(sample: str, delimiter: str) -> tuple[bool, float, int]:
    """How well rows fit: there is a number's column, rows are as wide as the first, and it is wide."""
    rows = [record.cells for record in islice(_lenient(sample, delimiter), _SAMPLE_ROWS)]
    if not rows:
        return (False, 0.0, 0)
    width = len(rows[0])
    alike = sum(len(row) == width for row in rows) / len(rows)
    named = any(numbers_named(row) for row in rows[:5])
    return (named, alike if width > 1 else 0.0, width)


def _lenient(sample: str, delimiter: str) -> Iterator[Record]:
    """The sample's rows; its end may cut one in two."""
    try:
        yield from _records(io.StringIO(sample, newline=""), delimiter, 0)
    except ListError:
        return


def _records(text: io.TextIOBase, delimiter: str, skip: int) -> Iterator[Record]:
    lines = _Remembered(islice(text, skip, None))
    rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        before = rows.line_num
        lines.forget()
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield _broken(error, before + skip + 1, rows.line_num - before, lines.text())
            continue
        except UnicodeDecodeError as error:
            raise ListError(f"line {before + skip + 1} can't be read: {error.reason}") from None
        if any(cells):
            yield Record(before + skip + 1, cells, "", rows.line_num - before)


def _broken(error: csv.Error, line: int, lines: int, text: str) -> Record:
    why = str(error)
    if "unexpected end of data" in why:
        raise ListError(f"line {line}: a quote opens here and never closes; nothing behind it can be read") from None
    if "field larger" in why:
        most = csv.field_size_limit()
        raise ListError(
            f"line {line}: a cell has more than {most:,} characters; perhaps a quote opens here and never closes"
        ) from None
    words = "something stands behind a closing quote" if "expected after" in why else why
    where = f" (lines {line} to {line + lines - 1})" if lines > 1 else ""
    return Record(line, [text.rstrip("\r\n")], f"{words}{where}; a quote inside a text is written twice")


class _Remembered:
    """Lines on their way to the reader, with those of the present row kept."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._kept: list[str] = []

    def __iter__(self) -> "_Remembered":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._kept.append(line)
        return line

    def forget(self) -> None:
        self._kept.clear()

    def text(self) -> str:
        return "".join(self._kept)


def swallowed(cells: Sequence[str], number: int, delimiter: str) -> bool:
    """Whether a stray quote has joined rows into one: a cell holds a line that is a row with a number of its own."""
    for cell in cells:
        if "\n" not in cell and "\r" not in cell:
            continue
        for line in cell.splitlines()[1:]:
            parts = line.split(delimiter)
            if len(parts) > 1 and len(parts) > number and like_a_number(parts[number].strip('" ')):
                return True
    return False
