"""What every room's tests may ask for."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from outdial.store.store import SqlStore, open_store
from tests.support.postgres import VARIABLE, Databases, PostgresServer

pytest_plugins = ["tests.support.fault_table"]

SECRET = "a secret of thirty-two characters"


def pytest_configure() -> None:
    """Run in the background by a shell without job control, we ignore SIGINT, and so would all whom we start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """A server where databases may be created: one of our own for the session, or the one that is named."""
    if named := os.environ.get(VARIABLE):
        yield named
        return
    server = PostgresServer()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_databases(postgres_server_url: str) -> Iterator[Databases]:
    databases = Databases(postgres_server_url)
    try:
        yield databases
    finally:
        databases.close()


@pytest.fixture
def postgres_url(postgres_databases: Databases) -> Iterator[str]:
    """A fresh, migrated database on PostgreSQL."""
    url = postgres_databases.create()
    try:
        yield url
    finally:
        postgres_databases.drop(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/outdial.db"


@pytest.fixture(params=["sqlite", "postgres"])
def engine_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, once for each engine."""
    url = request.getfixturevalue(f"{request.param}_url")
    assert isinstance(url, str)
    return url


@pytest.fixture
async def store(engine_url: str) -> AsyncIterator[SqlStore]:
    """A started store on an empty database, once for each engine."""
    opened = open_store(engine_url, secret=SECRET)
    await opened.start()
    try:
        yield opened
    finally:
        await opened.stop()
