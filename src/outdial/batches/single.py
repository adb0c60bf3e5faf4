"""One call by itself: a batch of one that no list shows, dialled by the same rules as every other.

The answer waits a moment for the call to be sent, so that it can name the conversation and the provider's own id of the
call. One that has to wait for a free line is accepted all the same; its batch tells what became of it.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from outdial.batches.desk import Desk
from outdial.batches.order import OrderHead
from outdial.batches.people import DATA, Person, check_people
from outdial.batches.submit import accept
from outdial.domain.attempt import AttemptState
from outdial.domain.errors import Complaint, Invalid, Unavailable, Unprocessable
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import FINAL
from outdial.ports.signal import Topic
from outdial.ports.store import Answered, BatchRow, ConversationRow, NewRecipient, RecipientRow, RequestKey
from outdial.runtime.ids import conversation_id

WAIT_SECS = 5.0
"""How long the answer waits for the call to be sent."""
LOOK_EVERY_SECS = 0.03
NAME = "single call"
_NOT_PLACED = frozenset({Outcome.PROVIDER_REJECTED, Outcome.SUPPRESSED, Outcome.CANCELLED, Outcome.EXPIRED})
"""Endings that say that nothing rang."""
_BEING_SENT = frozenset({AttemptState.DIALING})


@dataclass(frozen=True, slots=True)
class SingleCall:
    """A call as somebody orders it."""

    agent_id: str
    number_id: str | None
    to_number: str
    number_param: str
    """What the caller's dialect calls the number to call from; and the number to call."""
    to_param: str
    client_data: dict[str, Any]
    telephony_call_config: dict[str, Any]
    data_path: tuple[str, ...] = (DATA,)
    """Where in the caller's order the data of the person stand."""
    providers: frozenset[str] | None = None
    """The caller's address is for numbers of these; None: of any."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of it so far."""

    answered: Answered
    success: bool
    message: str
    conversation_id: str | None
    provider_call_id: str | None

    @property
    def batch(self) -> BatchRow:
        """The hidden batch of one."""
        return self.answered.batch


async def place(desk: Desk, workspace_id: int, order: SingleCall, request: RequestKey | None) -> Placed:
    """Call this one person. A twin of the request calls nobody, and is told the same."""
    answered = await desk.twins.once(request, lambda: _act(desk, workspace_id, order, request))
    if not answered.replayed:
        await desk.ring(Topic.WORK)
    try:
        return await _told(desk, answered)
    except Unavailable as error:  # it is ordered all the same: "not now" would say that it is not
        why = f"ordered; what becomes of it can't be told: {error}"
        return Placed(answered, success=True, message=why, conversation_id=None, provider_call_id=None)


async def _act(desk: Desk, workspace_id: int, order: SingleCall, request: RequestKey | None) -> Answered:
    head = OrderHead(NAME, order.agent_id, order.number_id, telephony_call_config=order.telephony_call_config)
    batch = await accept(desk, workspace_id, head, number_param=order.number_param)
    await _check_address(desk, workspace_id, order)
    person = _person(order)
    batch_id = await desk.store.stage(replace(batch, hidden=True), [person], now=desk.clock.now())
    return await desk.store.seal(batch_id, request, now=desk.clock.now())


async def _check_address(desk: Desk, workspace_id: int, order: SingleCall) -> None:
    """A number of one provider is not called from at the address of another."""
    if order.providers is None or order.number_id is None:
        return
    number = await desk.store.number(workspace_id, order.number_id)
    if number.provider not in order.providers:
        raise Invalid(
            f"this address is for numbers of {' or '.join(sorted(order.providers))}; this one is of {number.provider}",
            code="wrong_provider",
            param=order.number_param,
        )


def _person(order: SingleCall) -> NewRecipient:
    client_data = msgspec.json.encode(order.client_data).decode()
    try:
        (checked,) = check_people([Person(order.to_number, client_data_json=client_data)])
    except Unprocessable as error:
        raise Unprocessable([_in_words_of(order, complaint) for complaint in error.complaints]) from None
    return checked


def _in_words_of(order: SingleCall, complaint: Complaint) -> Complaint:
    """A complaint about the only one of a list, as one about this order."""
    _body, _recipients, _index, name, *inside = complaint.loc
    path = (*order.data_path, *inside) if name == DATA else (order.to_param,)
    return Complaint(("body", *path), complaint.msg, complaint.type)


# --- the answer ----------------------------------------------------------------------------------------------------


async def _told(desk: Desk, answered: Answered) -> Placed:
    """What is known within a few seconds."""
    until = desk.clock.boottime() + WAIT_SECS
    while True:
        call, waiting = await _look(desk, answered.batch)
        if call is not None and (call.provider_call_id is not None or call.state not in _BEING_SENT):
            return _placed(answered, call)
        if call is None and waiting is None:
            return _not_placed(answered, "the call was not placed: its batch is over")
        if desk.clock.boottime() >= until:
            return _placed(answered, call) if call is not None else await _queued(desk, answered)
        await desk.clock.sleep(LOOK_EVERY_SECS)


async def _look(desk: Desk, batch: BatchRow) -> tuple[ConversationRow | None, RecipientRow | None]:
    """The call, once it was sent; and the person, as long as they wait."""
    call = await desk.store.call_of_single(batch.id)
    if call is not None:
        return call, None
    page = await desk.store.recipients(batch, limit=1)
    waiting = [row for row in page.rows if row.status not in FINAL]
    return None, waiting[0] if waiting else None


def _placed(answered: Answered, call: ConversationRow) -> Placed:
    outcome = None if call.ending is None else call.ending.outcome
    refused = outcome in _NOT_PLACED
    why = "" if call.ending is None else call.ending.reason or call.ending.outcome
    return Placed(
        answered,
        success=not refused,
        message=f"the call was not placed: {why}" if refused else "the call is placed",
        conversation_id=conversation_id(call.call_key),
        provider_call_id=call.provider_call_id,
    )


def _not_placed(answered: Answered, why: str) -> Placed:
    return Placed(answered, success=False, message=why, conversation_id=None, provider_call_id=None)


async def _queued(desk: Desk, answered: Answered) -> Placed:
    now = desk.clock.now()
    batch = await desk.store.batch(answered.batch.workspace_id, answered.batch.public_id, now=now)
    why = batch.status_reason or "waiting for a free line"
    return Placed(answered, success=True, message=f"queued: {why}", conversation_id=None, provider_call_id=None)
