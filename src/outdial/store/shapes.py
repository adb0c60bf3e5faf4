"""Rows as named tuples: one class for each query, made when its first row comes."""

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from outdial.store.op import Row

_Make = Callable[[Sequence[Any]], Row]


class Shapes:
    """Makes the rows of each query."""

    def __init__(self) -> None:
        self._makers: dict[str, _Make] = {}

    def rows(self, name: str, columns: Iterable[str], raw: Sequence[Sequence[Any]]) -> list[Row]:
        """The raw rows of this query as named tuples."""
        if not raw:
            return []
        make = self._makers.get(name)
        if make is None:
            # rename: a column without a usable name has its place only
            shape = namedtuple("Row", [_identifier(c) for c in columns], rename=True)  # type: ignore[misc]  # noqa: PYI024 - columns are known at run time
            make = self._makers[name] = partial(tuple.__new__, shape)
        return [make(row) for row in raw]


def _identifier(column: str) -> str:
    return re.sub(r"\W", "_", column)
