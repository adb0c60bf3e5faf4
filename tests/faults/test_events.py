"""Reports that are lost, late, doubled, reversed, missing and refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import check
from tests.faults.scenarios import event_faults

ENGINES = ("sqlite", "postgres")


@pytest.mark.timeout(180)
def test_unreliable_reports_lose_nobody(tmp_path: Path, database: Callable[[str], str]) -> None:
    check(event_faults(tmp_path, database("sqlite"), seed=5, harm=60, people=60))


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(800, 802))
def test_unreliable_reports(engine: str, seed: int, tmp_path: Path, database: Callable[[str], str]) -> None:
    check(event_faults(tmp_path, database(engine), seed=seed, harm=250, people=200))


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(850, 852))
def test_unreliable_reports_and_kills(engine: str, seed: int, tmp_path: Path, database: Callable[[str], str]) -> None:
    check(event_faults(tmp_path, database(engine), seed=seed, harm=100, kills=4))


@pytest.mark.long
def test_unreliable_reports_reach_either_node(tmp_path: Path, database: Callable[[str], str]) -> None:
    check(event_faults(tmp_path, database("postgres"), seed=870, harm=150, nodes=2))
