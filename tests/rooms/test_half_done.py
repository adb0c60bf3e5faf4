"""What was committed is never told as undone: "not now, nothing was done" is said of nothing else."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from outdial.domain.errors import Doubtful, Unavailable
from outdial.ports.store import Store
from outdial.runtime.clock import SystemClock
from outdial.store.signals import LocalSignal
from outdial.workspace import numbers, suppression
from outdial.workspace.suppression import ROWS_A_STEP


class GoesAway:
    """A store that takes so many writes, and then neither write nor read."""

    def __init__(self, writes: int) -> None:
        self.left = writes

    def _write(self) -> None:
        if not self.left:
            raise Unavailable("the database is away")
        self.left -= 1

    async def suppress_each(self, workspace_id: int, reasons: dict[str, str], **_: Any) -> int:
        self._write()
        return len(reasons)

    async def change_number(self, *_: object, **__: object) -> None:
        self._write()

    async def number(self, workspace_id: int, public_id: str) -> Any:
        raise Unavailable("the database can't be read now")


async def a_file(rows: int) -> AsyncIterator[bytes]:
    yield b"phone_number\n" + b"".join(b"+4930%07d\n" % n for n in range(rows))


async def imported(writes: int) -> Any:
    keeper = suppression.Keeper(cast("Store", GoesAway(writes)), LocalSignal(), SystemClock())
    return await suppression.import_file(keeper, 1, a_file(2 * ROWS_A_STEP), reason="", source="test")


async def test_an_import_of_which_a_part_is_there_is_not_undone() -> None:
    with pytest.raises(Doubtful):
        await imported(writes=1)
    with pytest.raises(Unavailable) as told:
        await imported(writes=0)
    assert not isinstance(told.value, Doubtful), "nothing of it is there"
    assert (await imported(writes=2)).added == 2 * ROWS_A_STEP


async def changed(writes: int) -> Any:
    store, wish = cast("Store", GoesAway(writes)), numbers.NumberChange(fields={}, settings={}, aside={})
    return await numbers.change(store, SystemClock(), 1, "phnum_1", wish, providers={})


async def test_a_number_that_was_changed_and_can_t_be_read_is_not_undone() -> None:
    with pytest.raises(Doubtful, match="can't be told"):
        await changed(writes=1)
    with pytest.raises(Unavailable) as told:
        await changed(writes=0)
    assert not isinstance(told.value, Doubtful)
