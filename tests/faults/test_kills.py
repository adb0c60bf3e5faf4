"""kill -9 of servers, call workers and the network, at random and at every fail point."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import Result, check
from tests.faults.scenarios import POINTS, kill_at, kills_while_asking, random_kills

OnBoth = Callable[[Callable[[Path, str], Result]], None]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_five_kills_lose_nobody_and_dial_nobody_twice(
    engine: str, tmp_path: Path, database: Callable[[str], str]
) -> None:
    check(random_kills(tmp_path, database(engine), seed=1, kills=5, people=80))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 106))
def test_random_kills(seed: int, on_both: OnBoth) -> None:
    on_both(lambda folder, database: random_kills(folder, database, seed, kills=12))


@pytest.mark.long
def test_random_kills_where_the_server_has_its_own_network(on_both: OnBoth) -> None:
    on_both(lambda folder, database: random_kills(folder, database, 150, kills=8, own_carrier=True))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(170, 173))
def test_kills_while_asking(seed: int, on_both: OnBoth) -> None:
    on_both(lambda folder, database: kills_while_asking(folder, database, seed))


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_kill_at_every_fail_point(point: str, on_both: OnBoth) -> None:
    seed = 200 + POINTS.index(point)
    on_both(lambda folder, database: kill_at(folder, database, seed, point=point))
