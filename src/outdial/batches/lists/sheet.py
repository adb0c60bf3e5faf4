"""Lists as spreadsheets: XLSX, and what else the same library reads (XLS, XLSB, ODS)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, BinaryIO

from outdial.batches.lists.columns import numbers_named
from outdial.batches.lists.delimited import Record
from outdial.batches.lists.shape import ListError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How a spreadsheet's file begins: a zip (XLSX, XLSB, ODS), or the older compound file (XLS)."""
LOOK_AT = 10
"""Rows in which a line of names is looked for."""

Cell = int | float | str | bool | time | date | datetime | timedelta


class Sheet:
    """One sheet of a workbook."""

    def __init__(self, sheet: "CalamineSheet", told: tuple[str, ...]) -> None:
        self._sheet = sheet
        self.told = told

    def records(self) -> Iterator[Record]:
        """Its rows as text, empty ones left out; the cells of formulas are what they last came to."""
        with _damage_told():
            for place, cells in enumerate(self._sheet.iter_rows(), 1):
                texts = [as_text(cell) for cell in cells]
                if any(texts):
                    yield Record(place, texts)


def sheet_of(file: BinaryIO, name: str | None) -> Sheet:
    """The sheet with the list: the one that was named, or the only one that has a column for numbers."""
    with _damage_told():
        return _chosen(file, name)


def _chosen(file: BinaryIO, name: str | None) -> Sheet:
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_filelike(file)
    if name is not None:
        if name not in book.sheet_names:
            raise ListError(f"it has no sheet {name!r}; its sheets are {_listed(book.sheet_names)}")
        return Sheet(book.get_sheet_by_name(name), ())
    sheets = [(one, book.get_sheet_by_name(one)) for one in _shown(book)]
    filled = [(title, sheet) for title, sheet in sheets if sheet.height]
    if not filled:
        raise ListError("all of its sheets are empty")
    if len(filled) == 1:
        return Sheet(filled[0][1], ())
    fitting = [(title, sheet) for title, sheet in filled if _has_numbers(sheet)]
    if len(fitting) != 1:
        some = "several of its sheets have" if fitting else "none of its sheets has"
        raise ListError(
            f"{some} a column phone_number; its sheets are {_listed([title for title, _ in filled])}. "
            "Say which: --sheet NAME"
        )
    title, sheet = fitting[0]
    return Sheet(sheet, (f"of {len(filled)} sheets only {title!r} has a column for numbers; it was read",))


def as_text(cell: Cell) -> str:
    """A cell as people see it: 10115 and not 10115.0, a day without midnight."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="minutes")
    return str(cell)


@contextmanager
def _damage_told() -> Iterator[None]:
    """A file whose bytes are damaged is refused, wherever that is found."""
    from python_calamine import CalamineError, PasswordError

    try:
        yield
    except PasswordError:
        raise ListError("it is locked with a password; save it without one") from None
    except (CalamineError, OSError) as error:
        raise ListError(f"it looks like a spreadsheet and can't be read as one: {error}") from None


def _shown(book: "CalamineWorkbook") -> list[str]:
    """Sheets that people see; hidden ones only where nothing else is there."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    tables = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
    seen = [one.name for one in tables if one.visible == SheetVisibleEnum.Visible]
    return seen or [one.name for one in tables]


def _has_numbers(sheet: "CalamineSheet") -> bool:
    return any(numbers_named([as_text(cell) for cell in row]) for row in sheet.to_python(nrows=LOOK_AT))


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:12])
