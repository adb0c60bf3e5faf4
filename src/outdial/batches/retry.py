"""Calling again exactly those who were not reached, and telling beforehand who that is."""

from collections.abc import Iterable

from outdial.batches.desk import Desk
from outdial.domain.decision import outcomes_taken
from outdial.domain.recipient import RecipientStatus
from outdial.domain.retry import Preview
from outdial.ports.signal import Topic
from outdial.ports.store import Answered, RequestKey

ON_REQUEST = frozenset({RecipientStatus.VOICEMAIL, RecipientStatus.CANCELLED})
"""Whom a retry takes only when asked."""


async def retry(
    desk: Desk, workspace_id: int, batch_id: str, include: Iterable[RecipientStatus], request: RequestKey | None
) -> Answered:
    """Open a round for them; nobody to call: the batch unchanged. A twin of the request opens no second one."""
    outcomes = outcomes_taken(include)

    async def act() -> Answered:
        return await desk.store.retry(workspace_id, batch_id, outcomes, request, now=desk.clock.now())

    answered = await desk.twins.once(request, act)
    if answered.taken and not answered.replayed:
        await desk.ring(Topic.SWEEP, Topic.WORK)
    return answered


async def preview(desk: Desk, workspace_id: int, batch_id: str, include: Iterable[RecipientStatus]) -> Preview:
    """Whom a retry would call now and whom not."""
    return await desk.store.preview(workspace_id, batch_id, frozenset(include))
