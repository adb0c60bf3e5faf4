"""Plain SQL on the engine that is measured: one connection with the server's own settings, and nothing between."""

import sqlite3
from pathlib import Path
from typing import Any, Self

from psycopg import RawCursor
from psycopg.rows import tuple_row

from outdial.lab.bench.place import Place
from outdial.store.postgres.engine import connect
from outdial.store.queries import load, named, numbered

FOLDER = Path(__file__).parent
STATEMENT_SECS = 300.0


class Plain:
    """One connection that runs the statements of `sqlite.sql` or `postgres.sql`; a context that closes it."""

    def __init__(self, place: Place) -> None:
        self.engine = place.engine
        folder = FOLDER / place.engine
        if place.engine == "sqlite":
            self._queries = load(folder, named)
            self._sqlite = sqlite3.connect(place.path, isolation_level=None, timeout=30, check_same_thread=False)
            self._sqlite.execute("pragma synchronous = full")
            self._sqlite.execute("pragma foreign_keys = on")
        else:
            self._queries = load(folder, numbered)
            self._postgres = connect(place.url, statement_secs=STATEMENT_SECS)
            self._cursor = RawCursor(self._postgres, row_factory=tuple_row)
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.engine == "sqlite":
            self._sqlite.close()
        else:
            self._postgres.close()

    def rows(self, name: str, **params: object) -> list[tuple[Any, ...]]:
        """What a query answers."""
        return list(self._execute(name, params).fetchall())

    def run(self, name: str, **params: object) -> int:
        """Change rows; how many."""
        return int(self._execute(name, params).rowcount)

    def commit(self) -> None:
        """Until here everything since the last commit was one transaction."""
        if self._open:
            self._raw("commit")
            self._open = False

    def raw(self, sql: str) -> list[tuple[Any, ...]]:
        """A statement outside transactions, such as ANALYZE."""
        cursor = self._raw(sql)
        return list(cursor.fetchall()) if cursor.description else []

    def _execute(self, name: str, params: dict[str, object]) -> Any:  # noqa: ANN401 - the drivers' cursors
        if not self._open:
            self._raw("begin immediate" if self.engine == "sqlite" else "begin")
            self._open = True
        query = self._queries[name]
        if self.engine == "sqlite":
            return self._sqlite.execute(query.sql, {param: params[param] for param in query.params})
        return self._cursor.execute(query.sql.encode(), [params[param] for param in query.params])

    def _raw(self, sql: str) -> Any:  # noqa: ANN401 - as above
        if self.engine == "sqlite":
            return self._sqlite.execute(sql)
        return self._cursor.execute(sql.encode(), prepare=False)
