"""Calling hours of a workspace: they count for each batch that has none of its own."""

from typing import Any

from outdial.domain import window
from outdial.ports.signal import Signal, Topic
from outdial.ports.store import Store
from outdial.runtime.clock import Clock


async def change(
    store: Store, signal: Signal, clock: Clock, workspace_id: int, plain: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Set them, or remove them with None; Invalid where they can't be read. They act from the next claim and GO on."""
    hours = window.parse(plain)
    rendered = None if hours is None else window.render(hours)
    await store.set_calling_hours(workspace_id, rendered, now=clock.now())
    await signal.ring(Topic.WORK)
    return rendered
