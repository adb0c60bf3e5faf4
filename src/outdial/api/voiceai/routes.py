"""The addresses of `/v1/voiceai`."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from outdial.api import batch_calls, call_schema, calls, conversation_schema, conversations, schema
from outdial.api.auth import Caller
from outdial.api.route import add
from outdial.api.suppression_routes import do_not_call_routes
from outdial.api.voiceai.schema import LastDoc, ListLimit

ROUTER = APIRouter(prefix="/v1/voiceai", tags=["voiceai"])
_BATCH = "/batch-calling/{batch_id}"


async def list_batches(request: Request, caller: Caller, limit: ListLimit = 100, last_doc: LastDoc = None) -> Response:
    """The workspace's batches, newest first."""
    return await batch_calls.listed(request, caller, limit=limit, cursor=last_doc, agent_id=None)


add(ROUTER, "POST", "/batch-calling/submit", batch_calls.submit, name="voiceai_submit_batch",
    body=schema.SubmitBatch, answer=schema.Batch)  # fmt: skip
add(ROUTER, "GET", "/batch-calling/workspace", list_batches, name="voiceai_list_batches", answer=schema.BatchList)
add(ROUTER, "GET", _BATCH, batch_calls.get, name="voiceai_get_batch", answer=schema.BatchWithRecipients)
add(ROUTER, "POST", f"{_BATCH}/cancel", batch_calls.cancel, name="voiceai_cancel_batch", answer=schema.Batch)
add(ROUTER, "POST", f"{_BATCH}/retry", batch_calls.retry, name="voiceai_retry_batch",
    body=schema.RetryBatch, answer=schema.Batch)  # fmt: skip
add(ROUTER, "GET", f"{_BATCH}/retry-preview", batch_calls.retry_preview, name="voiceai_preview_retry",
    answer=schema.RetryPreview)  # fmt: skip
add(ROUTER, "POST", f"{_BATCH}/pause", batch_calls.pause, name="voiceai_pause_batch", answer=schema.Batch)
add(ROUTER, "POST", f"{_BATCH}/resume", batch_calls.resume, name="voiceai_resume_batch", answer=schema.Batch)
add(ROUTER, "DELETE", _BATCH, batch_calls.delete, name="voiceai_delete_batch", status=204)
add(ROUTER, "GET", f"{_BATCH}/export", batch_calls.export, name="voiceai_export_batch", media_type="text/csv")
add(ROUTER, "GET", f"{_BATCH}/recipients", batch_calls.recipients, name="voiceai_list_recipients",
    answer=schema.RecipientList)  # fmt: skip

_CONVERSATION = "/conversations/{conversation_id}"
add(ROUTER, "GET", "/conversations", conversations.listed, name="voiceai_list_conversations",
    answer=conversation_schema.ConversationList)  # fmt: skip
add(ROUTER, "GET", "/conversations/export", conversations.export, name="voiceai_export_conversations",
    media_type="text/csv")  # fmt: skip
add(ROUTER, "GET", "/conversations/token", conversations.token, name="voiceai_get_conversation_token",
    answer=conversation_schema.ConversationToken)  # fmt: skip
add(ROUTER, "GET", _CONVERSATION, conversations.get, name="voiceai_get_conversation",
    answer=conversation_schema.Conversation)  # fmt: skip
add(ROUTER, "DELETE", _CONVERSATION, conversations.delete, name="voiceai_delete_conversation", answer=schema.Nothing)
add(ROUTER, "GET", f"{_CONVERSATION}/audio", conversations.audio, name="voiceai_get_audio", media_type="audio/mpeg")

add(ROUTER, "POST", "/outbound-call", calls.voice, name="voiceai_call",
    body=call_schema.PlaceVoiceCall, answer=call_schema.PlacedCall)  # fmt: skip

do_not_call_routes(ROUTER, prefix="voiceai")
