"""A cancel while a process sleeps or dies at each fail point: nobody is dialled later than 2 s after its answer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import Result, check
from tests.faults.scenarios import POINTS, cancel_at, decisions

OnBoth = Callable[[Callable[[Path, str], Result]], None]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("engine", "point"), [("sqlite", "before_send"), ("postgres", "after_go")])
def test_nobody_is_dialled_after_a_cancel(
    engine: str, point: str, tmp_path: Path, database: Callable[[str], str]
) -> None:
    check(cancel_at(tmp_path, database(engine), seed=3, point=point, action="sleep"))


@pytest.mark.long
@pytest.mark.parametrize("action", ["sleep", "kill"])
@pytest.mark.parametrize("point", POINTS)
def test_cancel_at_every_fail_point(action: str, point: str, on_both: OnBoth) -> None:
    seed = 300 + POINTS.index(point) * 10 + (action == "kill")
    on_both(lambda folder, database: cancel_at(folder, database, seed, point=point, action=action))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(900, 903))
def test_retries_and_cancels_of_a_running_batch(seed: int, on_both: OnBoth) -> None:
    on_both(lambda folder, database: decisions(folder, database, seed, people=100))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(950, 952))
def test_decisions_that_are_carried_out_in_chunks(seed: int, on_both: OnBoth) -> None:
    on_both(lambda folder, database: decisions(folder, database, seed, people=3_000))
