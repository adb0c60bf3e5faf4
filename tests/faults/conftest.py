"""Databases for the fault runs, and the table at their end."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.faults.harness import RESULTS, Result, fresh_database, side_by_side
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not RESULTS:
        return
    say = terminalreporter.write_line
    terminalreporter.section("faults")
    for result in RESULTS:
        say(str(result))
    for engine in ("sqlite", "postgres", "both"):
        ours = [one for one in RESULTS if engine in {one.engine, "both"}]
        say(f"{engine:<8} {_sums(ours)}")


def _sums(results: Sequence[Result]) -> str:
    done = ", ".join(
        f"{sum(getattr(one, what) for one in results)} {what.replace('_', ' ')}"
        for what in ("kills", "stops", "restarts", "event_faults")
    )
    found = [one.verdict for one in results]
    verdict = ", ".join(
        f"{word} {sum(len(getattr(one, what)) for one in found)}"
        for word, what in (("lost", "lost"), ("dialled twice", "twice"), ("late", "late"), ("residue", "residue"))
    )
    return (
        f"{len(results)} scenarios, {done}, {sum(one.dialled for one in found)} calls dialled: {verdict}, "
        f"unknown {sum(one.unknown for one in found)} of {sum(one.in_flight for one in found)} in flight; "
        f"{sum(one.good for one in found)} of {len(results)} good"
    )
