"""A single call that is ordered is not told as undone, whatever happens to the database then."""

from typing import cast

import pytest

from outdial.batches import single
from outdial.batches.desk import Desk
from outdial.batches.replay import Twins
from outdial.domain.errors import Doubtful, Unavailable
from outdial.ports.store import Answered, ConversationRow, Store
from outdial.runtime.clock import SystemClock
from outdial.store.signals import LocalSignal
from tests.rooms.test_twins import BATCH

ORDER = single.SingleCall(
    agent_id="agent_1",
    number_id="phnum_1",
    to_number="+493012345678",
    number_param="agent_phone_number_id",
    to_param="to_number",
    client_data={},
    telephony_call_config={},
)


class GoesAway:
    """A store of which every later read fails."""

    async def call_of_single(self, batch_id: int) -> ConversationRow | None:
        raise Unavailable("the database can't be read now")


@pytest.fixture
def desk() -> Desk:
    store, clock = cast("Store", GoesAway()), SystemClock()
    return Desk(store, LocalSignal(), clock, Twins(store, clock))


async def test_an_ordered_call_is_told_as_ordered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(*_: object) -> Answered:
        return Answered(BATCH)

    monkeypatch.setattr(single, "_act", act)
    placed = await single.place(desk, 1, ORDER, None)
    assert (placed.success, placed.conversation_id) == (True, None)
    assert placed.message.startswith("ordered; what becomes of it can't be told")


async def test_one_of_which_nobody_knows_is_not(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(*_: object) -> Answered:
        raise Doubtful("nobody can say")

    monkeypatch.setattr(single, "_act", act)
    with pytest.raises(Doubtful):
        await single.place(desk, 1, ORDER, None)
