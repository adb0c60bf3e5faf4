"""Agents on the wire: what they are made of as far as calls read it; every other key is kept as it came."""

from typing import Annotated, Any, Literal

from pydantic import Field

from outdial.api.number_schema import PhoneNumber
from outdial.api.schema import NUMBER, Open, Text

Scalar = str | int | float | bool


class Prompt(Open):
    """What the agent is told to be."""

    prompt: str | None = None
    llm: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2), NUMBER] | None = None
    max_tokens: Annotated[int, Field(ge=-1, le=2**31 - 1), NUMBER] | None = None
    tool_ids: list[str] | None = None
    knowledge_base: list[dict[str, Any]] | None = None
    cascade_timeout_seconds: Annotated[float, Field(ge=2, le=15), NUMBER] | None = None


class DynamicVariables(Open):
    """Values for variables that a recipient does not have."""

    dynamic_variable_placeholders: dict[str, Scalar | None] | None = None


class AgentPart(Open):
    """What it says and knows."""

    first_message: str | None = None
    language: str | None = None
    dynamic_variables: DynamicVariables | None = None
    disable_first_message_interruptions: bool | None = None
    max_conversation_duration_message: str | None = None
    prompt: Prompt | None = None


class Tts(Open):
    """Its voice."""

    model_id: str | None = None
    voice_id: str | None = None
    stability: Annotated[float, Field(ge=0, le=1), NUMBER] | None = None
    speed: Annotated[float, Field(ge=0.7, le=1.2), NUMBER] | None = None
    similarity_boost: Annotated[float, Field(ge=0, le=1), NUMBER] | None = None
    agent_output_audio_format: str | None = None


class Turn(Open):
    """When it is whose turn."""

    turn_timeout: Annotated[float, Field(ge=-1, le=3_600), NUMBER] | None = None
    initial_wait_time: Annotated[float, Field(ge=-1, le=3_600), NUMBER] | None = None
    silence_end_call_timeout: Annotated[float, Field(ge=-1, le=86_400), NUMBER] | None = None
    mode: str | None = None


class ConversationPart(Open):
    """How long."""

    text_only: bool | None = None
    max_duration_seconds: Annotated[int, Field(ge=1, le=86_400), NUMBER] | None = None
    client_events: list[str] | None = None


class ConversationConfig(Open):
    """How an agent talks."""

    agent: AgentPart | None = None
    tts: Tts | None = None
    asr: dict[str, Any] | None = None
    turn: Turn | None = None
    conversation: ConversationPart | None = None
    language_presets: dict[str, Any] | None = None
    vad: dict[str, Any] | None = None


class CallLimits(Open):
    """How much of an agent there is; -1: no limit."""

    agent_concurrency_limit: Annotated[int, Field(ge=-1, le=2**31 - 1), NUMBER] | None = None
    daily_limit: Annotated[int, Field(ge=-1, le=2**53), NUMBER] | None = None
    bursting_enabled: bool | None = None


class Overrides(Open):
    """What a recipient may change of the agent, field by field; nothing unless it says so."""

    conversation_config_override: dict[str, Any] | None = None


class PlatformSettings(Open):
    """What surrounds an agent."""

    call_limits: CallLimits | None = None
    overrides: Overrides | None = None
    privacy: dict[str, Any] | None = None
    workspace_overrides: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    data_collection: dict[str, Any] | None = None
    archived: bool | None = None


class CreateAgent(Open):
    """An agent to keep."""

    conversation_config: ConversationConfig
    platform_settings: PlatformSettings | None = None
    workflow: dict[str, Any] | None = None
    name: Text | None = None
    tags: list[Text] | None = Field(None, max_length=100)


class UpdateAgent(Open):
    """What of an agent changes; what is not mentioned stays."""

    conversation_config: ConversationConfig | None = None
    platform_settings: PlatformSettings | None = None
    workflow: dict[str, Any] | None = None
    name: Text | None = None
    tags: list[Text] | None = Field(None, max_length=100)


class DuplicateAgent(Open):
    """What the copy is called."""

    name: Text | None = None


class AgentId(Open):
    """A new agent."""

    agent_id: str


class AgentMetadata(Open):
    """When an agent was made and changed."""

    created_at_unix_secs: int
    updated_at_unix_secs: int


class AccessInfo(Open):
    """Who made it: an API key, which has no name to show."""

    is_creator: bool
    creator_name: str
    creator_email: str
    role: Literal["admin", "editor", "commenter", "viewer"]


class Agent(Open):
    """An agent as kept."""

    agent_id: str
    name: str
    conversation_config: dict[str, Any]
    metadata: AgentMetadata
    platform_settings: dict[str, Any]
    phone_numbers: list[PhoneNumber]
    whatsapp_accounts: list[dict[str, Any]]
    workflow: dict[str, Any] | None
    access_info: AccessInfo
    tags: list[str]
    version_id: str | None
    branch_id: str | None
    main_branch_id: str | None


class AgentSummary(Open):
    """An agent in a list."""

    agent_id: str
    name: str
    voice_id: str
    tags: list[str]
    created_at_unix_secs: int
    updated_at_unix_secs: int
    access_info: AccessInfo
    last_call_time_unix_secs: int | None
    archived: bool


class AgentList(Open):
    """A stretch of agents."""

    agents: list[AgentSummary]
    next_cursor: str | None
    has_more: bool
