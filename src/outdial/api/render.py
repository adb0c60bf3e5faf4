"""Our values as the wire has them, where both dialects are one."""

from typing import Any

from outdial.domain.attempt import AttemptState
from outdial.domain.batch import BatchStatus
from outdial.domain.outcome import MEANING, Outcome
from outdial.domain.retry import Preview
from outdial.ports.store import AgentRow, BatchRow, ConversationRow, NumberRow, RecipientRow
from outdial.runtime.ids import conversation_id

_STATUS = {
    AttemptState.DIALING: "initiated",
    AttemptState.RINGING: "initiated",
    AttemptState.LIVE: "in-progress",
    AttemptState.UNKNOWN: "processing",
}
"""Of a conversation that has not ended."""
_RESULT = {
    Outcome.COMPLETED: "answered",
    Outcome.VOICEMAIL: "voicemail",
    Outcome.BUSY: "busy",
    Outcome.NO_ANSWER: "no_answer",
}
"""The published `call_result`; every other ending is `failed`."""
_PHONE_CALL = {"sip_trunk": "sip_trunking"}
"""A provider's name in the phone_call block, where it differs."""


def batch(row: BatchRow) -> dict[str, Any]:
    """A batch: the 21 published fields, then ours."""
    return {
        "id": row.public_id,
        "phone_number_id": row.number_public_id,
        "phone_provider": row.provider,
        "whatsapp_params": row.whatsapp_params,
        "name": row.name,
        "agent_id": row.agent_public_id,
        "branch_id": row.branch_id,
        "environment": row.environment,
        "created_at_unix": int(row.created_at),
        "scheduled_time_unix": int(row.scheduled_at),
        "timezone": row.timezone,
        "total_calls_dispatched": row.counters.dispatched,
        "total_calls_scheduled": row.counters.scheduled,
        "total_calls_finished": row.counters.finished,
        "last_updated_at_unix": int(row.updated_at),
        "status": row.status,
        "retry_count": row.retry_count,
        "telephony_call_config": row.telephony_call_config,
        "target_concurrency_limit": row.target_concurrency_limit,
        "agent_name": row.agent_name,
        "branch_name": None,
        "status_reason": row.status_reason or ("paused" if row.paused and row.status in _GOING_ON else ""),
        "paused": row.paused,
        "calling_hours": row.calling_hours,
    }


_GOING_ON = {BatchStatus.PENDING, BatchStatus.IN_PROGRESS}


def recipient(row: RecipientRow) -> dict[str, Any]:
    """A person of a batch: the published fields, then ours."""
    return {
        "id": row.recipient_id,
        "phone_number": row.number,
        "whatsapp_user_id": None,
        "status": row.status,
        "created_at_unix": int(row.created_at),
        "updated_at_unix": int(row.updated_at),
        "conversation_id": conversation_id(row.conversation_key) if row.conversation_key else None,
        "conversation_initiation_client_data": row.client_data or None,
        "outcome": row.outcome,
        "attempts": row.attempts,
        "round": row.round,
    }


def preview(seen: Preview) -> dict[str, Any]:
    """What a retry would do."""
    return {
        "would_call": seen.would_call,
        "by_outcome": seen.by_outcome,
        "would_not": [{"outcome": one.outcome, "count": one.count, "reason": one.reason} for one in seen.would_not],
    }


def agent(row: AgentRow) -> dict[str, Any]:
    """An agent as kept."""
    return {
        "agent_id": row.public_id,
        "name": row.name,
        "conversation_config": row.conversation_config,
        "metadata": {"created_at_unix_secs": int(row.created_at), "updated_at_unix_secs": int(row.updated_at)},
        "platform_settings": row.platform_settings,
        "phone_numbers": [],
        "whatsapp_accounts": [],
        "workflow": row.workflow,
        "access_info": {"is_creator": True, "creator_name": "", "creator_email": "", "role": "admin"},
        "tags": list(row.tags),
    }


def number(row: NumberRow) -> dict[str, Any]:
    """A number as kept; its settings stay inside, they hold secrets."""
    return {
        "phone_number": row.phone_number,
        "label": row.label,
        "phone_number_id": row.public_id,
        "provider": row.provider,
        "supports_inbound": False,
        "supports_outbound": True,
        "assigned_agent": None,
        "max_concurrent_calls": row.max_concurrent_calls,
        "max_calls_per_second": row.max_calls_per_second,
        "halted_reason": row.halted_reason or None,
    }


def conversation(row: ConversationRow) -> dict[str, Any]:
    """A call that was sent, as a conversation."""
    data = {"dynamic_variables": {}, "conversation_config_override": {}, **row.client_data}
    return {
        "agent_id": row.agent_public_id,
        "agent_name": row.agent_name,
        "conversation_id": conversation_id(row.call_key),
        "status": _status(row),
        "user_id": row.client_data.get("user_id"),
        "metadata": _metadata(row),
        "transcript": [
            {
                "role": said.role,
                "message": said.message,
                "time_in_call_secs": said.at_secs,
                "tool_calls": [],
                "tool_results": [],
                "interrupted": False,
            }
            for said in row.said
        ],
        "analysis": None if row.ending is None else _analysis(row.ending.outcome),
        "conversation_initiation_client_data": data,
        "has_audio": False,
        "has_user_audio": False,
        "has_response_audio": False,
        "has_auxiliary_audio": False,
    }


def _status(row: ConversationRow) -> str:
    """A call that nobody answered failed; what is unknown may still become known."""
    if row.state is not AttemptState.ENDED:
        return _STATUS.get(row.state, "failed")
    return "done" if row.answered_at is not None else "failed"


def _metadata(row: ConversationRow) -> dict[str, Any]:
    ending = row.ending
    failed = ending is not None and not MEANING[ending.outcome].reached
    talked = (row.ended_at - row.answered_at) if row.ended_at and row.answered_at else 0
    return {
        "start_time_unix_secs": int(row.started_at),
        "accepted_time_unix_secs": None if row.answered_at is None else int(row.answered_at),
        "call_duration_secs": max(0, round(talked)),
        "termination_reason": "" if ending is None else ending.reason or ending.outcome,
        "error": {"code": ending.sip_code or 0, "reason": ending.reason or ending.outcome}
        if ending and failed
        else None,
        "warnings": [],
        "batch_call": _batch_call(row),
        "phone_call": {
            "type": _PHONE_CALL.get(row.provider, row.provider),
            "direction": "outbound",
            "phone_number_id": row.number_public_id,
            "agent_number": row.caller,
            "external_number": row.number,
            "call_sid": row.provider_call_id or row.call_key,
            "call_result": None if ending is None else _RESULT.get(ending.outcome, "failed"),
        },
        "outcome": None if ending is None else ending.outcome,
    }


def _batch_call(row: ConversationRow) -> dict[str, Any] | None:
    if row.batch_public_id is None:
        return None
    return {"batch_call_id": row.batch_public_id, "batch_call_recipient_id": row.recipient_id or ""}


def _analysis(outcome: Outcome) -> dict[str, Any]:
    successful = "success" if outcome is Outcome.COMPLETED else "failure"
    return {
        "call_successful": "unknown" if outcome is Outcome.UNKNOWN else successful,
        "transcript_summary": "",
        "evaluation_criteria_results": {},
        "data_collection_results": {},
    }
