"""The wire where both published dialects are one: a superset that the clients of both can read.

Required keys are never null: the official JavaScript client throws on the first one that is. Extra keys pass every
client. Requests accept null for each optional field (the Python client sends it) and keep keys that we don't know.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from outdial.domain.batch import BatchStatus
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus

LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z."""

# no NUL: PostgreSQL's text can't hold it
Text = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^[^\x00]*$")]
AnsweredBy = Literal[
    "human", "fax", "unknown", "machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other"
]


def _no_truth(value: object) -> object:
    """JSON's true is not 1: pydantic alone would take `scheduled_time_unix: true`, and call at once."""
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "Input should be a number, not true or false")
    return value


NUMBER = BeforeValidator(_no_truth)
"""Stands last in an annotation, behind the bounds: the description tells them only there."""
Whole = Annotated[int, NUMBER]
Real = Annotated[float, NUMBER]
LimitNumber = Annotated[int, Field(ge=1, le=2**31 - 1), NUMBER]


class Open(BaseModel):
    """Keys beyond the published ones are accepted."""

    model_config = ConfigDict(extra="allow")


# --- requests ------------------------------------------------------------------------------------------------------


class PromptOverride(Open):
    """Another prompt for one person."""

    prompt: str | None = None
    llm: str | None = None
    tool_ids: list[str] | None = None
    native_mcp_server_ids: list[str] | None = None
    knowledge_base: list[dict[str, Any]] | None = None


class AgentOverride(Open):
    """Other words for one person."""

    first_message: str | None = None
    language: str | None = None
    max_conversation_duration_message: str | None = None
    prompt: PromptOverride | None = None


class TtsOverride(Open):
    """Another voice for one person."""

    model_id: str | None = None
    voice_id: str | None = None
    stability: Real | None = None
    speed: Real | None = None
    similarity_boost: Real | None = None


class ConversationOverride(Open):
    """How long one person may talk."""

    text_only: bool | None = None
    max_duration_seconds: Whole | None = None


class ConfigOverride(Open):
    """What is other for one person, where the agent allows it; every leaf may be null."""

    agent: AgentOverride | None = None
    tts: TtsOverride | None = None
    conversation: ConversationOverride | None = None
    asr: dict[str, Any] | None = None
    turn: dict[str, Any] | None = None


class ClientData(Open):
    """What the agent knows of one person, within the bounds of docs/limits.md; more keys are kept as they are."""

    dynamic_variables: dict[str, str | int | float | bool | None] | None = None
    conversation_config_override: ConfigOverride | None = None
    custom_llm_extra_body: dict[str, Any] | None = None
    user_id: str | None = None
    source_info: dict[str, Any] | None = None
    branch_id: str | None = None
    environment: str | None = None
    starting_workflow_node_id: str | None = None


class RecipientIn(Open):
    """One person to call."""

    id: str | None = Field(None, description="The caller's own id; unique in the batch")
    phone_number: str | None = Field(None, description="E.164")
    whatsapp_user_id: str | None = None
    conversation_initiation_client_data: ClientData | None = None


class WhatsAppParams(Open):
    """Settings of WhatsApp calls."""

    whatsapp_phone_number_id: Text | None = None
    whatsapp_call_permission_request_template_name: Text
    whatsapp_call_permission_request_template_language_code: Text


class MachineAction(Open):
    """What to do once it is known who answered."""

    action: Literal["hang_up"]
    answered_by: list[AnsweredBy] = Field(max_length=20)


class MachineDetection(Open):
    """Of Twilio only."""

    mode: Literal["enable", "detect_message_end"]
    actions: list[MachineAction] | None = Field(None, max_length=20)


class TelephonyCallConfig(Open):
    """How each call is placed."""

    ringing_timeout_secs: Annotated[int, Field(ge=1, le=999), NUMBER] | None = None
    twilio_call_recording_enabled: bool | None = None
    twilio_machine_detection: MachineDetection | None = None


class SubmitBatch(Open):
    """A batch to call."""

    call_name: Text
    agent_id: Text
    recipients: list[RecipientIn] = Field(min_length=1, max_length=10_000)
    agent_phone_number_id: Text | None = None
    scheduled_time_unix: Annotated[int, Field(ge=0, le=LAST_SECOND), NUMBER] | None = None
    timezone: Text | None = None
    branch_id: Text | None = None
    environment: Text | None = None
    whatsapp_params: WhatsAppParams | None = None
    telephony_call_config: TelephonyCallConfig | None = None
    target_concurrency_limit: LimitNumber | None = None
    calling_hours: dict[str, Any] | None = Field(
        None,
        description="When people may be called; null or absent: the workspace's. See docs/calling-hours.md",
        examples=[
            {
                "timezone": None,
                "rules": [{"weekdays": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "18:00"}],
            }
        ],
    )


class RetryBatch(Open):
    """Whom to call again besides those who were not reached."""

    include: list[Literal["voicemail", "cancelled"]] | None = None


# --- answers -------------------------------------------------------------------------------------------------------


class Batch(Open):
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
    calling_hours: dict[str, Any] | None = Field(description="Its own; null: the workspace's, if that has any")
    suppressed_count: int = Field(description="People who are not called because they are on the do-not-call list")


class Recipient(Open):
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
    recipients_truncated: bool = Field(description="Whether people were left out, also where `recipients` asked for it")


class BatchList(Open):
    """A workspace's batches, newest first."""

    batch_calls: list[Batch]
    next_doc: str | None
    has_more: bool


class RecipientList(Open):
    """A stretch of a batch's people."""

    recipients: list[Recipient]
    next_cursor: str | None
    has_more: bool


class LeftAlone(Open):
    """People whom a retry would not call, and why."""

    outcome: Outcome
    count: int
    reason: str


class RetryPreview(Open):
    """What a retry would do now."""

    would_call: int
    by_outcome: dict[Outcome, int]
    would_not: list[LeftAlone]


class Nothing(Open):
    """An empty object: it is done."""


class Health(Open):
    """That the server answers."""

    status: Literal["ok"]
    version: str


# --- refusals ------------------------------------------------------------------------------------------------------


class ErrorDetail(Open):
    """What went wrong, and where."""

    type: str
    code: str
    message: str
    status: str = Field(description="The same as `code`")
    request_id: str
    param: str | None = None


class Error(Open):
    """Every refusal but a 422."""

    detail: ErrorDetail


class FieldError(Open):
    """One place of a request that has not the published shape."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationError(Open):
    """A 422: at most 100 places."""

    detail: list[FieldError]
