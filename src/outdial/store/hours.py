"""Calling hours of workspaces: they count for batches without their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from outdial.ports.signal import Topic
from outdial.store.desk import Desk
from outdial.store.op import Footprint, Reads, Single, Tx


@dataclass(frozen=True, slots=True)
class Hours:
    """A workspace's calling hours as JSON text, None where it has none."""

    workspace_id: int
    hours: str | None


class SetHours(Single[Hours, None]):
    """Change them, ordered by the workspace's bucket against GO: a call that was judged by the old ones gets none."""

    name: ClassVar[str] = "set_hours"
    order: ClassVar[int] = 4

    def footprint(self, tx: Reads, requests: Sequence[Hours]) -> Footprint:
        return Footprint(frozenset(f"w:{request.workspace_id}" for request in requests))

    def one(self, tx: Tx, request: Hours) -> None:
        if tx.run("workspace_hours_set", id=request.workspace_id, hours=request.hours):
            tx.notify(Topic.WORK)


_SET = SetHours()


class WorkspaceHours(Desk):
    """The store's methods for them."""

    async def calling_hours(self, workspace_id: int) -> dict[str, Any] | None:
        """See ports.store.Store."""
        text = await self._read(lambda tx: tx.value("workspace_hours", id=workspace_id))
        return None if text is None else msgspec.json.decode(text, type=dict[str, Any])

    async def set_calling_hours(self, workspace_id: int, hours: dict[str, Any] | None, *, now: float) -> None:
        """See ports.store.Store."""
        text = None if hours is None else msgspec.json.encode(hours, order="deterministic").decode()
        await self._ask(_SET, Hours(workspace_id, text))
