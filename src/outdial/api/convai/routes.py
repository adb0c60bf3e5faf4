"""The addresses of `/v1/convai`."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from outdial.api import (
    agent_schema,
    agents,
    batch_calls,
    call_schema,
    calls,
    conversation_schema,
    conversations,
    number_schema,
    numbers,
    office,
    schema,
    webhook_schema,
)
from outdial.api.auth import Caller
from outdial.api.convai.schema import AgentFilter, LastDoc, ListLimit
from outdial.api.route import add
from outdial.api.suppression_routes import do_not_call_routes

ROUTER = APIRouter(prefix="/v1/convai", tags=["convai"])
_BATCH = "/batch-calling/{batch_id}"


async def list_batches(
    request: Request, caller: Caller, limit: ListLimit = 100, last_doc: LastDoc = None, agent_id: AgentFilter = None
) -> Response:
    """The workspace's batches, newest first."""
    return await batch_calls.listed(request, caller, limit=limit, cursor=last_doc, agent_id=agent_id)


add(ROUTER, "POST", "/batch-calling/submit", batch_calls.submit, name="convai_submit_batch",
    body=schema.SubmitBatch, answer=schema.Batch)  # fmt: skip
add(ROUTER, "GET", "/batch-calling/workspace", list_batches, name="convai_list_batches", answer=schema.BatchList)
add(ROUTER, "GET", _BATCH, batch_calls.get, name="convai_get_batch", answer=schema.BatchWithRecipients)
add(ROUTER, "POST", f"{_BATCH}/cancel", batch_calls.cancel, name="convai_cancel_batch", answer=schema.Batch)
add(ROUTER, "POST", f"{_BATCH}/retry", batch_calls.retry, name="convai_retry_batch",
    body=schema.RetryBatch, answer=schema.Batch)  # fmt: skip
add(ROUTER, "GET", f"{_BATCH}/retry-preview", batch_calls.retry_preview, name="convai_preview_retry",
    answer=schema.RetryPreview)  # fmt: skip
add(ROUTER, "POST", f"{_BATCH}/pause", batch_calls.pause, name="convai_pause_batch", answer=schema.Batch)
add(ROUTER, "POST", f"{_BATCH}/resume", batch_calls.resume, name="convai_resume_batch", answer=schema.Batch)
add(ROUTER, "DELETE", _BATCH, batch_calls.delete, name="convai_delete_batch", status=204)
add(ROUTER, "GET", f"{_BATCH}/export", batch_calls.export, name="convai_export_batch", media_type="text/csv")
add(ROUTER, "GET", f"{_BATCH}/recipients", batch_calls.recipients, name="convai_list_recipients",
    answer=schema.RecipientList)  # fmt: skip

_AGENT = "/agents/{agent_id}"
add(ROUTER, "POST", "/agents/create", agents.create_agent, name="convai_create_agent",
    body=agent_schema.CreateAgent, answer=agent_schema.AgentId)  # fmt: skip
add(ROUTER, "GET", "/agents", agents.list_agents, name="convai_list_agents", answer=agent_schema.AgentList)
add(ROUTER, "GET", _AGENT, agents.get_agent, name="convai_get_agent", answer=agent_schema.Agent)
add(ROUTER, "PATCH", _AGENT, agents.update_agent, name="convai_update_agent",
    body=agent_schema.UpdateAgent, answer=agent_schema.Agent)  # fmt: skip
add(ROUTER, "DELETE", _AGENT, agents.delete_agent, name="convai_delete_agent", answer=schema.Nothing)
add(ROUTER, "POST", f"{_AGENT}/duplicate", agents.duplicate_agent, name="convai_duplicate_agent",
    body=agent_schema.DuplicateAgent, answer=agent_schema.AgentId)  # fmt: skip

_NUMBER = "/phone-numbers/{phone_number_id}"
add(ROUTER, "POST", "/phone-numbers", numbers.create_number, name="convai_create_number",
    body=number_schema.CreatePhoneNumber, answer=number_schema.PhoneNumberId)  # fmt: skip
add(ROUTER, "GET", "/phone-numbers", numbers.list_numbers, name="convai_list_numbers",
    answer=list[number_schema.PhoneNumber])  # fmt: skip
add(ROUTER, "GET", _NUMBER, numbers.get_number, name="convai_get_number", answer=number_schema.PhoneNumber)
add(ROUTER, "PATCH", _NUMBER, numbers.update_number, name="convai_update_number",
    body=number_schema.UpdatePhoneNumber, answer=number_schema.PhoneNumber)  # fmt: skip
add(ROUTER, "DELETE", _NUMBER, numbers.delete_number, name="convai_delete_number", answer=schema.Nothing)
add(ROUTER, "GET", f"{_NUMBER}/sip-messages", numbers.sip_messages, name="convai_list_sip_messages_of_number",
    answer=conversation_schema.SipMessages)  # fmt: skip

_CONVERSATION = "/conversations/{conversation_id}"
add(ROUTER, "GET", "/conversations", conversations.listed, name="convai_list_conversations",
    answer=conversation_schema.ConversationList)  # fmt: skip
add(ROUTER, "GET", _CONVERSATION, conversations.get, name="convai_get_conversation",
    answer=conversation_schema.Conversation)  # fmt: skip
add(ROUTER, "DELETE", _CONVERSATION, conversations.delete, name="convai_delete_conversation", answer=schema.Nothing)
add(ROUTER, "GET", f"{_CONVERSATION}/audio", conversations.audio, name="convai_get_audio", media_type="audio/mpeg")
add(ROUTER, "GET", f"{_CONVERSATION}/sip-messages", conversations.sip_messages, name="convai_list_sip_messages",
    answer=conversation_schema.SipMessages)  # fmt: skip

add(ROUTER, "POST", "/twilio/outbound-call", calls.twilio, name="convai_call_by_twilio",
    body=call_schema.PlaceTwilioCall, answer=call_schema.PlacedCall)  # fmt: skip
add(ROUTER, "POST", "/sip-trunk/outbound-call", calls.sip_trunk, name="convai_call_by_sip_trunk",
    body=call_schema.PlaceCall, answer=call_schema.PlacedCall)  # fmt: skip
add(ROUTER, "POST", "/exotel/outbound-call", calls.exotel, name="convai_call_by_exotel",
    body=call_schema.PlaceCall, answer=call_schema.PlacedCall)  # fmt: skip
add(ROUTER, "POST", "/whatsapp/outbound-call", calls.whatsapp, name="convai_call_by_whatsapp",
    body=call_schema.PlaceWhatsAppCall, answer=call_schema.PlacedCall)  # fmt: skip

add(ROUTER, "GET", "/settings", office.get_settings, name="convai_get_settings",
    answer=webhook_schema.WorkspaceSettings)  # fmt: skip
add(ROUTER, "PATCH", "/settings", office.update_settings, name="convai_update_settings",
    body=webhook_schema.UpdateSettings, answer=webhook_schema.WorkspaceSettings)  # fmt: skip

_ACCOUNT = "/whatsapp-accounts/{phone_number_id}"
add(ROUTER, "GET", "/whatsapp-accounts", office.list_whatsapp_accounts, name="convai_list_whatsapp_accounts",
    answer=webhook_schema.WhatsAppAccounts)  # fmt: skip
add(ROUTER, "GET", _ACCOUNT, office.whatsapp_account, name="convai_get_whatsapp_account", answer=schema.Nothing)
add(ROUTER, "PATCH", _ACCOUNT, office.whatsapp_account, name="convai_update_whatsapp_account", answer=schema.Nothing)
add(ROUTER, "DELETE", _ACCOUNT, office.whatsapp_account, name="convai_delete_whatsapp_account", answer=schema.Nothing)

do_not_call_routes(ROUTER, prefix="convai")

WORKSPACE = APIRouter(prefix="/v1/workspace", tags=["convai"])
"""Addresses of the same product outside of its prefix."""
_WEBHOOK = "/webhooks/{webhook_id}"
add(WORKSPACE, "POST", "/webhooks", office.create_webhook, name="convai_create_webhook",
    body=webhook_schema.CreateWebhook, answer=webhook_schema.NewWebhook)  # fmt: skip
add(WORKSPACE, "GET", "/webhooks", office.list_webhooks, name="convai_list_webhooks",
    answer=webhook_schema.WebhookList)  # fmt: skip
add(WORKSPACE, "PATCH", _WEBHOOK, office.update_webhook, name="convai_update_webhook",
    body=webhook_schema.UpdateWebhook, answer=webhook_schema.Done)  # fmt: skip
add(WORKSPACE, "DELETE", _WEBHOOK, office.delete_webhook, name="convai_delete_webhook", answer=webhook_schema.Done)
