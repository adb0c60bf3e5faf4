"""The do-not-call list. A workspace's bucket orders it against claims and GO, which lock that bucket too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from outdial.store.desk import Desk
from outdial.store.instants import micros
from outdial.store.op import Footprint, Reads, Single, Tx

CHUNK = 5_000
"""Numbers in one transaction: nobody waits long for the workspace's bucket."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Numbers to be put on the list, or taken off."""

    workspace_id: int
    numbers: tuple[str, ...]
    reason: str = ""
    now: float = 0.0


class _Ordered(Single[Listing, int]):
    """Waits for claims and GO under way; those that come after it see its change."""

    def footprint(self, tx: Reads, requests: Sequence[Listing]) -> Footprint:
        return Footprint(frozenset(f"w:{request.workspace_id}" for request in requests))


class Suppress(_Ordered):
    """Put numbers on the list. It runs before GO of the same group, which then finds them."""

    name: ClassVar[str] = "suppress"
    order: ClassVar[int] = 2

    def one(self, tx: Tx, request: Listing) -> int:
        return tx.run(
            "suppress",
            workspace_id=request.workspace_id,
            numbers=request.numbers,
            reason=request.reason,
            created_at=micros(request.now),
        )


class Unsuppress(_Ordered):
    """Take numbers off the list."""

    name: ClassVar[str] = "unsuppress"
    order: ClassVar[int] = 3

    def one(self, tx: Tx, request: Listing) -> int:
        return tx.run("unsuppress", workspace_id=request.workspace_id, numbers=request.numbers)


_SUPPRESS, _UNSUPPRESS = Suppress(), Unsuppress()


class Suppression(Desk):
    """The store's methods for the do-not-call list."""

    async def suppress(self, workspace_id: int, numbers: Sequence[str], *, reason: str, now: float) -> int:
        """See ports.store.Store."""
        return sum(
            [
                await self._ask(_SUPPRESS, Listing(workspace_id, chunk, reason, now))
                for chunk in _chunks(dict.fromkeys(numbers))
            ]
        )

    async def unsuppress(self, workspace_id: int, numbers: Sequence[str]) -> int:
        """See ports.store.Store."""
        return sum(
            [await self._ask(_UNSUPPRESS, Listing(workspace_id, chunk)) for chunk in _chunks(dict.fromkeys(numbers))]
        )

    async def suppressed(self, workspace_id: int, numbers: Sequence[str]) -> frozenset[str]:
        """See ports.store.Store."""
        rows = await self._read(
            lambda tx: tx.rows("suppressed", workspace_id=workspace_id, numbers=sorted(set(numbers)))
        )
        return frozenset(row.number for row in rows)


def _chunks(numbers: dict[str, None]) -> list[tuple[str, ...]]:
    ordered = sorted(numbers)
    return [tuple(ordered[i : i + CHUNK]) for i in range(0, len(ordered), CHUNK)]
