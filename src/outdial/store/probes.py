"""Halted trunks that are asked whether they are there, each by one node, and what they said."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from outdial.ports.store import NumberRow
from outdial.store.desk import Desk
from outdial.store.instants import micros
from outdial.store.numbers import number_row
from outdial.store.op import Reads, Single, Tx

AT_ONCE = 20
"""Trunks that one node asks in one turn."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A trunk that somebody wants to ask."""

    trunk: str
    before: float
    now: float


class BeginProbe(Single[Beginning, bool]):
    """Whether it is this one's to ask: nobody has since `before`."""

    name: ClassVar[str] = "begin_probe"
    order: ClassVar[int] = 85

    def one(self, tx: Tx, request: Beginning) -> bool:
        before, now = micros(request.before), micros(request.now)
        return tx.run("probe_begin", trunk=request.trunk, before=before, now=now) == 1


@dataclass(frozen=True, slots=True)
class Saying:
    """What a trunk said."""

    trunk: str
    says: str
    now: float


class EndProbe(Single[Saying, None]):
    """Keep it for who asks why nobody is dialled."""

    name: ClassVar[str] = "end_probe"
    order: ClassVar[int] = 86

    def one(self, tx: Tx, request: Saying) -> None:
        tx.run("probe_end", trunk=request.trunk, says=request.says, now=micros(request.now))


class Probing(Desk):
    """The store's methods for asking halted trunks."""

    async def probes_due(self, providers: Sequence[str], *, before: float, now: float) -> list[NumberRow]:
        """See ports.store.Store."""

        def read(tx: Reads) -> list[NumberRow]:
            rows = tx.rows("probes_due", providers=sorted(providers), before=micros(before), limit=AT_ONCE)
            return [number_row(row, self.vault) for row in rows]

        found = await self._read_alone(read)
        ours = await asyncio.gather(*(self._ask(_BEGIN, Beginning(row.trunk, before, now)) for row in found))
        return [row for row, mine in zip(found, ours, strict=True) if mine]

    async def note_probe(self, trunk: str, says: str, *, now: float) -> None:
        """See ports.store.Store."""
        await self._ask(_END, Saying(trunk, says, now))


_BEGIN, _END = BeginProbe(), EndProbe()
