"""The long run was long enough. It comes last: its file does."""

import pytest

from tests.support.fault_table import RESULTS

SCENARIOS = 100
"""Fewer have run: somebody chose a part."""


@pytest.mark.long
def test_enough_was_done() -> None:
    if len(RESULTS) < SCENARIOS:
        pytest.skip(f"only {len(RESULTS)} scenarios have run")
    assert sum(one.kills + one.stops + one.restarts for one in RESULTS) >= 250
    assert sum(one.event_faults for one in RESULTS) >= 1_000
