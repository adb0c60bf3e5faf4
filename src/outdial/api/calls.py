"""Handlers of single outbound calls."""

from typing import Any

from fastapi import Request
from starlette.responses import Response

from outdial.api.answers import json_answer
from outdial.api.auth import Caller
from outdial.api.body import as_model, body_of, given
from outdial.api.call_schema import PlaceCall, PlaceTwilioCall, PlaceVoiceCall, PlaceWhatsAppCall
from outdial.api.context import context_of
from outdial.api.schema import ClientData, TelephonyCallConfig
from outdial.api.submission import telephony_config
from outdial.api.twins import marked, request_key
from outdial.batches import single
from outdial.domain.errors import Invalid

BOX = "loopback"
"""Its numbers may be called from at every address: they are for trying things out."""


async def twilio(request: Request, caller: Caller) -> Response:
    """Call one person from a Twilio number."""
    body = await body_of(request)
    asked = as_model(body, PlaceTwilioCall)
    config = _telephony(asked.telephony_call_config)
    if asked.call_recording_enabled is not None:
        config["twilio_call_recording_enabled"] = asked.call_recording_enabled
    return await _place(request, caller, body, _order(asked, config, providers=frozenset({"twilio", BOX})))


async def sip_trunk(request: Request, caller: Caller) -> Response:
    """Call one person through a SIP trunk."""
    body = await body_of(request)
    asked = as_model(body, PlaceCall)
    order = _order(asked, _telephony(asked.telephony_call_config), providers=frozenset({"sip_trunk", BOX}))
    return await _place(request, caller, body, order)


async def voice(request: Request, caller: Caller) -> Response:
    """Call one person, from a number of any provider."""
    body = await body_of(request)
    asked = as_model(body, PlaceVoiceCall)
    order = single.SingleCall(
        agent_id=asked.agent_id,
        number_id=asked.phone_number_id,
        to_number=asked.to_phone_number,
        number_param="phone_number_id",
        to_param="to_phone_number",
        client_data={"dynamic_variables": asked.dynamic_variables} if asked.dynamic_variables else {},
        data_path=(),
        telephony_call_config=telephony_config(None),
    )
    return await _place(request, caller, body, order)


async def exotel(request: Request, caller: Caller) -> Response:  # noqa: ARG001 - the key is asked for first
    """Refused: there are no calls through Exotel here."""
    as_model(await body_of(request), PlaceCall)
    raise Invalid("this server does not place calls through Exotel", code="provider_not_available")


async def whatsapp(request: Request, caller: Caller) -> Response:  # noqa: ARG001 - the key is asked for first
    """Refused until there are WhatsApp calls here."""
    as_model(await body_of(request), PlaceWhatsAppCall)
    raise Invalid("this server does not place WhatsApp calls", code="whatsapp_not_available")


def _order(asked: PlaceCall, config: dict[str, Any], *, providers: frozenset[str]) -> single.SingleCall:
    data: ClientData | None = asked.conversation_initiation_client_data
    return single.SingleCall(
        agent_id=asked.agent_id,
        number_id=asked.agent_phone_number_id,
        to_number=asked.to_number,
        number_param="agent_phone_number_id",
        to_param="to_number",
        client_data=given(data),
        telephony_call_config=config,
        providers=providers,
    )


def _telephony(asked: TelephonyCallConfig | None) -> dict[str, Any]:
    return telephony_config(given(asked))


async def _place(request: Request, caller: Caller, body: bytes, order: single.SingleCall) -> Response:
    key = request_key(request, caller, body)
    placed = await single.place(context_of(request).desk, caller.workspace_id, order, key)
    answer = {
        "success": placed.success,
        "message": placed.message,
        "conversation_id": placed.conversation_id,
        "callSid": placed.provider_call_id,
        "call_sid": placed.provider_call_id,
        "sip_call_id": placed.provider_call_id,
        "batch_id": placed.batch.public_id,
    }
    return marked(json_answer(answer), placed.answered)
