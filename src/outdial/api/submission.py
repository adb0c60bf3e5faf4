"""From the bytes of a submit to an order: pure, and quick for ten thousand people.

msgspec reads what is well formed. What it refuses is read again by the published schema, which either takes it after
all (`"5"` for 5) or words each complaint as FastAPI does.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from pydantic import ValidationError

from outdial.api.schema import LAST_SECOND, AnsweredBy, SubmitBatch
from outdial.batches.order import Order, OrderHead
from outdial.batches.people import MOST_PEOPLE, Person, check_people
from outdial.domain import window
from outdial.domain.errors import Complaint, Invalid, Unprocessable

_Text = Annotated[str, msgspec.Meta(max_length=1_000, pattern=r"^[^\x00]*$")]
_NOTHING = msgspec.Raw(b"null")


class _PromptOverride(msgspec.Struct):
    prompt: str | None = None
    llm: str | None = None
    tool_ids: list[str] | None = None
    native_mcp_server_ids: list[str] | None = None
    knowledge_base: list[dict[str, Any]] | None = None


class _AgentOverride(msgspec.Struct):
    first_message: str | None = None
    language: str | None = None
    max_conversation_duration_message: str | None = None
    prompt: _PromptOverride | None = None


class _TtsOverride(msgspec.Struct):
    model_id: str | None = None
    voice_id: str | None = None
    stability: float | None = None
    speed: float | None = None
    similarity_boost: float | None = None


class _ConversationOverride(msgspec.Struct):
    text_only: bool | None = None
    max_duration_seconds: int | None = None


class _ConfigOverride(msgspec.Struct):
    agent: _AgentOverride | None = None
    tts: _TtsOverride | None = None
    conversation: _ConversationOverride | None = None
    asr: dict[str, Any] | None = None
    turn: dict[str, Any] | None = None


class _ClientData(msgspec.Struct):
    dynamic_variables: dict[str, str | int | float | bool | None] | None = None
    conversation_config_override: _ConfigOverride | None = None
    custom_llm_extra_body: dict[str, Any] | None = None
    user_id: str | None = None
    source_info: dict[str, Any] | None = None
    branch_id: str | None = None
    environment: str | None = None
    starting_workflow_node_id: str | None = None


class _Recipient(msgspec.Struct):
    id: str | None = None
    phone_number: str | None = None
    whatsapp_user_id: str | None = None
    conversation_initiation_client_data: msgspec.Raw = _NOTHING


class _WhatsApp(msgspec.Struct):
    whatsapp_call_permission_request_template_name: _Text
    whatsapp_call_permission_request_template_language_code: _Text
    whatsapp_phone_number_id: _Text | None = None


class _MachineAction(msgspec.Struct):
    action: Literal["hang_up"]
    answered_by: Annotated[list[AnsweredBy], msgspec.Meta(max_length=20)]


class _MachineDetection(msgspec.Struct, omit_defaults=True):
    mode: Literal["enable", "detect_message_end"]
    actions: Annotated[list[_MachineAction], msgspec.Meta(max_length=20)] | None = None


class _Telephony(msgspec.Struct):
    ringing_timeout_secs: Annotated[int, msgspec.Meta(ge=1, le=999)] | None = None
    twilio_call_recording_enabled: bool | None = None
    twilio_machine_detection: _MachineDetection | None = None


class _Submit(msgspec.Struct):
    call_name: _Text
    agent_id: _Text
    recipients: Annotated[list[_Recipient], msgspec.Meta(min_length=1, max_length=MOST_PEOPLE)]
    agent_phone_number_id: _Text | None = None
    scheduled_time_unix: Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)] | None = None
    timezone: _Text | None = None
    branch_id: _Text | None = None
    environment: _Text | None = None
    whatsapp_params: _WhatsApp | None = None
    telephony_call_config: _Telephony | None = None
    target_concurrency_limit: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    calling_hours: dict[str, Any] | None = None


_SUBMIT = msgspec.json.Decoder(_Submit)
_CLIENT_DATA = msgspec.json.Decoder(_ClientData | None)


def read_submission(body: bytes) -> Order:
    """The order in this body; Unprocessable or Invalid where it can't be one."""
    try:
        submit = _SUBMIT.decode(body)
        people = [_person(recipient) for recipient in submit.recipients]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        submit = _as_published(body)
        people = [_person(recipient) for recipient in submit.recipients]
    hours = window.parse(submit.calling_hours)
    _check_zone(submit.timezone)
    checked = check_people(people, hours=hours, otherwise=submit.timezone)
    return Order(_head(submit), checked)


def complaints_of(error: ValidationError, *, most: int = 100) -> list[Complaint]:
    """What pydantic found, without the values that it found: they may be secret."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:most]
    return [Complaint(("body", *one["loc"]), one["msg"], one["type"]) for one in found]


def _as_published(body: bytes) -> _Submit:
    """Read by the schema: slower, and it words what is wrong."""
    try:
        lenient = SubmitBatch.model_validate_json(body)
        return _SUBMIT.decode(lenient.model_dump_json(exclude_unset=True))
    except ValidationError as error:
        raise Unprocessable(complaints_of(error)) from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Unprocessable(
            [Complaint(("body",), "Input should be a valid order for a batch", "value_error")]
        ) from None


def _person(recipient: _Recipient) -> Person:
    raw = recipient.conversation_initiation_client_data
    data = _CLIENT_DATA.decode(raw)
    return Person(
        phone_number=recipient.phone_number,
        id=recipient.id,
        whatsapp_user_id=recipient.whatsapp_user_id,
        client_data_json="{}" if data is None else bytes(raw).decode(),
    )


def _head(submit: _Submit) -> OrderHead:
    return OrderHead(
        name=submit.call_name,
        agent_id=submit.agent_id,
        number_id=submit.agent_phone_number_id,
        scheduled_at=None if submit.scheduled_time_unix is None else float(submit.scheduled_time_unix),
        timezone=submit.timezone,
        branch_id=submit.branch_id,
        environment=submit.environment,
        whatsapp_params=None if submit.whatsapp_params is None else msgspec.to_builtins(submit.whatsapp_params),
        telephony_call_config=_telephony(submit.telephony_call_config),
        target_concurrency_limit=submit.target_concurrency_limit,
        calling_hours=submit.calling_hours,
    )


def _telephony(given: _Telephony | None) -> dict[str, Any]:
    return telephony_config(None if given is None else msgspec.to_builtins(given))


def telephony_config(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Completed with the published defaults: the strict client wants the object and its two keys."""
    given = given or {}
    complete: dict[str, Any] = {
        "ringing_timeout_secs": given.get("ringing_timeout_secs") or 60,
        "twilio_call_recording_enabled": given.get("twilio_call_recording_enabled") or False,
    }
    if given.get("twilio_machine_detection") is not None:
        complete["twilio_machine_detection"] = given["twilio_machine_detection"]
    return complete


def _check_zone(name: str | None) -> None:
    if name is None:
        return
    try:
        window.parse({"timezone": name, "rules": [{"start": "00:00", "end": "24:00"}]})
    except Invalid as error:
        raise Invalid(error.message, code="invalid_parameters", param="timezone") from None
