"""Ten thousand broken messages to a call worker, and four thousand calls that are refused at once."""

from pathlib import Path

import pytest

from outdial.domain.outcome import Outcome
from tests.support.peers import needs
from tests.telephony.test_sip_calls import fast_busies
from tests.telephony.test_sip_hostile import withstands

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = [pytest.mark.long, pytest.mark.sip, needs("sipp")]


@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_thousand_broken_messages_end_no_worker_and_no_call(tmp_path: Path, seed: int) -> None:
    await withstands(tmp_path, packets=10_000, seed=seed)


async def test_of_four_thousand_fast_busies_none_is_lost(tmp_path: Path) -> None:
    assert await fast_busies(tmp_path, 4_000) == {Outcome.BUSY: 4_000}
