"""Ending a batch or holding it: cancel, delete, pause, resume. All may be asked twice."""

from outdial.batches.desk import Desk
from outdial.ports.signal import Topic
from outdial.ports.store import Answered, BatchRow
from outdial.runtime.failpoint import reach


async def cancel(desk: Desk, workspace_id: int, batch_id: str, *, hang_up: bool) -> Answered:
    """Call nobody new and give up what rings; with `hang_up` end the conversations too. Over already: unchanged."""
    answered = await desk.store.cancel(workspace_id, batch_id, hang_up=hang_up, now=desk.clock.now())
    reach("after_cancel")
    await desk.ring(Topic.STOP, Topic.SWEEP)
    return answered


async def delete(desk: Desk, workspace_id: int, batch_id: str) -> None:
    """Cancel, hide at once, erase the people later; their conversations stay."""
    await desk.store.delete_batch(workspace_id, batch_id, now=desk.clock.now())
    await desk.ring(Topic.STOP, Topic.SWEEP)


async def pause(desk: Desk, workspace_id: int, batch_id: str) -> BatchRow:
    """Nobody is called until `resume`; calls under way go on."""
    return await desk.store.pause(workspace_id, batch_id, paused=True, now=desk.clock.now())


async def resume(desk: Desk, workspace_id: int, batch_id: str) -> BatchRow:
    """Go on, also after the trunk was halted."""
    batch = await desk.store.pause(workspace_id, batch_id, paused=False, now=desk.clock.now())
    await desk.ring(Topic.WORK)
    return batch
