"""Phone numbers on the wire: a shape for each provider."""

from typing import Annotated, Any, Literal

from pydantic import Field, RootModel, StringConstraints

from outdial.api.schema import NUMBER, LimitNumber, Open, Text

PerSecond = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False), NUMBER]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\x00]*$")]
Strings = Annotated[list[Text], Field(max_length=100)]
Headers = Annotated[dict[str, Text], Field(max_length=100)]
Transport = Literal["auto", "udp", "tcp", "tls"]
Encryption = Literal["disabled", "allowed", "required"]


class Credentials(Open):
    """Digest credentials; the password is never told again."""

    username: Secret
    password: Secret | None = None


class OutboundTrunk(Open):
    """Where calls go."""

    address: Secret
    transport: Transport | None = None
    media_encryption: Encryption | None = None
    headers: Headers | None = None
    attributes_to_headers: Headers | None = None
    credentials: Credentials | None = None
    enabled_codecs: Strings | None = None


class InboundTrunk(Open):
    """Kept for whoever reads the number back; no call ever comes in."""

    allowed_addresses: Strings | None = None
    allowed_numbers: Strings | None = None
    media_encryption: Encryption | None = None
    credentials: Credentials | None = None
    remote_domains: Strings | None = None
    attributes_to_headers: Headers | None = None


class _Number(Open):
    """Of every provider."""

    phone_number: Text
    label: Text
    agent_id: Text | None = None
    supports_inbound: bool | None = None
    supports_outbound: bool | None = None
    max_concurrent_calls: LimitNumber | None = Field(None, description="Calls at once; ours")
    max_calls_per_second: PerSecond | None = Field(None, description="Ours")


class RegionConfig(Open):
    """Where Twilio keeps the account."""

    region_id: Text
    token: Secret
    edge_location: Text


class CreateTwilioNumber(_Number):
    """A number at Twilio."""

    provider: Literal["twilio"]
    sid: Secret
    token: Secret
    region_config: RegionConfig | None = None
    enable_sms: bool | None = None


class CreateSipNumber(_Number):
    """A number behind a SIP trunk."""

    provider: Literal["sip_trunk"]
    inbound_trunk_config: InboundTrunk | None = None
    outbound_trunk_config: OutboundTrunk | None = None


class CreateVobizNumber(_Number):
    """A number at Vobiz."""

    provider: Literal["vobiz"]
    auth_id: Secret
    auth_token: Secret


class CreateLoopbackNumber(_Number):
    """A number in the network in a box."""

    provider: Literal["loopback"]


class CreatePhoneNumber(
    RootModel[
        Annotated[
            CreateTwilioNumber | CreateSipNumber | CreateVobizNumber | CreateLoopbackNumber,
            Field(discriminator="provider"),
        ]
    ]
):
    """A number to call from."""


SHAPES: dict[str, type[_Number]] = {
    "twilio": CreateTwilioNumber,
    "sip_trunk": CreateSipNumber,
    "vobiz": CreateVobizNumber,
    "loopback": CreateLoopbackNumber,
}
"""By provider; any other takes the common keys, and is refused by name."""
SETTINGS: dict[str, tuple[str, ...]] = {
    "twilio": ("sid", "token", "region_config", "enable_sms"),
    "sip_trunk": ("inbound_trunk_config", "outbound_trunk_config"),
    "vobiz": ("auth_id", "auth_token"),
    "loopback": (),
}
"""Which keys are the provider's."""


class NumberOfAnyProvider(_Number):
    """The common keys."""

    provider: Text


class UpdatePhoneNumber(Open):
    """What of a number changes; what is not mentioned stays. The keys of another provider are not taken."""

    label: Text | None = None
    agent_id: Text | None = None
    inbound_trunk_config: InboundTrunk | None = None
    outbound_trunk_config: OutboundTrunk | None = None
    sid: Secret | None = None
    token: Secret | None = None
    region_config: RegionConfig | None = None
    enable_sms: bool | None = None
    auth_id: Secret | None = None
    auth_token: Secret | None = None
    livekit_stack: Literal["standard", "static"] | None = None
    store_sip_messages: bool | None = None
    environment: Text | None = None
    branch_id: Text | None = None
    max_concurrent_calls: LimitNumber | None = None
    max_calls_per_second: PerSecond | None = None


class AssignedAgent(Open):
    """Whose number it is."""

    agent_id: str
    agent_name: str
    environment: str | None
    branch_id: str | None


class PhoneNumberId(Open):
    """A new number."""

    phone_number_id: str


class PhoneNumber(Open):
    """A number as kept; never its secrets."""

    phone_number: str
    label: str
    phone_number_id: str
    provider: str
    supports_inbound: bool
    supports_outbound: bool
    assigned_agent: AssignedAgent | None
    max_concurrent_calls: int | None
    max_calls_per_second: float | None
    halted_reason: str | None
    provider_config: dict[str, Any] | None = Field(None, description="Of a SIP trunk: as outbound_trunk")
    outbound_trunk: dict[str, Any] | None = None
    inbound_trunk: dict[str, Any] | None = None
    livekit_stack: Literal["standard", "static"] | None = None
