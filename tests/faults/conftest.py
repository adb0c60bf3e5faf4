"""Databases for the fault runs."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.faults.harness import Result, fresh_database, side_by_side
from tests.support.postgres import Databases


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes an empty database on an engine; erased afterwards."""
    made: list[str] = []
    databases: Databases | None = None

    def make(engine: str) -> str:
        nonlocal databases
        if engine == "postgres" and databases is None:
            databases = request.getfixturevalue("postgres_databases")
        made.append(fresh_database(engine, tmp_path, databases))
        return made[-1]

    yield make
    for url in made:
        if databases is not None and url.startswith("postgresql"):
            databases.drop(url)


@pytest.fixture
def on_both(tmp_path: Path, database: Callable[[str], str]) -> Callable[[Callable[[Path, str], Result]], None]:
    """Runs a scenario on both engines side by side."""

    def run(scenario: Callable[[Path, str], Result]) -> None:
        worlds = []
        for engine in ("sqlite", "postgres"):
            folder = tmp_path / engine
            folder.mkdir()
            worlds.append(partial(scenario, folder, database(engine)))
        side_by_side(*worlds)

    return run
