"""`outdial backup` and `outdial restore`, for SQLite: one consistent file, taken while the server runs.

A restored database is the past: people who were called since the backup wait in it. So restore pauses every batch that
may still call somebody, and says which.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from outdial.app.settings import Settings, key_file
from outdial.domain.errors import BadSetting, OutdialError
from outdial.store.opening import engine_of, newest_schema
from outdial.store.sqlite.engine import SqliteEngine


class NoBackup(OutdialError):
    """It was not made, or can't be restored; the message says why."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup."""

    file: Path
    size: int
    key: Path | None
    """Where the key was copied to; None: it was not."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A database put back."""

    database: Path
    before: Path | None
    """Where the one that was there is now."""
    paused: tuple[str, ...]
    """Public ids of the batches that were paused."""
    key_missing: bool
    """Neither a key file stands beside it nor is one set."""


def make(settings: Settings, file: Path, *, with_key: bool = False) -> Made:
    """Copy the database as it is at one instant into a new file that only its owner may read. Writers are not held up.

    sqlite.org/c3ref/backup_finish.html: all pages in one step are read under one snapshot.
    """
    path = _path(settings)
    key = file.with_name(file.name + ".key")
    for there in (file, key) if with_key else (file,):
        if there.exists():
            raise NoBackup(f"{there} exists; name a new file, nothing is overwritten")
    if not path.exists():
        raise NoBackup(f"there is no {path}")
    if with_key and settings.secret_key is not None:
        raise NoBackup("the key is OUTDIAL_SECRET_KEY, as you set it: keep it where you keep it, without --with-key")
    with _draft(file) as draft, closing(_read_only(path)) as source:
        with closing(sqlite3.connect(draft)) as copy:
            source.backup(copy, pages=-1)
            copy.execute("pragma journal_mode = delete")  # whole in one file
        _check(draft)
    if with_key:
        _copy(key_file(settings), key)
    return Made(file, file.stat().st_size, key if with_key else None)


def restore(settings: Settings, file: Path, *, keep_going: bool = False) -> Restored:
    """Put a backup in the database's place; no server may run. `keep_going`: open batches are not paused."""
    path = _path(settings)
    if not file.exists():
        raise NoBackup(f"there is no {file}")
    engine = engine_of(settings.database)
    if not isinstance(engine, SqliteEngine):
        raise NoBackup("this is for SQLite")
    _check(file)
    _check_schema(file, newest_schema(engine))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        engine.lock()  # refuses while a server runs, and keeps one from starting meanwhile
        with _draft(path, replace=True) as draft:
            shutil.copyfile(file, draft)
            paused = () if keep_going else _pause_all(draft)
            _sync(draft)
            before = _put_aside(path)
    finally:
        engine.close()
    _restore_key(settings, file)
    key_missing = settings.secret_key is None and not key_file(settings).exists()
    return Restored(path, before, paused, key_missing)


def _path(settings: Settings) -> Path:
    path = settings.sqlite_path
    if path is None:
        raise NoBackup("this is for SQLite; on PostgreSQL use pg_dump or a base backup (docs/operating.md)")
    return path.absolute()


def _read_only(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5.0)
    connection.execute("pragma query_only = on")
    return connection


@contextmanager
def _draft(file: Path, *, replace: bool = False) -> Iterator[Path]:
    """A file for nobody else's eyes that takes its place, on disk, once it is whole."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        yield draft
        _sync(draft)
        if replace:
            draft.replace(file)
        else:
            os.link(draft, file)  # never over another one that came meanwhile
        _sync(file.parent)
    except FileExistsError:
        raise NoBackup(f"{file} exists; name a new file, nothing is overwritten") from None
    except (OSError, sqlite3.Error) as error:
        raise NoBackup(f"{file} can't be written: {error}") from error
    finally:
        for left in (draft, draft.with_name(draft.name + "-journal"), draft.with_name(draft.name + "-wal")):
            with suppress(OSError):
                left.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(file: Path) -> None:
    """The file's structure is sound."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
            rows = [row[0] for row in copy.execute("pragma integrity_check(3)")]
    except sqlite3.Error as error:
        raise NoBackup(f"{file} is no sound database: {error}") from error
    if rows != ["ok"]:
        raise NoBackup(f"{file} is no sound database: {'; '.join(map(str, rows))}")


def _check_schema(file: Path, newest: int) -> None:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
            (found,) = copy.execute("select max(version) from schema_version").fetchone()
    except sqlite3.Error:
        raise NoBackup(f"{file} is no database of outdial") from None
    if found is None or found > newest:
        raise NoBackup(f"{file} has schema {found}, this program knows {newest}: use the newer outdial that wrote it")


def _pause_all(database: Path) -> tuple[str, ...]:
    """Let nobody be called before a person has looked."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        rows = connection.execute(
            "select b.id, b.public_id from batch b where b.sealed and b.deleted_at is null"
            " and b.status in ('pending', 'in_progress') order by b.id"
        ).fetchall()
        connection.executemany("update batch_control set paused = 1 where batch_id = ?", [row[:1] for row in rows])
    return tuple(row[1] for row in rows)


def _put_aside(path: Path) -> Path | None:
    """Keep what was there, with its log, under another name."""
    if not path.exists():
        return None
    name = f"{path.name}.before-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    names = (path.with_name(name + more) for more in chain([""], (f".{n}" for n in count(2))))
    aside = next(free for free in names if not free.exists())
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    return aside


def _restore_key(settings: Settings, file: Path) -> None:
    """A key that was backed up with the database is put back where none is."""
    try:
        kept, place = file.with_name(file.name + ".key"), key_file(settings)
    except BadSetting:
        return
    if settings.secret_key is None and kept.exists() and not place.exists():
        _copy(kept, place)


def _copy(key: Path, to: Path) -> None:
    try:
        text = key.read_bytes()
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as copy:
            copy.write(text)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError as error:
        raise NoBackup(f"the key {key} can't be copied to {to}: {error.strerror}") from error
