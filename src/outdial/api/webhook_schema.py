"""Webhooks and a workspace's settings on the wire."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from outdial.api.schema import NUMBER, Open, Text

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
HeaderValue = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00-\x1f\x7f]*$")]
RequestHeaders = Annotated[dict[HeaderName, HeaderValue | None], Field(max_length=50)]
Event = Literal[
    "transcript",
    "audio",
    "call_initiation_failure",
    "answering_machine_detection",
    "unredacted_transcript",
    "unredacted_audio",
]
Events = Annotated[list[Text], Field(max_length=50)]


class WebhookSettings(Open):
    """A webhook to keep."""

    auth_type: Literal["hmac"] = "hmac"
    name: Text
    webhook_url: Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]
    request_headers: RequestHeaders | None = None
    events: Events | None = None


class CreateWebhook(Open):
    """A webhook to keep."""

    settings: WebhookSettings


class UpdateWebhook(Open):
    """What a webhook is to be."""

    is_disabled: bool
    name: Text
    retry_enabled: bool | None = None
    request_headers: RequestHeaders | None = None
    events: Events | None = None


class NewWebhook(Open):
    """A new webhook; its signing key is told this once."""

    webhook_id: str
    webhook_secret: str


class Webhook(Open):
    """A webhook as kept."""

    name: str
    webhook_id: str
    webhook_url: str
    is_disabled: bool
    is_auto_disabled: bool
    created_at_unix: int
    auth_type: Literal["hmac"]
    events: list[str]
    retry_enabled: bool
    usage: list[dict[str, Any]] | None
    most_recent_failure_error_code: int | None
    most_recent_failure_timestamp: int | None


class WebhookList(Open):
    """The workspace's webhooks, oldest first."""

    webhooks: list[Webhook]


class Done(Open):
    """It is done."""

    status: Literal["ok"]


class WebhookChoice(Open):
    """Which webhook hears what."""

    post_call_webhook_id: Text | None = None
    events: Annotated[list[Event], Field(max_length=6)] | None = None
    transcript_format: Literal["json", "opentelemetry"] | None = None
    send_audio: bool | None = None


class UpdateSettings(Open):
    """What of the workspace's settings changes; what is not mentioned stays."""

    webhooks: WebhookChoice | None = None
    conversation_initiation_client_data_webhook: dict[str, Any] | None = None
    can_use_mcp_servers: bool | None = None
    rag_retention_period_days: Annotated[int, Field(ge=0, le=3_650), NUMBER] | None = None
    default_livekit_stack: Literal["standard", "static"] | None = None
    calling_hours: dict[str, Any] | None = Field(
        None, description="Of batches without their own; null: none. See docs/calling-hours.md"
    )


class WorkspaceSettings(UpdateSettings):
    """The workspace's settings."""


class WhatsAppAccounts(Open):
    """There are none until WhatsApp calls are placed here."""

    items: list[dict[str, Any]]
