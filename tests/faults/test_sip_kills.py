"""kill -9 of servers, call workers and the trunk where calls go over SIP: nobody can be asked about one.

The trunk is the network in a box; its log is the judge, as everywhere.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import Result, check
from tests.faults.scenarios import kills_over_sip, retry_at_once_over_sip

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")

OnBoth = Callable[[Callable[[Path, str], Result]], None]


@pytest.mark.timeout(240)
def test_three_kills_over_sip_lose_nobody_and_dial_nobody_twice(on_both: OnBoth) -> None:
    on_both(lambda folder, database: kills_over_sip(folder, database, seed=1, kills=3, quick=True))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1005))
def test_kills_over_sip(seed: int, on_both: OnBoth) -> None:
    on_both(lambda folder, database: kills_over_sip(folder, database, seed, kills=4))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1050, 1052))
def test_kills_over_sip_where_two_nodes_dial(seed: int, tmp_path: Path, database: Callable[[str], str]) -> None:
    check(kills_over_sip(tmp_path, database("postgres"), seed, kills=4, nodes=2))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1070, 1072))
def test_nobody_is_rung_again_while_a_call_may_be_up_that_nobody_can_ask_about(seed: int, on_both: OnBoth) -> None:
    on_both(lambda folder, database: retry_at_once_over_sip(folder, database, seed))
