"""The rows that can't be called, in a file of their own: corrected there, it can be submitted as it is."""

import csv
import json
from pathlib import Path
from typing import Any, Self, TextIO

from outdial.batches.lists.shape import OURS, BadRow

MADE = (f"{OURS}place", f"{OURS}problem")
"""Our columns at the end: where the row stood, and what is wrong with it."""


class BadFile:
    """Made when the first bad row comes, so that a good list leaves nothing behind."""

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        self.path = path
        self._names = tuple(name for name in names if not name.startswith(OURS))
        self._kept = [place for place, name in enumerate(names) if not name.startswith(OURS)]
        self._file: TextIO | None = None
        self._csv: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, row: BadRow) -> None:
        """Add this row with what is wrong with it."""
        why = "; ".join(f"{one.column}: {one.message}" if one.column else one.message for one in row.problems)
        if not self._names:
            self._open().write(json.dumps(_marked(row, why), ensure_ascii=False) + "\n")
            return
        if self._csv is None:
            # the mark lets a spreadsheet see that it is UTF-8
            self._csv = csv.writer(self._open("utf-8-sig"))
            self._csv.writerow([*self._names, *MADE])
        cells = [row.cells[place] if place < len(row.cells) else "" for place in self._kept]
        self._csv.writerow([*cells, row.place, why])

    def _open(self, encoding: str = "utf-8") -> TextIO:
        if self._file is None:
            self._file = self.path.open("w", newline="", encoding=encoding)
        return self._file


def _marked(row: BadRow, why: str) -> dict[str, Any]:
    """The line as an object with our two keys; a line that is no object stands in a third."""
    place, problem = MADE
    try:
        found = json.loads(row.cells[0])
    except ValueError:
        found = None
    kept = found if isinstance(found, dict) else {f"{OURS}line": row.cells[0]}
    return {**kept, place: row.place, problem: why}
