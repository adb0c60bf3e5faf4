"""Taking an order: its agent and number exist here, its people are staged, and with the seal it is real."""

from collections.abc import Awaitable, Callable

from outdial.batches.desk import Desk
from outdial.batches.order import Order, OrderHead
from outdial.domain.errors import Invalid, named
from outdial.ports.signal import Topic
from outdial.ports.store import Answered, NewBatch, NumberRow, RequestKey
from outdial.runtime.ids import new_public_id

NUMBER_PARAM = "agent_phone_number_id"
ReadOrder = Callable[[], Awaitable[Order]]
"""Decodes and checks the request's body; not called for a twin, who only gets the answer."""


async def submit(desk: Desk, workspace_id: int, read: ReadOrder, request: RequestKey | None) -> Answered:
    """A new batch, or the answer that a twin of the request already got."""
    answered = await desk.twins.once(request, lambda: _act(desk, workspace_id, read, request))
    if not answered.replayed:
        await desk.ring(Topic.WORK)
    return answered


async def _act(desk: Desk, workspace_id: int, read: ReadOrder, request: RequestKey | None) -> Answered:
    order = await read()
    batch = await accept(desk, workspace_id, order.head)
    batch_id = await desk.store.stage(batch, order.people, now=desk.clock.now())
    return await desk.store.seal(batch_id, request, now=desk.clock.now())


async def accept(desk: Desk, workspace_id: int, head: OrderHead, *, number_param: str = NUMBER_PARAM) -> NewBatch:
    """The batch that this order asks for; NotFound for an agent or a number of somebody else."""
    if head.whatsapp_params is not None:
        raise Invalid(
            "this server does not place WhatsApp calls; leave whatsapp_params out, and give agent_phone_number_id",
            code="whatsapp_not_available",
            param="whatsapp_params",
        )
    if head.number_id is None:
        raise Invalid(
            f"{number_param} is needed: the number to call from", code="missing_required_field", param=number_param
        )
    with named("agent_id"):
        agent = await desk.store.agent(workspace_id, head.agent_id)
    with named(number_param):
        number = await desk.store.number(workspace_id, head.number_id)
        check_provider(desk, number)
    return NewBatch(
        workspace_id=workspace_id,
        public_id=new_public_id("btcal_"),
        name=head.name,
        agent_id=agent.id,
        number_id=number.id,
        scheduled_at=desk.clock.now() if head.scheduled_at is None else head.scheduled_at,
        timezone=head.timezone,
        branch_id=head.branch_id,
        environment=head.environment,
        whatsapp_params=head.whatsapp_params,
        telephony_call_config=head.telephony_call_config,
        target_concurrency_limit=head.target_concurrency_limit,
        calling_hours=head.calling_hours,
    )


def check_provider(desk: Desk, number: NumberRow) -> None:
    """Invalid where no call can be placed from this number."""
    if desk.dials is not None and number.provider not in desk.dials:
        known = ", ".join(sorted(desk.dials))
        raise Invalid(
            f"calls through {number.provider} can't be placed by this server yet; it places them through: {known}",
            code="provider_not_available",
        )
