"""PostgreSQL as the store's engine: psycopg, one writing connection a committer, a few that read, any number of nodes.

Every session has time-outs, so that a node that stops in the middle of a transaction holds the others up for seconds:
it is thrown out (idle in transaction) before their lock time-out ends.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import psycopg
from psycopg import Connection, RawCursor, pq
from psycopg.abc import PQGen
from psycopg.adapt import Buffer, Loader
from psycopg.rows import tuple_row
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import TextLoader
from psycopg.waiting import Ready

from outdial.domain.errors import BadSetting
from outdial.store.engine import PATIENCE_SECS, Trouble
from outdial.store.instants import micros
from outdial.store.migrate import Migration, migrate
from outdial.store.op import Footprint, Row, Tx
from outdial.store.queries import Queries, Query, load, numbered
from outdial.store.shapes import Shapes

FOLDER = Path(__file__).parent
CHANNEL = "outdial"
CONNECT_SECS = 3
IDLE_IN_TRANSACTION_SECS = 2.0
LOCK_WAIT_SECS = 4.0
STATEMENT_SECS = 8.0
"""For one that writes; less where the engine has less patience, which is also the limit of one that reads."""
GRACE_SECS = 1.0
"""How long after its own time-out the server may take to say so."""
STATEMENTS = 512
FORGET_SECS = 7 * 24 * 3600.0
"""Rows of committers that said no goodbye are kept this long."""
OPEN_SECS = 10.0
"""How long a starting node waits for a server that is starting too."""
MIGRATION_SECS = 120
"""How long a starting node waits for another's migration."""
MIGRATION_LOCK = 0x6F757464  # "outd": one node migrates at a time

T = TypeVar("T")


class _Conn(Connection[tuple[Any, ...]]):
    """A connection whose statements can be queued without a look at the socket after each.

    In a pipeline psycopg polls after every statement, and at each poll the interpreter goes to another thread.
    """

    queueing = False
    answer_secs: float | None = None
    """How long one answer may take: a server that stands still breaks no connection. None: as long as it likes."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Drive a generator of psycopg; while queueing, only as far as it goes without an answer."""
        if not self.queueing:
            return self._answer(gen, interval, self.answer_secs if timeout is None else timeout)
        try:
            next(gen)
            while True:
                gen.send(Ready.W)  # what the socket does not take yet stays in libpq's buffer
        except StopIteration as over:
            return cast("T", over.value)

    def _answer(self, gen: PQGen[T], interval: float, timeout: float | None) -> T:
        try:
            return super().wait(gen, interval=interval, timeout=timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # it broke or took too long: whoever asks on must not wait once more
                self.pgconn.finish()
            raise


_Cursor = RawCursor[tuple[Any, ...]]

_LOST_CLASSES = ("08", "57P")  # connection exceptions; the server is stopped, crashed or starting
_LOST = frozenset({"25006", "25P03", "25P04", "53300", "0A000"})
"""Read-only (a standby after failover), thrown out for idling, too many connections, and `cached plan must not change
result type`: a newer node has migrated, and only a new connection forgets the old plans."""
_CONFLICTS = frozenset({"40001", "40P01", "55P03", "57014"})
"""Serialization, deadlock, lock time-out, statement time-out."""
_UNUSABLE_CLASSES = ("53", "58")  # insufficient resources such as a full disk; system errors such as I/O


class PlainNumber(Loader):
    """`sum(bigint)` is numeric: as int, or float where it has a fraction, as SQLite has it."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


@dataclass(frozen=True, slots=True, eq=False)
class _Statement:
    """One that waits to be sent."""

    sql: bytes
    arguments: list[object] | None
    """None: it is no query and is not prepared."""
    cursor: _Cursor
    """Where its answer goes."""


class PostgresTx:
    """A transaction on one connection; also what a reader sees."""

    locks = True

    def __init__(self, connection: _Conn, queries: Queries) -> None:
        self._connection = connection
        self._cursor = RawCursor(connection, row_factory=tuple_row)
        self._aside = RawCursor(connection, row_factory=tuple_row)
        self._queries = queries
        self._shapes = Shapes()
        self._put: list[_Statement] = []
        """Not sent yet: they go ahead of the next statement, in one round trip with it."""
        self.topics: set[str] = set()

    def rows(self, name: str, /, **params: object) -> list[Row]:
        return self._shaped(name, self._execute(self._queries[name], params))

    def one(self, name: str, /, **params: object) -> Row:
        rows = self.rows(name, **params)
        return rows[0] if rows else None

    def value(self, name: str, /, **params: object) -> Any:  # noqa: ANN401 - as Row
        row = self._execute(self._queries[name], params).fetchone()
        return row[0] if row else None

    def run(self, name: str, /, **params: object) -> int:
        return max(self._execute(self._queries[name], params).rowcount, 0)

    def put(self, name: str, /, **params: object) -> None:
        query = self._queries[name]
        self._put.append(_Statement(query.sql.encode(), query.arguments(params), self._aside))

    def ask(self, name: str, /, **params: object) -> "_Answer":
        query = self._queries[name]
        cursor = RawCursor(self._connection, row_factory=tuple_row)
        self._put.append(asked := _Statement(query.sql.encode(), query.arguments(params), cursor))

        def get() -> list[Row]:
            if asked in self._put:
                self.flush()
            return self._shaped(name, cursor)

        return _Answer(get)

    def bulk(self, name: str, rows: Sequence[Mapping[str, object]], /) -> int:
        query = self._queries[name]
        if not query.copy_columns:
            return self.run(name, rows=list(rows))
        if self._put:
            self.flush()  # COPY does not go in a pipeline with others
        with self._cursor.copy(query.sql.encode()) as copy:
            for row in rows:
                copy.write_row([row[column] for column in query.copy_columns])
        return max(self._cursor.rowcount, 0)

    def lock(self, footprint: Footprint) -> None:
        if footprint.buckets:
            self.put("lock_buckets", keys=sorted(footprint.buckets))
        if footprint.batches:
            ids = sorted(footprint.batches)
            self.put("lock_controls", ids=ids)
            self.put("lock_batches", ids=ids)

    def notify(self, topic: str) -> None:
        self.topics.add(str(topic))

    def execute(self, sql: str) -> str | None:
        """A statement that is no query, such as BEGIN; what the server says it did."""
        return self._send(sql.encode(), None).statusmessage

    def put_raw(self, sql: str) -> None:
        """As `execute`, sent with what comes next."""
        self._put.append(_Statement(sql.encode(), None, self._aside))

    def forget(self) -> None:
        """What was put and not sent is not wanted any more."""
        self._put.clear()

    def _execute(self, query: Query, params: Mapping[str, object]) -> _Cursor:
        return self._send(query.sql.encode(), query.arguments(params))

    def _send(self, sql: bytes, arguments: list[object] | None) -> _Cursor:
        """Send what was put, and then this."""
        if not self._put:
            return self._cursor.execute(sql, arguments, prepare=arguments is not None)
        self._put.append(_Statement(sql, arguments, self._cursor))
        self.flush()
        return self._cursor

    def flush(self) -> None:
        """Send what was put, all of it in one round trip."""
        put, self._put = self._put, []
        with self._connection.pipeline():
            self._connection.queueing = True
            try:
                for each in put:
                    each.cursor.execute(each.sql, each.arguments, prepare=each.arguments is not None)
            finally:
                self._connection.queueing = False

    def _shaped(self, name: str, cursor: _Cursor) -> list[Row]:
        raw = cursor.fetchall()
        return self._shapes.rows(name, (column.name for column in cursor.description or ()), raw)


class _Answer:
    """The answer to a question that was put with others."""

    def __init__(self, get: Callable[[], list[Row]]) -> None:
        self._get = get
        self._rows: list[Row] | None = None

    def rows(self) -> list[Row]:
        if self._rows is None:
            self._rows = self._get()
        return self._rows


class PostgresWriter:
    """A writing connection."""

    def __init__(self, connection: _Conn, queries: Queries, owner: str) -> None:
        self._connection = connection
        self._owner = owner
        self._tx = PostgresTx(connection, queries)
        self._tx.run("committer_enter", id=owner, now=micros(time.time()))

    def begin(self, *, lock_wait: float | None = None) -> Tx:
        self._tx.topics.clear()
        self._tx.put_raw("begin")
        if lock_wait is not None:
            self._tx.put_raw(f"set local lock_timeout = {round(lock_wait * 1000)}")
        return self._tx

    def seal(self, token: int) -> None:
        for topic in sorted(self._tx.topics):
            self._tx.put("notify", channel=CHANNEL, topic=topic)
        self._tx.put("committer_note", id=self._owner, token=token, now=micros(time.time()))

    def commit(self) -> None:
        if (done := self._tx.execute("commit")) != "COMMIT":
            # a statement failed and somebody went on: the server has rolled back
            raise RuntimeError(f"the server answered {done} to a commit")

    def rollback(self) -> None:
        self._tx.forget()
        with suppress(psycopg.Error):
            if self._connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                self._tx.execute("rollback")

    def committed(self, token: int) -> bool:
        self._tx.execute("begin")
        try:
            return bool(self._tx.value("committer_token", id=self._owner) == token)
        finally:
            self.rollback()

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()


class PostgresReader:
    """A reading connection."""

    def __init__(self, connection: _Conn, queries: Queries) -> None:
        self._connection = connection
        self._tx = PostgresTx(connection, queries)

    @contextmanager
    def snapshot(self) -> Iterator[PostgresTx]:
        self._tx.execute("begin isolation level repeatable read, read only")
        try:
            yield self._tx
        finally:
            # a rollback would make psycopg forget, and deallocate, all that it has prepared
            with suppress(psycopg.Error):
                self._tx.execute("commit")

    @contextmanager
    def alone(self) -> Iterator[PostgresTx]:
        yield self._tx

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()


class PostgresEngine:
    """A database on a PostgreSQL server."""

    name = "postgres"
    shared = True

    def __init__(self, url: str, *, patience_secs: float = PATIENCE_SECS) -> None:
        self.url = url
        self.queries = load(FOLDER, numbered)
        self.patience_secs = patience_secs
        self._process = uuid.uuid4().hex
        self._owners: set[str] = set()

    def open(self, *, serving: bool) -> None:
        connection = self._first_connection()
        try:
            # a migration may take its time, and waits for another node's
            connection.answer_secs = None
            connection.execute(f"set lock_timeout = {MIGRATION_SECS * 1000}".encode())
            connection.execute("set statement_timeout = 0")
            connection.execute("select pg_advisory_lock(%s)", (MIGRATION_LOCK,))
            migrate(_Migrator(connection, self.queries), FOLDER / "migrations")
            before = micros(time.time() - FORGET_SECS)
            PostgresTx(connection, self.queries).run("committer_forget", id="", before=before)
        except psycopg.Error as error:
            raise BadSetting(f"the database at {place(self.url)} can't be used: {error}") from error
        finally:
            connection.close()

    def writer(self, owner: str) -> PostgresWriter:
        connection = connect(self.url, statement_secs=min(STATEMENT_SECS, self.patience_secs))
        try:
            self._owners.add(row := f"{self._process}:{owner}")
            return PostgresWriter(connection, self.queries, row)
        except BaseException:
            connection.close()
            raise

    def reader(self) -> PostgresReader:
        return PostgresReader(connect(self.url, statement_secs=self.patience_secs), self.queries)

    def trouble(self, error: BaseException) -> Trouble:
        if not isinstance(error, psycopg.Error):
            return Trouble.OURS
        state = error.sqlstate
        if state is None:
            # no answer from the server: the connection broke or never came about
            return (
                Trouble.LOST if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) else Trouble.OURS
            )
        if state in _CONFLICTS:
            return Trouble.CONFLICT
        if state in _LOST or state.startswith(_LOST_CLASSES):
            return Trouble.LOST
        return Trouble.UNUSABLE if state.startswith(_UNUSABLE_CLASSES) else Trouble.OURS

    def close(self) -> None:
        """The rows of this process's committers go; sessions are closed by their threads."""
        owners, self._owners = self._owners, set()
        if not owners:
            return
        with suppress(psycopg.Error), connect(self.url, statement_secs=STATEMENT_SECS) as connection:
            for owner in owners:
                PostgresTx(connection, self.queries).run("committer_forget", id=owner, before=0)

    def _first_connection(self) -> _Conn:
        try:
            psycopg.conninfo.conninfo_to_dict(self.url)
        except psycopg.Error:
            # without its words: they may quote the password
            raise BadSetting("OUTDIAL_DATABASE is no URL that PostgreSQL understands") from None
        until = time.monotonic() + OPEN_SECS
        while True:
            try:
                return connect(self.url, statement_secs=STATEMENT_SECS)
            except psycopg.Error as error:
                lasting = error.sqlstate is not None and self.trouble(error) is not Trouble.LOST
                if lasting or time.monotonic() > until:
                    raise BadSetting(f"the database at {place(self.url)} can't be reached: {error}") from error
                time.sleep(0.25)


class _Migrator:
    def __init__(self, connection: _Conn, queries: Queries) -> None:
        self._connection = connection
        self._tx = PostgresTx(connection, queries)

    def version(self) -> int:
        self._tx.execute(
            "create table if not exists schema_version (version integer primary key, applied_at bigint not null)"
        )
        return int(self._tx.value("schema_version"))

    def apply(self, migration: Migration) -> bool:
        with self._connection.transaction():
            self._connection.execute(migration.sql.encode(), prepare=False)  # many statements
            self._tx.run("schema_version_note", version=migration.version, applied_at=micros(time.time()))
        return True


def connect(url: str, *, statement_secs: float) -> _Conn:
    """A connection in autocommit (transactions are begun by us), with time-outs and plain types."""
    connection = _Conn.connect(url, autocommit=True, **CONNECTION)
    connection.answer_secs = statement_secs + GRACE_SECS
    try:
        connection.execute(session_settings(statement_secs).encode())
        plain_types(connection)
        connection.prepare_threshold = 0  # every statement of ours comes again
        connection.prepared_max = STATEMENTS
    except BaseException:
        connection.close()
        raise
    return connection


CONNECTION: dict[str, Any] = {
    "connect_timeout": CONNECT_SECS,
    "application_name": "outdial",
    # a server that vanished without a word is noticed in seconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8_000,
}


BY_KEY = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""Every query of ours finds its rows by an index, a few at a time. The planner can't know: tables grow a hundredfold in
seconds and statistics follow a minute later, so that it would read whole tables for fifty rows."""


def session_settings(statement_secs: float) -> str:
    """What every session of ours sets."""
    return "; ".join(
        f"set {name} = {value}"
        for name, value in {
            "synchronous_commit": "on",
            "lock_timeout": round(LOCK_WAIT_SECS * 1000),
            "statement_timeout": round(statement_secs * 1000),
            "idle_in_transaction_session_timeout": round(IDLE_IN_TRANSACTION_SECS * 1000),
            "timezone": "'UTC'",
            **BY_KEY,
        }.items()
    )


def plain_types(connection: _Conn) -> None:
    """Types as SQLite has them: whole numbers of one width, JSON and UUID as text."""
    adapters = connection.adapters
    adapters.register_dumper(int, Int8Dumper)  # else each width prepares a statement of its own, and overflows
    adapters.register_loader("numeric", PlainNumber)
    for text in ("json", "jsonb", "uuid"):
        adapters.register_loader(text, TextLoader)


def place(url: str) -> str:
    """Where a URL leads, without its password."""
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        return "that URL"
    return f"{parts.get('host', 'localhost')}/{parts.get('dbname', '')}"
