"""kill -9 of servers, call workers and the network, at random and at every fail point."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import check
from tests.faults.scenarios import POINTS, kill_at, random_kills

ENGINES = ("sqlite", "postgres")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("engine", ENGINES)
def test_five_kills_lose_nobody_and_dial_nobody_twice(
    engine: str, tmp_path: Path, database: Callable[[str], str]
) -> None:
    check(random_kills(tmp_path, database(engine), seed=1, kills=5, people=80))


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(100, 106))
def test_random_kills(engine: str, seed: int, tmp_path: Path, database: Callable[[str], str]) -> None:
    check(random_kills(tmp_path, database(engine), seed=seed, kills=9))


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_random_kills_where_the_server_has_its_own_network(
    engine: str, tmp_path: Path, database: Callable[[str], str]
) -> None:
    check(random_kills(tmp_path, database(engine), seed=150, kills=6, own_carrier=True))


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("point", POINTS)
def test_kill_at_every_fail_point(engine: str, point: str, tmp_path: Path, database: Callable[[str], str]) -> None:
    check(kill_at(tmp_path, database(engine), seed=200 + POINTS.index(point), point=point))
