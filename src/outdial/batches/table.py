"""Tables for spreadsheets: CSV whose cells nothing runs when they are opened."""

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime

_FORMULA = re.compile(r"[=+\-@\t\r]")
"""What begins so is run by a spreadsheet (OWASP, CSV injection)."""
_HARMLESS = re.compile(r"[+-]?[0-9][0-9 ().,/-]*")
"""Numbers, amounts and phone numbers stay as they are."""


def lines(rows: Sequence[Sequence[str]]) -> bytes:
    """Rows as they stand in the file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)  # RFC 4180
    return text.getvalue().encode()


def cell(value: object) -> str:
    """A value as people wrote it; only true and false look as in JSON."""
    if value is None:
        return ""
    return tamed(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def tamed(text: str) -> str:
    """Behind an apostrophe where a spreadsheet would run it: what stands in lists may come from strangers."""
    return "'" + text if _FORMULA.match(text) and not _HARMLESS.fullmatch(text) else text


def instant(at: float | None) -> str:
    """In UTC; empty where there is none."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""
