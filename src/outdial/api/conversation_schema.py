"""Conversations on the wire."""

from typing import Any, Literal

from outdial.api.schema import Open
from outdial.domain.outcome import Outcome

Successful = Literal["success", "failure", "unknown"]
ConversationStatus = Literal["initiated", "in-progress", "processing", "done", "failed"]


class BatchOfCall(Open):
    """Which person of which batch a conversation was with."""

    batch_call_id: str
    batch_call_recipient_id: str


class PhoneCall(Open):
    """The call under a conversation."""

    type: str
    direction: Literal["outbound"]
    phone_number_id: str
    agent_number: str
    external_number: str
    call_sid: str
    call_result: str | None


class ConversationMetadata(Open):
    """When and how a conversation went."""

    start_time_unix_secs: int
    accepted_time_unix_secs: int | None
    call_duration_secs: int
    termination_reason: str
    error: dict[str, Any] | None
    warnings: list[str]
    batch_call: BatchOfCall | None
    phone_call: PhoneCall
    timezone: str | None
    conversation_initiation_source: str
    outcome: Outcome | None


class TranscriptItem(Open):
    """Something said."""

    role: Literal["user", "agent"]
    message: str | None
    time_in_call_secs: int
    tool_calls: list[dict[str, Any]]
    tool_results: list[dict[str, Any]]
    interrupted: bool


class Analysis(Open):
    """What became of it."""

    call_successful: Successful
    transcript_summary: str
    evaluation_criteria_results: dict[str, Any]
    data_collection_results: dict[str, Any]


class Conversation(Open):
    """A conversation: every call that was sent is one, answered or not."""

    agent_id: str
    agent_name: str
    conversation_id: str
    status: ConversationStatus
    user_id: str | None
    metadata: ConversationMetadata
    transcript: list[TranscriptItem]
    analysis: Analysis | None
    conversation_initiation_client_data: dict[str, Any]
    has_audio: bool
    has_user_audio: bool
    has_response_audio: bool
    has_auxiliary_audio: bool
    branch_id: str | None
    environment: str | None


class ConversationSummary(Open):
    """A conversation in a list."""

    agent_id: str
    agent_name: str
    branch_id: str | None
    conversation_id: str
    start_time_unix_secs: int
    call_duration_secs: int
    message_count: int
    status: ConversationStatus
    call_successful: Successful
    termination_reason: str
    direction: Literal["outbound"]
    transcript_summary: str | None
    conversation_initiation_source: str
    batch_call_id: str | None
    outcome: Outcome | None


class SipMessages(Open):
    """Messages of a call over SIP; no log of them is kept, so there are none."""

    sip_messages: list[dict[str, Any]]
    next_cursor: str | None
    has_more: bool


class ConversationToken(Open):
    """Never given out: no browser talks to an agent here."""

    token: str


class ConversationList(Open):
    """A stretch of conversations."""

    conversations: list[ConversationSummary]
    next_cursor: str | None
    has_more: bool
