"""Single outbound calls on the wire."""

from pydantic import ConfigDict, Field

from outdial.api.schema import ClientData, Open, TelephonyCallConfig, Text


class PlaceCall(Open):
    """One person to call."""

    agent_id: Text
    agent_phone_number_id: Text
    to_number: Text
    conversation_initiation_client_data: ClientData | None = None
    telephony_call_config: TelephonyCallConfig | None = None


class PlaceTwilioCall(PlaceCall):
    """One person to call through Twilio."""

    call_recording_enabled: bool | None = None


class PlaceWhatsAppCall(Open):
    """One person to call by WhatsApp."""

    whatsapp_phone_number_id: Text
    whatsapp_user_id: Text
    whatsapp_call_permission_request_template_name: Text
    whatsapp_call_permission_request_template_language_code: Text
    agent_id: Text
    conversation_initiation_client_data: ClientData | None = None


class PlaceVoiceCall(Open):
    """One person to call, as ThreeTone orders it."""

    agent_id: Text
    phone_number_id: Text
    to_phone_number: Text
    dynamic_variables: dict[str, str | int | float | bool | None] | None = None


class PlacedCall(Open):
    """What became of it within a few seconds."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    success: bool
    message: str
    conversation_id: str | None = Field(description="Null while it waits for a free line")
    provider_call_id: str | None = Field(None, alias="callSid", description="The provider's id of the call")
    call_sid: str | None = Field(None, description="The same, as ThreeTone's client reads it")
    sip_call_id: str | None = None
    batch_id: str = Field(description="Of the batch of one behind it: what became of the call, cancel and retry")
