"""The wire where both published dialects are one: a superset that the clients of both can read.

Required keys are never null: the official JavaScript client throws on the first one that is. Extra keys pass every
client. Requests accept null for each optional field (the Python client sends it) and keep keys that we don't know.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from outdial.domain.batch import BatchStatus
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus

LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z."""

# no NUL: PostgreSQL's text can't hold it
Text = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^[^\x00]*$")]
LimitNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Open(BaseModel):
    """Keys beyond the published ones are accepted."""

    model_config = ConfigDict(extra="allow")


# --- requests ------------------------------------------------------------------------------------------------------


class ClientData(_Open):
    """What the agent knows of one person; more keys are kept as they are."""

    dynamic_variables: dict[str, str | int | float | bool | None] | None = None
    conversation_config_override: dict[str, Any] | None = None


class RecipientIn(_Open):
    """One person to call."""

    id: str | None = Field(None, description="The caller's own id; unique in the batch")
    phone_number: str | None = Field(None, description="E.164")
    whatsapp_user_id: str | None = None
    conversation_initiation_client_data: ClientData | None = None


class WhatsAppParams(_Open):
    """Settings of WhatsApp calls."""

    whatsapp_phone_number_id: Text | None = None
    whatsapp_call_permission_request_template_name: Text
    whatsapp_call_permission_request_template_language_code: Text


class TelephonyCallConfig(_Open):
    """How each call is placed."""

    ringing_timeout_secs: int | None = Field(None, ge=1, le=999)
    twilio_call_recording_enabled: bool | None = None
    twilio_machine_detection: dict[str, Any] | None = None


class SubmitBatch(_Open):
    """A batch to call."""

    call_name: Text
    agent_id: Text
    recipients: list[RecipientIn] = Field(min_length=1, max_length=10_000)
    agent_phone_number_id: Text | None = None
    scheduled_time_unix: int | None = Field(None, ge=0, le=LAST_SECOND)
    timezone: Text | None = None
    branch_id: Text | None = None
    environment: Text | None = None
    whatsapp_params: WhatsAppParams | None = None
    telephony_call_config: TelephonyCallConfig | None = None
    target_concurrency_limit: LimitNumber | None = None
    calling_hours: dict[str, Any] | None = Field(None, description="When people may be called; off unless given")


class RetryBatch(_Open):
    """Whom to call again besides those who were not reached."""

    include: list[Literal["voicemail", "cancelled"]] | None = None


class CreateAgent(_Open):
    """An agent to keep."""

    conversation_config: dict[str, Any]
    platform_settings: dict[str, Any] | None = None
    workflow: dict[str, Any] | None = None
    name: Text | None = None
    tags: list[Text] | None = Field(None, max_length=100)


class CreatePhoneNumber(_Open):
    """A number to call from; what else its provider needs stands beside these keys."""

    provider: Text
    phone_number: Text
    label: Text
    agent_id: Text | None = None
    supports_inbound: bool | None = None
    supports_outbound: bool | None = None
    max_concurrent_calls: LimitNumber | None = None
    max_calls_per_second: float | None = Field(None, gt=0, le=100_000, allow_inf_nan=False)


# --- answers -------------------------------------------------------------------------------------------------------


class Batch(_Open):
    """A batch: the published fields, then ours."""

    id: str
    phone_number_id: str | None
    phone_provider: str | None
    whatsapp_params: WhatsAppParams | None
    name: str
    agent_id: str
    branch_id: str | None
    environment: str | None
    created_at_unix: int
    scheduled_time_unix: int
    timezone: str | None
    total_calls_dispatched: int
    total_calls_scheduled: int
    total_calls_finished: int
    last_updated_at_unix: int
    status: BatchStatus
    retry_count: int
    telephony_call_config: dict[str, Any]
    target_concurrency_limit: int | None
    agent_name: str
    branch_name: str | None
    status_reason: str = Field(description="Why nobody is called just now, or how it ended; empty most of the time")
    paused: bool
    calling_hours: dict[str, Any] | None


class Recipient(_Open):
    """A person of a batch: the published fields, then ours."""

    id: str
    phone_number: str | None
    whatsapp_user_id: str | None
    status: RecipientStatus
    created_at_unix: int
    updated_at_unix: int
    conversation_id: str | None = Field(description="The latest")
    conversation_initiation_client_data: dict[str, Any] | None
    outcome: Outcome | None
    attempts: int
    round: int


class BatchWithRecipients(Batch):
    """A batch and its people: all of them up to 10,000, else the first 1,000; none with `recipients=0`."""

    recipients: list[Recipient]
    recipients_truncated: bool


class BatchList(_Open):
    """A workspace's batches, newest first."""

    batch_calls: list[Batch]
    next_doc: str | None
    has_more: bool


class RecipientList(_Open):
    """A stretch of a batch's people."""

    recipients: list[Recipient]
    next_cursor: str | None
    has_more: bool


class LeftAlone(_Open):
    """People whom a retry would not call, and why."""

    outcome: Outcome
    count: int
    reason: str


class RetryPreview(_Open):
    """What a retry would do now."""

    would_call: int
    by_outcome: dict[Outcome, int]
    would_not: list[LeftAlone]


class AgentId(_Open):
    """A new agent."""

    agent_id: str


class AgentMetadata(_Open):
    """When an agent was made and changed."""

    created_at_unix_secs: int
    updated_at_unix_secs: int


class AccessInfo(_Open):
    """Who made it: an API key, which has no name to show."""

    is_creator: bool
    creator_name: str
    creator_email: str
    role: Literal["admin", "editor", "commenter", "viewer"]


class Agent(_Open):
    """An agent as kept."""

    agent_id: str
    name: str
    conversation_config: dict[str, Any]
    metadata: AgentMetadata
    platform_settings: dict[str, Any]
    phone_numbers: list[dict[str, Any]]
    whatsapp_accounts: list[dict[str, Any]]
    workflow: dict[str, Any] | None
    access_info: AccessInfo
    tags: list[str]


class PhoneNumberId(_Open):
    """A new number."""

    phone_number_id: str


class PhoneNumber(_Open):
    """A number as kept; never its secrets."""

    phone_number: str
    label: str
    phone_number_id: str
    provider: str
    supports_inbound: bool
    supports_outbound: bool
    assigned_agent: dict[str, Any] | None
    max_concurrent_calls: int | None
    max_calls_per_second: float | None
    halted_reason: str | None


class BatchOfCall(_Open):
    """Which person of which batch a conversation was with."""

    batch_call_id: str
    batch_call_recipient_id: str


class PhoneCall(_Open):
    """The call under a conversation."""

    type: str
    direction: Literal["outbound"]
    phone_number_id: str
    agent_number: str
    external_number: str
    call_sid: str
    call_result: str | None


class ConversationMetadata(_Open):
    """When and how a conversation went."""

    start_time_unix_secs: int
    accepted_time_unix_secs: int | None
    call_duration_secs: int
    termination_reason: str
    error: dict[str, Any] | None
    warnings: list[str]
    batch_call: BatchOfCall | None
    phone_call: PhoneCall
    outcome: Outcome | None


class TranscriptItem(_Open):
    """Something said."""

    role: Literal["user", "agent"]
    message: str | None
    time_in_call_secs: int
    tool_calls: list[dict[str, Any]]
    tool_results: list[dict[str, Any]]
    interrupted: bool


class Analysis(_Open):
    """What became of it."""

    call_successful: Literal["success", "failure", "unknown"]
    transcript_summary: str
    evaluation_criteria_results: dict[str, Any]
    data_collection_results: dict[str, Any]


class Conversation(_Open):
    """A conversation: every call that was sent is one, answered or not."""

    agent_id: str
    agent_name: str
    conversation_id: str
    status: Literal["initiated", "in-progress", "processing", "done", "failed"]
    user_id: str | None
    metadata: ConversationMetadata
    transcript: list[TranscriptItem]
    analysis: Analysis | None
    conversation_initiation_client_data: dict[str, Any]
    has_audio: bool
    has_user_audio: bool
    has_response_audio: bool
    has_auxiliary_audio: bool


class Health(_Open):
    """That the server answers."""

    status: Literal["ok"]
    version: str


# --- refusals ------------------------------------------------------------------------------------------------------


class ErrorDetail(_Open):
    """What went wrong, and where."""

    type: str
    code: str
    message: str
    status: str = Field(description="The same as `code`")
    request_id: str
    param: str | None = None


class Error(_Open):
    """Every refusal but a 422."""

    detail: ErrorDetail


class FieldError(_Open):
    """One place of a request that has not the published shape."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationError(_Open):
    """A 422: at most 100 places."""

    detail: list[FieldError]
