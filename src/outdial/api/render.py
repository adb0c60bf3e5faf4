"""Our values as the wire has them, where both dialects are one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from outdial.domain.attempt import AttemptState
from outdial.domain.batch import BatchStatus
from outdial.domain.outcome import MEANING, Outcome
from outdial.domain.retry import Preview
from outdial.ports.store import AgentRow, AgentUse, BatchRow, ConversationRow, NumberRow, RecipientRow
from outdial.runtime.ids import conversation_id
from outdial.workspace.numbers import ASIDE

_STATUS = {
    AttemptState.DIALING: "initiated",
    AttemptState.RINGING: "initiated",
    AttemptState.LIVE: "in-progress",
    AttemptState.UNKNOWN: "failed",
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
        "suppressed_count": row.suppressed,
    }


_GOING_ON = {BatchStatus.PENDING, BatchStatus.IN_PROGRESS}


def recipient(row: RecipientRow) -> dict[str, Any]:
    """A person of a batch: the published fields, then ours."""
    return {
        "id": row.recipient_id,
        "phone_number": row.number,
        "whatsapp_user_id": row.whatsapp_user_id,
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


def agent(row: AgentRow, numbers: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """An agent as kept, and the numbers that are assigned to it, rendered."""
    return {
        "agent_id": row.public_id,
        "name": row.name,
        "conversation_config": row.conversation_config,
        "metadata": {"created_at_unix_secs": int(row.created_at), "updated_at_unix_secs": int(row.updated_at)},
        "platform_settings": row.platform_settings,
        "phone_numbers": list(numbers),
        "whatsapp_accounts": [],
        "workflow": row.workflow,
        "access_info": _ACCESS,
        "tags": list(row.tags),
        "version_id": None,
        "branch_id": None,
        "main_branch_id": None,
    }


_ACCESS = {"is_creator": True, "creator_name": "", "creator_email": "", "role": "admin"}
"""A key has no person behind it."""


def agent_summary(use: AgentUse) -> dict[str, Any]:
    """An agent in a list."""
    row = use.agent
    tts = row.conversation_config.get("tts") or {}
    return {
        "agent_id": row.public_id,
        "name": row.name,
        "voice_id": tts.get("voice_id") or "",
        "tags": list(row.tags),
        "created_at_unix_secs": int(row.created_at),
        "updated_at_unix_secs": int(row.updated_at),
        "access_info": _ACCESS,
        "last_call_time_unix_secs": None if use.last_call_at is None else int(use.last_call_at),
        "archived": bool(row.platform_settings.get("archived")),
    }


def aside(row: NumberRow) -> dict[str, Any]:
    """What clients stored with a number, and its provider does not know."""
    return row.settings.get(ASIDE) or {}


def number(row: NumberRow) -> dict[str, Any]:
    """A number as kept; never its secrets."""
    rendered = {
        "phone_number": row.phone_number,
        "label": row.label,
        "phone_number_id": row.public_id,
        "provider": row.provider,
        "supports_inbound": False,
        "supports_outbound": True,
        "assigned_agent": _assigned(row),
        "max_concurrent_calls": row.max_concurrent_calls,
        "max_calls_per_second": row.max_calls_per_second,
        "halted_reason": row.halted_reason or None,
    }
    if row.provider == "sip_trunk":
        rendered |= _trunks(row)
    return rendered


def _assigned(row: NumberRow) -> dict[str, Any] | None:
    if row.agent_public_id is None:
        return None
    kept = aside(row)
    return {
        "agent_id": row.agent_public_id,
        "agent_name": row.agent_name,
        "environment": kept.get("environment"),
        "branch_id": kept.get("branch_id"),
    }


def _trunks(row: NumberRow) -> dict[str, Any]:
    outbound, inbound = row.settings.get("outbound_trunk_config"), row.settings.get("inbound_trunk_config")
    out = None if outbound is None else _outbound(outbound)
    return {
        "provider_config": out,
        "outbound_trunk": out,
        "inbound_trunk": None if inbound is None else _inbound(inbound),
        "livekit_stack": aside(row).get("livekit_stack") or "standard",
        "store_sip_messages": aside(row).get("store_sip_messages") or False,
    }


def _outbound(trunk: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "address": trunk["address"],
        "transport": trunk.get("transport") or "auto",
        "media_encryption": trunk.get("media_encryption") or "allowed",
        "headers": trunk.get("headers") or {},
        "attributes_to_headers": trunk.get("attributes_to_headers") or {},
        "has_outbound_trunk": True,
        "enabled_codecs": trunk.get("enabled_codecs") or [],
        **_credentials(trunk),
    }


def _inbound(trunk: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "allowed_addresses": trunk.get("allowed_addresses") or [],
        "allowed_numbers": trunk.get("allowed_numbers"),
        "media_encryption": trunk.get("media_encryption") or "allowed",
        "remote_domains": trunk.get("remote_domains"),
        "attributes_to_headers": trunk.get("attributes_to_headers") or {},
        **_credentials(trunk),
    }


def _credentials(trunk: Mapping[str, Any]) -> dict[str, Any]:
    """That there are some, and whose; never the password."""
    kept = trunk.get("credentials") or {}
    return {"has_auth_credentials": kept.get("password") is not None, "username": kept.get("username")}


def conversation(row: ConversationRow, *, has_audio: bool = False) -> dict[str, Any]:
    """A call that was sent, as a conversation."""
    data = {"conversation_config_override": {}, **row.client_data, "dynamic_variables": _variables(row)}
    return {
        "agent_id": row.agent_public_id,
        "agent_name": row.agent_name,
        "conversation_id": conversation_id(row.call_key),
        "status": conversation_status(row),
        "user_id": row.client_data.get("user_id"),
        "branch_id": row.branch_id,
        "environment": row.environment,
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
        "analysis": None if row.ending is None else _analysis(row),
        "conversation_initiation_client_data": data,
        "has_audio": has_audio,
        "has_user_audio": has_audio,
        "has_response_audio": has_audio,
        "has_auxiliary_audio": False,
    }


def conversation_summary(row: ConversationRow, *, summary: bool = False) -> dict[str, Any]:
    """A conversation in a list."""
    return {
        "agent_id": row.agent_public_id,
        "agent_name": row.agent_name,
        "branch_id": row.branch_id,
        "conversation_id": conversation_id(row.call_key),
        "start_time_unix_secs": int(row.started_at),
        "call_duration_secs": talked_secs(row),
        "message_count": len(row.said),
        "status": conversation_status(row),
        "call_successful": successful(row),
        "termination_reason": termination_reason(row),
        "direction": "outbound",
        "transcript_summary": "" if summary else None,
        "conversation_initiation_source": row.provider,
        "batch_call_id": row.batch_public_id,
        "outcome": None if row.ending is None else row.ending.outcome,
    }


def _variables(row: ConversationRow) -> dict[str, Any]:
    """What the recipient's list gave, and what is ours of this call."""
    return {
        **(row.client_data.get("dynamic_variables") or {}),
        "system__agent_id": row.agent_public_id,
        "system__current_agent_id": row.agent_public_id,
        "system__caller_id": row.caller,
        "system__called_number": row.number,
        "system__conversation_id": conversation_id(row.call_key),
        "system__call_sid": row.call_key,
        "system__call_duration_secs": talked_secs(row),
        "system__time_utc": datetime.fromtimestamp(row.started_at, UTC).isoformat(timespec="seconds"),
        "system__round": row.round,
    }


def conversation_status(row: ConversationRow) -> str:
    """A call that nobody answered failed; what is unknown may still become known."""
    if row.state is not AttemptState.ENDED:
        return _STATUS.get(row.state, "failed")
    return "done" if row.answered_at is not None else "failed"


def talked_secs(row: ConversationRow) -> int:
    """From answer to end."""
    talked = (row.ended_at - row.answered_at) if row.ended_at and row.answered_at else 0
    return max(0, round(talked))


def termination_reason(row: ConversationRow) -> str:
    """Why it ended; empty while it goes on."""
    return "" if row.ending is None else row.ending.reason or row.ending.outcome


def _metadata(row: ConversationRow) -> dict[str, Any]:
    ending = row.ending
    failed = ending is not None and not MEANING[ending.outcome].reached
    return {
        "start_time_unix_secs": int(row.started_at),
        "accepted_time_unix_secs": None if row.answered_at is None else int(row.answered_at),
        "call_duration_secs": talked_secs(row),
        "termination_reason": termination_reason(row),
        "error": {"code": ending.sip_code or 0, "reason": termination_reason(row)} if ending and failed else None,
        "warnings": [],
        "timezone": row.timezone,
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
        "conversation_initiation_source": row.provider,
        "outcome": None if ending is None else ending.outcome,
    }


def _batch_call(row: ConversationRow) -> dict[str, Any] | None:
    if row.batch_public_id is None:
        return None
    return {"batch_call_id": row.batch_public_id, "batch_call_recipient_id": row.recipient_id or ""}


def successful(row: ConversationRow) -> str:
    """Whether somebody was reached; unknown as long as nobody can tell."""
    if row.ending is None or row.ending.outcome is Outcome.UNKNOWN:
        return "unknown"
    return "success" if row.ending.outcome is Outcome.COMPLETED else "failure"


def _analysis(row: ConversationRow) -> dict[str, Any]:
    return {
        "call_successful": successful(row),
        "transcript_summary": "",
        "evaluation_criteria_results": {},
        "data_collection_results": {},
    }
