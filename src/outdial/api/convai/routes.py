"""The addresses of `/v1/convai`."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from outdial.api import batch_calls, schema, workspace
from outdial.api.auth import Caller
from outdial.api.convai.schema import AgentFilter, LastDoc, ListLimit
from outdial.api.route import add

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

add(ROUTER, "POST", "/agents/create", workspace.create_agent, name="convai_create_agent",
    body=schema.CreateAgent, answer=schema.AgentId)  # fmt: skip
add(ROUTER, "GET", "/agents/{agent_id}", workspace.get_agent, name="convai_get_agent", answer=schema.Agent)
add(ROUTER, "POST", "/phone-numbers", workspace.create_number, name="convai_create_number",
    body=schema.CreatePhoneNumber, answer=schema.PhoneNumberId)  # fmt: skip
add(ROUTER, "GET", "/phone-numbers", workspace.list_numbers, name="convai_list_numbers",
    answer=list[schema.PhoneNumber])  # fmt: skip
add(ROUTER, "GET", "/phone-numbers/{phone_number_id}", workspace.get_number, name="convai_get_number",
    answer=schema.PhoneNumber)  # fmt: skip
add(ROUTER, "GET", "/conversations/{conversation_id}", batch_calls.conversation, name="convai_get_conversation",
    answer=schema.Conversation)  # fmt: skip
