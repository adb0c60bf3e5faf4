"""Named queries: read from the `.sql` files of a folder, where `-- name: claim_take` opens a query.

Parameters are written `:name` for both engines. SQLite knows them so; for PostgreSQL they become `$1`, `$2`, …
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec

_HEADER = re.compile(r"^--\s*name:\s*(?P<name>\S+)\s*$", re.MULTILINE)
_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<verbatim> '(?:[^']|'')*' | "(?:[^"]|"")*" | (?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag) | :: | := )
    | :(?P<param>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)
_COPY = re.compile(r"\s*copy\s+\w+\s*\((?P<columns>[^)]*)\)", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")

Style = Callable[[str, int], str]
"""How an engine writes a parameter: from its name and its number, counted from 1."""

ENGINES_OWN = "engine.sql"
"""The file of queries that one engine needs and the other does not."""


def named(name: str, _number: int) -> str:
    """`:name`, as SQLite has it."""
    return f":{name}"


def numbered(_name: str, number: int) -> str:
    """`$1`, as PostgreSQL has it."""
    return f"${number}"


class BadQuery(Exception):
    """A `.sql` file is not written as this module reads it, or code asks for what it does not have."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query as its engine wants it."""

    name: str
    sql: str
    params: tuple[str, ...]
    """Parameters in the order of their numbers."""
    copy_columns: tuple[str, ...] = ()
    """Of a `COPY table (columns) FROM STDIN`."""

    def arguments(self, given: Mapping[str, object]) -> list[object]:
        """The values of its parameters, in their order."""
        try:
            return [plain(given[name]) for name in self.params]
        except KeyError as missing:
            raise BadQuery(f"query {self.name} needs {missing}; it was given {sorted(given)}") from None


class Queries:
    """All queries of one engine, by name."""

    def __init__(self, queries: Mapping[str, Query]) -> None:
        self._queries = queries

    def __getitem__(self, name: str) -> Query:
        try:
            return self._queries[name]
        except KeyError:
            raise BadQuery(f"there is no query {name!r}") from None

    def __iter__(self) -> Iterator[Query]:
        return iter(self._queries.values())

    @property
    def names(self) -> frozenset[str]:
        """What there is."""
        return frozenset(self._queries)


def load(folder: Path, style: Style) -> Queries:
    """Every query of the folder's `.sql` files."""
    queries: dict[str, Query] = {}
    for file in sorted(folder.glob("*.sql")):
        for query in parse(file.read_text("utf-8"), style, where=file.name):
            if query.name in queries:
                raise BadQuery(f"{file.name}: there is another query {query.name!r} in {folder}")
            queries[query.name] = query
    return Queries(queries)


def parse(text: str, style: Style, *, where: str) -> Iterator[Query]:
    """The queries of one file."""
    headers = list(_HEADER.finditer(text))
    before = text[: headers[0].start()] if headers else text
    if _TOKEN.sub(_without_comments, before).strip():
        raise BadQuery(f"{where}: it begins with SQL that no `-- name:` line names")
    ends = [header.start() for header in headers[1:]] + [len(text)]
    for header, end in zip(headers, ends, strict=True):
        name = header["name"]
        if not _NAME.fullmatch(name):
            raise BadQuery(f"{where}: {name!r} is no name for a query; they are in snake_case")
        yield _query(name, text[header.end() : end], style, where=where)


def _query(name: str, text: str, style: Style, *, where: str) -> Query:
    params: dict[str, int] = {}

    def rewrite(token: re.Match[str]) -> str:
        param = token["param"]
        if param is None:
            return _without_comments(token)
        return style(param, params.setdefault(param, len(params) + 1))

    sql = _TOKEN.sub(rewrite, text).strip().removesuffix(";").rstrip()
    sql = "\n".join(line for line in sql.splitlines() if line.strip())
    if not sql:
        raise BadQuery(f"{where}: query {name!r} is empty")
    copy = _COPY.match(sql)
    columns = tuple(column.strip() for column in copy["columns"].split(",")) if copy else ()
    return Query(name, sql, tuple(params), columns)


def _without_comments(token: re.Match[str]) -> str:
    return "" if token["comment"] else token[0]


_AS_IT_IS = frozenset({str, int, float, bytes, bool, type(None)})


def plain(value: object) -> object:
    """A parameter as the drivers take it: many values become one JSON text."""
    if type(value) in _AS_IT_IS:
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, list | tuple | set | frozenset | dict):
        return msgspec.json.encode(value).decode()
    raise BadQuery(f"{type(value).__name__} is no parameter for a query")
