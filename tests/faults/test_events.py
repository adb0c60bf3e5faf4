"""Reports that are lost, late, doubled, reversed, missing and refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import Result, check
from tests.faults.scenarios import event_faults

OnBoth = Callable[[Callable[[Path, str], Result]], None]


@pytest.mark.timeout(180)
def test_unreliable_reports_lose_nobody(tmp_path: Path, database: Callable[[str], str]) -> None:
    check(event_faults(tmp_path, database("sqlite"), seed=5, harm=60, people=60))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(800, 802))
def test_unreliable_reports(seed: int, on_both: OnBoth) -> None:
    on_both(lambda folder, database: event_faults(folder, database, seed, harm=250, people=200))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(850, 852))
def test_unreliable_reports_and_kills(seed: int, on_both: OnBoth) -> None:
    on_both(lambda folder, database: event_faults(folder, database, seed, harm=100, kills=4))


@pytest.mark.long
def test_unreliable_reports_reach_either_node(tmp_path: Path, database: Callable[[str], str]) -> None:
    check(event_faults(tmp_path, database("postgres"), seed=870, harm=150, nodes=2))
