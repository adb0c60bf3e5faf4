"""The rows that can't be called, in a file of their own: corrected there, it can be submitted as it is."""

import csv
import filecmp
import json
from itertools import count
from pathlib import Path
from typing import Any, Self, TextIO

from outdial.batches.lists.shape import OURS, BadRow

MADE = (f"{OURS}place", f"{OURS}problem")
"""Our columns at the end: where the row stood, and what is wrong with it."""


class BadFile:
    """Made when the first bad row comes, so that a good list leaves nothing behind.

    Where it is `ours` to name, a file that is there and holds something else is never overwritten: somebody may be
    correcting it. The next free name is taken instead.
    """

    def __init__(self, path: Path, names: tuple[str, ...], *, ours: bool = True) -> None:
        self.path = path
        """Where it is once it is closed."""
        self._ours = ours
        self._part = path.with_name(f".{path.name}.part")
        self._names = tuple(name for name in names if not name.startswith(OURS))
        self._kept = [place for place, name in enumerate(names) if not name.startswith(OURS)]
        self._file: TextIO | None = None
        self._csv: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if self._file is None:
            return
        self._file.close()
        if failed is None:
            self.path = self._free() if self._ours else self.path
            self._part.replace(self.path)
        self._part.unlink(missing_ok=True)

    def _free(self) -> Path:
        """The first name that is free, or holds the same already."""
        names = (self.path.with_stem(f"{self.path.stem}-{n}") if n > 1 else self.path for n in count(1))
        return next(name for name in names if not name.exists() or filecmp.cmp(name, self._part, shallow=False))

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
            self._file = self._part.open("w", newline="", encoding=encoding)
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
