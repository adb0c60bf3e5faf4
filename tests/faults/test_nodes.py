"""Nodes that are stopped and go on, nodes that are lost, and a database that crashes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Result, World, check
from tests.faults.scenarios import POINTS, node_lost, postgres_restarts, stop_at, stops, taken_over
from tests.support.postgres import Databases, PostgresServer

OnBoth = Callable[[Callable[[Path, str], Result]], None]


@pytest.mark.timeout(180)
def test_the_other_node_finishes_what_a_killed_one_left(tmp_path: Path, database: Callable[[str], str]) -> None:
    check(node_lost(tmp_path, database("postgres"), seed=4))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(400, 403))
def test_nodes_lost(seed: int, tmp_path: Path, database: Callable[[str], str]) -> None:
    check(node_lost(tmp_path, database("postgres"), seed=seed))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(450, 453))
def test_a_stopped_node_that_was_replaced(seed: int, tmp_path: Path, database: Callable[[str], str]) -> None:
    check(taken_over(tmp_path, database("postgres"), seed=seed))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(500, 506))
def test_stopped_past_the_lease(seed: int, on_both: OnBoth) -> None:
    on_both(lambda folder, database: stops(folder, database, seed))


@pytest.mark.long
@pytest.mark.parametrize("point", [point for point in POINTS if point != "after_cancel"])
def test_stopped_at_every_fail_point(point: str, on_both: OnBoth) -> None:
    seed = 600 + POINTS.index(point)
    on_both(lambda folder, database: stop_at(folder, database, seed, point=point))


@pytest.fixture
def crashing() -> Iterator[tuple[PostgresServer, str]]:
    """A database server of its own, with an empty database on it."""
    server = PostgresServer()
    try:
        server.start()
        databases = Databases(server.url)
        yield server, databases.create()
    finally:
        server.remove()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(700, 706))
def test_postgres_restarted_at_once(seed: int, tmp_path: Path, crashing: tuple[PostgresServer, str]) -> None:
    server, url = crashing
    world = World(tmp_path, url, seed=seed, postgres=server, nodes=1 + seed % 2)
    check(postgres_restarts(world, times=5))
