"""SQLite as the store's engine: one writing connection, a few that read, one serving process.

Facts relied on: with `synchronous=FULL` in WAL mode a commit is on disk when it returns (sqlite.org/wal.html, 3.1); a
reader's `begin` sees one snapshot and blocks nobody.
"""

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from outdial.domain.errors import BadSetting
from outdial.store.engine import PATIENCE_SECS, Trouble
from outdial.store.instants import micros
from outdial.store.migrate import Migration, migrate
from outdial.store.op import Footprint, Row, Tx
from outdial.store.queries import Queries, Query, load, named
from outdial.store.shapes import Shapes

FOLDER = Path(__file__).parent
BUSY_TIMEOUT_MS = 5_000
CACHE_KIB = 32 * 1024
LOG_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a big submit."""
STATEMENTS = 512
"""Prepared statements that a connection keeps; there are about half as many queries."""

_CONFLICTS = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT})
_UNUSABLE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class SqliteTx:
    """A transaction on one connection; also what a reader sees."""

    locks = False

    def __init__(self, connection: sqlite3.Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries
        self._shapes = Shapes()

    def rows(self, name: str, /, **params: object) -> list[Row]:
        query = self._queries[name]
        cursor = self._execute(query, params)
        raw = cursor.fetchall()
        return self._shapes.rows(name, (column[0] for column in cursor.description or ()), raw)

    def one(self, name: str, /, **params: object) -> Row:
        rows = self.rows(name, **params)
        return rows[0] if rows else None

    def value(self, name: str, /, **params: object) -> Any:  # noqa: ANN401 - as Row
        row = self._execute(self._queries[name], params).fetchall()[:1]
        return row[0][0] if row else None

    def run(self, name: str, /, **params: object) -> int:
        cursor = self._execute(self._queries[name], params)
        if cursor.description:  # RETURNING: counted only when all rows are read
            return len(cursor.fetchall())
        return max(cursor.rowcount, 0)

    def put(self, name: str, /, **params: object) -> None:
        self._execute(self._queries[name], params).fetchall()

    def ask(self, name: str, /, **params: object) -> "_Here":
        return _Here(self.rows(name, **params))

    def bulk(self, name: str, rows: Sequence[Mapping[str, object]], /) -> int:
        query = self._queries[name]
        cursor = self._connection.executemany(query.sql, (_bound(query, row) for row in rows))
        return max(cursor.rowcount, 0)

    def lock(self, footprint: Footprint) -> None:
        """`begin immediate` has locked everything."""

    def notify(self, topic: str) -> None:
        """There are no other nodes."""

    def _execute(self, query: Query, params: Mapping[str, object]) -> sqlite3.Cursor:
        return self._connection.execute(query.sql, _bound(query, params))


class _Here:
    """An answer without a way to go."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def rows(self) -> list[Row]:
        return self._rows


def _bound(query: Query, params: Mapping[str, object]) -> dict[str, object]:
    return dict(zip(query.params, query.arguments(params), strict=True))


class SqliteWriter:
    """The writing connection."""

    def __init__(self, connection: sqlite3.Connection, queries: Queries) -> None:
        self._connection = connection
        self._tx = SqliteTx(connection, queries)

    def begin(self, *, lock_wait: float | None = None) -> Tx:
        self._connection.execute("begin immediate")
        return self._tx

    def seal(self, token: int) -> None:
        """A commit is never in doubt here: there is no network between."""

    def commit(self) -> None:
        self._connection.execute("commit")

    def rollback(self) -> None:
        # some errors (disk full, I/O) have ended the transaction already
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("rollback")

    def committed(self, token: int) -> bool:
        return False

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()


class SqliteReader:
    """A reading connection."""

    def __init__(self, connection: sqlite3.Connection, queries: Queries) -> None:
        self._connection = connection
        self._tx = SqliteTx(connection, queries)

    @contextmanager
    def snapshot(self) -> Iterator[SqliteTx]:
        self._connection.execute("begin")
        try:
            yield self._tx
        finally:
            with suppress(sqlite3.Error):
                self._connection.execute("rollback")

    @contextmanager
    def alone(self) -> Iterator[SqliteTx]:
        yield self._tx

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()


class SqliteEngine:
    """A database in one file."""

    name = "sqlite"
    shared = False

    def __init__(self, path: Path, *, patience_secs: float = PATIENCE_SECS) -> None:
        self.path = path
        self.patience_secs = patience_secs
        self.queries = load(FOLDER, named)
        self._lock: int | None = None

    def open(self, *, serving: bool) -> None:
        if serving:
            self.lock()
        try:
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise BadSetting(f"the database {self.path} can't be used: {error}") from error
        except BadSetting:
            self.close()
            raise

    def writer(self, owner: str) -> SqliteWriter:
        connection = self._connect()
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        connection.execute(f"pragma cache_size = -{CACHE_KIB}")
        connection.execute(f"pragma journal_size_limit = {LOG_BYTES}")
        return SqliteWriter(connection, self.queries)

    def reader(self) -> SqliteReader:
        connection = self._connect()
        connection.execute("pragma query_only = on")
        return SqliteReader(connection, self.queries)

    def trouble(self, error: BaseException) -> Trouble:
        code = getattr(error, "sqlite_errorcode", None)
        if not isinstance(error, sqlite3.Error) or code is None:
            return Trouble.OURS
        primary = code & 0xFF  # sqlite.org/rescode.html: the low byte of an extended code
        if primary in _CONFLICTS:
            return Trouble.CONFLICT
        return Trouble.UNUSABLE if primary in _UNUSABLE else Trouble.OURS

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_TIMEOUT_MS / 1000,
            isolation_level=None,  # transactions are begun by us
            check_same_thread=False,  # one thread at a time, not always the same
            cached_statements=STATEMENTS,
        )
        connection.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
        return connection

    def _prepare(self) -> None:
        with suppress(FileExistsError):  # a new one is for its owner alone; its log takes after it
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = self._connect()
        try:
            (mode,) = connection.execute("pragma journal_mode = wal").fetchone()
            if mode != "wal":
                raise BadSetting(f"the database {self.path} can't use a write-ahead log (it says {mode!r})")
            migrate(_Migrator(connection, self.queries), FOLDER / "migrations")
        finally:
            connection.close()

    def lock(self) -> None:
        """Be the only process that serves on this file; raises BadSetting.

        Held until `close` or the process's end; not inherited by programs that it starts (O_CLOEXEC).
        """
        if self._lock is not None:
            return
        path = self.path.with_name(self.path.name + ".lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BadSetting(f"the database {self.path} can't be used: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise BadSetting(f"{path} can't be locked: {error}") from error
            raise BadSetting(
                f"the database {self.path} is served by another process (pid {holder or 'unknown'}); "
                "stop that one, or use PostgreSQL for several"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor


class _Migrator:
    def __init__(self, connection: sqlite3.Connection, queries: Queries) -> None:
        self._connection = connection
        self._tx = SqliteTx(connection, queries)

    def version(self) -> int:
        self._connection.execute(
            "create table if not exists schema_version (version integer primary key, applied_at integer not null)"
        )
        return int(self._tx.value("schema_version"))

    def apply(self, migration: Migration) -> bool:
        self._connection.execute("begin immediate")
        try:
            if self._tx.value("schema_version") >= migration.version:
                return False
            for statement in statements(migration.sql):
                self._connection.execute(statement)
            self._tx.run("schema_version_note", version=migration.version, applied_at=micros(time.time()))
            self._connection.execute("commit")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
        return True


def statements(script: str) -> Iterator[str]:
    """The statements of a script; SQLite itself says where each ends (a trigger has semicolons inside)."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            if statement.strip(" \n;"):
                yield statement
            statement = ""
    if statement.strip(" \n;"):
        yield statement
