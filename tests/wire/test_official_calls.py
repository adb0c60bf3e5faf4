"""Every call of the official Python client, made once against a real server on each engine, and what it reads."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from elevenlabs import (
    BatchCallWhatsAppParams,
    ConvAiWebhooks,
    ConversationalConfig,
    ConversationInitiationClientDataRequestInput,
    ElevenLabs,
    OutboundCallRecipient,
    OutboundSipTrunkConfigRequestModel,
    TelephonyCallConfigInput,
    WebhookHmacSettings,
)
from elevenlabs.conversational_ai.phone_numbers import (
    PhoneNumbersCreateRequestBody_SipTrunk,
    PhoneNumbersCreateRequestBody_Twilio,
)
from elevenlabs.core.api_error import ApiError
from elevenlabs.types import SipTrunkCredentialsRequestModel

from tests.support.server import Desk, Server, answered, open_desk, until
from tests.wire.addresses import Request, addresses, published

LATER = 4_000_000_000


@dataclass
class Walk:
    """A client whose requests are written down."""

    desk: Desk
    client: ElevenLabs
    requests: list[Request] = field(default_factory=list)

    @property
    def ai(self) -> Any:
        return self.client.conversational_ai

    def agent(self, name: str, **more: Any) -> str:
        made = self.ai.agents.create(name=name, conversation_config=ConversationalConfig(), **more)
        agent_id: str = made.agent_id
        return agent_id


@pytest.fixture(scope="module")
def walk(server: Server) -> Iterator[Walk]:
    """One for all tests of this module: the last of them looks back on where the others went."""
    desk = open_desk(server)
    walk = Walk(desk, ElevenLabs(api_key="replaced"))

    def write_down(request: httpx.Request) -> None:
        walk.requests.append((request.method, request.url.path))

    with httpx.Client(timeout=30, event_hooks={"request": [write_down]}) as http:
        walk.client = ElevenLabs(base_url=server.url, api_key=server.key, httpx_client=http)
        yield walk
    desk.http.close()


def gone(call: Any) -> None:
    with pytest.raises(ApiError) as refused:
        call()
    assert refused.value.status_code == 404


def test_agents(walk: Walk) -> None:
    agents, mark = walk.ai.agents, uuid.uuid4().hex[:8]
    config = ConversationalConfig.model_validate(
        {
            "agent": {
                "first_message": "Hello {{name}}",
                "language": "de",
                "dynamic_variables": {"dynamic_variable_placeholders": {"name": "you", "age": 3, "member": True}},
                "prompt": {"prompt": "Be kind", "llm": "gemini-2.5-flash", "tool_ids": ["t1"]},
            },
            "tts": {"voice_id": "voice", "model_id": "eleven_flash_v2", "stability": 0.4},
            "conversation": {"max_duration_seconds": 120},
        }
    )
    made = agents.create(name=f"{mark} Ada", conversation_config=config, tags=[mark], enable_versioning=True)
    seen = agents.get(made.agent_id)
    assert (seen.name, seen.tags, seen.conversation_config.agent.first_message) == (
        f"{mark} Ada",
        [mark],
        "Hello {{name}}",
    )
    kept = seen.conversation_config.agent.model_dump()["dynamic_variables"]
    assert kept == {"dynamic_variable_placeholders": {"name": "you", "age": 3, "member": True}}
    change = ConversationalConfig.model_validate({"agent": {"first_message": "Good day"}})
    changed = agents.update(made.agent_id, name=f"{mark} Eve", conversation_config=change)
    assert (changed.name, changed.conversation_config.agent.first_message) == (f"{mark} Eve", "Good day")
    assert (changed.conversation_config.agent.language, changed.tags) == ("de", [mark]), "what was not sent stays"
    copy = agents.duplicate(made.agent_id, name=f"{mark} Flo").agent_id
    bare = agents.duplicate(made.agent_id).agent_id
    listed = agents.list(search=mark, sort_by="created_at", sort_direction="asc", tags=[mark], page_size=2)
    assert [one.agent_id for one in listed.agents] == [made.agent_id, copy]
    rest = agents.list(search=mark, sort_by="created_at", sort_direction="asc", page_size=2, cursor=listed.next_cursor)
    assert ([one.agent_id for one in rest.agents], rest.has_more) == ([bare], False)
    assert listed.agents[0].access_info.role == "admin"
    agents.delete(copy)
    gone(lambda: agents.get(copy))


def test_phone_numbers(walk: Walk) -> None:
    numbers, agent_id = walk.ai.phone_numbers, walk.agent("with numbers")
    trunk = OutboundSipTrunkConfigRequestModel(
        address="sip.example.com",
        transport="tls",
        media_encryption="required",
        headers={"X-A": "b"},
        credentials=SipTrunkCredentialsRequestModel(username="u", password="hunter22"),
    )
    sip = numbers.create(
        request=PhoneNumbersCreateRequestBody_SipTrunk(
            phone_number="+49305550301", label="trunk", agent_id=agent_id, outbound_trunk_config=trunk
        )
    ).phone_number_id
    rented = numbers.create(
        request=PhoneNumbersCreateRequestBody_Twilio(
            phone_number="+49305550302", label="rented", sid="AC1", token="hunter22"
        )
    ).phone_number_id
    seen = numbers.get(sip)
    assert (seen.provider, seen.phone_number, seen.livekit_stack) == ("sip_trunk", "+49305550301", "standard")
    assert (seen.outbound_trunk.address, seen.outbound_trunk.username) == ("sip.example.com", "u")
    assert seen.assigned_agent.agent_id == agent_id
    assert numbers.get(rented).provider == "twilio"
    assert {sip, rented, walk.desk.number_id} <= {one.phone_number_id for one in numbers.list()}
    assert [one.phone_number_id for one in numbers.list(provider="sip_trunk", agent_id=agent_id)] == [sip]
    assert [one.phone_number_id for one in walk.ai.agents.get(agent_id).phone_numbers] == [sip]
    changed = numbers.update(sip, label="new", livekit_stack="static", store_sip_messages=True, agent_id=None)
    assert (changed.label, changed.livekit_stack, changed.assigned_agent) == ("new", "static", None)
    assert numbers.get_sip_messages(sip).sip_messages == []
    numbers.delete(rented)
    gone(lambda: numbers.get(rented))
    assert "hunter22" not in repr((seen, changed, numbers.list())), "no secret comes back"


def test_batches(walk: Walk) -> None:
    batches, desk = walk.ai.batch_calls, walk.desk
    desk.agent_id = walk.agent("of batches")
    order: dict[str, Any] = {"agent_id": desk.agent_id, "agent_phone_number_id": desk.number_id}
    people = [
        OutboundCallRecipient(
            id="ada",
            phone_number="+493066315000",
            conversation_initiation_client_data=ConversationInitiationClientDataRequestInput(
                user_id="u1", dynamic_variables={"name": "Ada", "age": 36, "member": True}
            ),
        ),
        OutboundCallRecipient(phone_number="+493066311486"),
    ]
    made = batches.create(call_name="by Python", recipients=people, **order)
    over = until(lambda: batches.get(made.id), lambda one: one.status == "completed")
    assert [one.status for one in over.recipients] == ["completed", "failed"]
    assert over.recipients[0].conversation_initiation_client_data.dynamic_variables["member"] is True
    assert batches.retry(made.id).retry_count == 1
    over = until(lambda: batches.get(made.id), lambda one: one.status == "completed")
    assert [one.status for one in over.recipients] == ["completed", "completed"]
    assert len(b"".join(batches.export(made.id)).splitlines()) == 3
    assert len(b"".join(batches.export(made.id, limit=1)).splitlines()) == 2
    later = batches.create(
        call_name="later",
        recipients=[OutboundCallRecipient(phone_number="+493066325000")],
        scheduled_time_unix=LATER,
        timezone="Europe/Berlin",
        branch_id="branch",
        environment="production",
        telephony_call_config=TelephonyCallConfigInput(ringing_timeout_secs=45, twilio_call_recording_enabled=True),
        target_concurrency_limit=2,
        **order,
    )
    assert (later.scheduled_time_unix, later.timezone, later.branch_id) == (LATER, "Europe/Berlin", "branch")
    assert (later.environment, later.target_concurrency_limit) == ("production", 2)
    assert later.telephony_call_config.ringing_timeout_secs == 45
    first = batches.list(limit=1, agent_id=desk.agent_id)
    second = batches.list(limit=1, last_doc=first.next_doc, agent_id=desk.agent_id)
    assert [one.id for one in (*first.batch_calls, *second.batch_calls)] == [later.id, made.id]
    assert batches.cancel(later.id).status == "cancelled"
    batches.delete(later.id)
    gone(lambda: batches.get(later.id))
    with pytest.raises(ApiError) as refused:
        batches.create(
            call_name="by WhatsApp",
            agent_id=desk.agent_id,
            recipients=[OutboundCallRecipient(whatsapp_user_id="1")],
            whatsapp_params=BatchCallWhatsAppParams(
                whatsapp_call_permission_request_template_name="t",
                whatsapp_call_permission_request_template_language_code="en",
            ),
        )
    assert (refused.value.status_code, refused.value.body["detail"]["code"]) == (400, "whatsapp_not_available")
    assert (desk.server.rang("+493066315000"), desk.server.rang("+493066311486")) == (1, 2)
    assert desk.server.rang("+493066325000") == 0


def test_single_calls(walk: Walk) -> None:
    order = {"agent_id": walk.agent("of single calls"), "agent_phone_number_id": walk.desk.number_id}
    data = ConversationInitiationClientDataRequestInput(dynamic_variables={"name": "Bea"})
    placed = walk.ai.twilio.outbound_call(
        to_number="+493066335000",
        conversation_initiation_client_data=data,
        call_recording_enabled=True,
        telephony_call_config=TelephonyCallConfigInput(ringing_timeout_secs=30),
        **order,
    )
    assert placed.success, placed.message
    assert placed.call_sid
    trunk = walk.ai.sip_trunk.outbound_call(to_number="+493066345000", **order)
    assert trunk.success, trunk.message
    assert trunk.sip_call_id
    get = walk.ai.conversations.get
    for talk_id in (placed.conversation_id, trunk.conversation_id):
        seen = until(partial(get, talk_id), lambda talk: talk.status == "done")
        assert seen.agent_id == order["agent_id"]
    refused: list[tuple[Any, dict[str, Any], str]] = [
        (walk.ai.exotel, {"to_number": "+493066355000", **order}, "provider_not_available"),
        (
            walk.ai.whatsapp,
            {
                "whatsapp_phone_number_id": "1",
                "whatsapp_user_id": "2",
                "whatsapp_call_permission_request_template_name": "t",
                "whatsapp_call_permission_request_template_language_code": "en",
                "agent_id": order["agent_id"],
            },
            "whatsapp_not_available",
        ),
    ]
    for network, asked, code in refused:
        with pytest.raises(ApiError) as no:
            network.outbound_call(**asked)
        assert (no.value.status_code, no.value.body["detail"]["code"]) == (400, code)


def test_conversations(walk: Walk) -> None:
    talks, desk = walk.ai.conversations, walk.desk
    desk.agent_id = walk.agent("of conversations")
    made = desk.until_over(desk.submit(["+493066365000", "+493066360404"])["id"])
    reached, missed = (one["conversation_id"] for one in made["recipients"])
    listed = talks.list(agent_id=desk.agent_id, page_size=1, summary_mode="include", sort_direction="asc")
    rest = talks.list(agent_id=desk.agent_id, page_size=1, cursor=listed.next_cursor, sort_direction="asc")
    assert {one.conversation_id for one in (*listed.conversations, *rest.conversations)} == {reached, missed}
    asked = {"exclude_statuses": ["failed"], "call_successful": "success", "phone_number_ids": [desk.number_id]}
    kept = talks.list(agent_id=desk.agent_id, call_start_after_unix=1, call_duration_min_secs=0, **asked)
    assert [one.conversation_id for one in kept.conversations] == [reached]
    seen = talks.get(reached)
    assert (seen.status, seen.has_audio, seen.analysis.call_successful) == ("done", False, "success")
    assert {said.role for said in seen.transcript} <= {"user", "agent"}
    assert seen.transcript
    assert talks.get_sip_messages(reached, page_size=10).sip_messages == []
    unanswered = talks.get(missed)
    assert (unanswered.status, unanswered.metadata.error.reason) == ("failed", "no_such_number")
    gone(lambda: list(talks.audio.get(missed)))
    desk.server.record(reached, b"not music, but bytes")
    assert talks.get(reached).has_audio
    assert b"".join(talks.audio.get(reached)) == b"not music, but bytes"
    talks.delete(reached)
    gone(lambda: talks.get(reached))


def test_the_workspace(walk: Walk) -> None:
    hooks: Any = walk.client.webhooks
    settings = walk.ai.settings
    made = hooks.create(settings=WebhookHmacSettings(name="by Python", webhook_url="https://example.com/hook"))
    assert made.webhook_secret.startswith("wsec_")
    chosen = settings.update(webhooks=ConvAiWebhooks(post_call_webhook_id=made.webhook_id, events=["transcript"]))
    assert chosen.webhooks.post_call_webhook_id == made.webhook_id
    assert settings.get().webhooks.events == ["transcript"]
    seen = next(one for one in hooks.list(include_usages=True).webhooks if one.webhook_id == made.webhook_id)
    assert (seen.name, seen.is_disabled, seen.auth_type, len(seen.usage)) == ("by Python", False, "hmac", 1)
    changed = hooks.update(
        made.webhook_id, is_disabled=True, name="off", retry_enabled=True, request_headers={"X-A": "b"}
    )
    assert changed.status == "ok"
    settings.update(webhooks=ConvAiWebhooks(post_call_webhook_id=None, events=[]))
    assert hooks.delete(made.webhook_id).status == "ok"
    assert made.webhook_id not in [one.webhook_id for one in hooks.list().webhooks]


def test_whatsapp_accounts(walk: Walk) -> None:
    accounts = walk.ai.whatsapp_accounts
    assert accounts.list().items == []
    gone(lambda: accounts.get("1"))
    gone(lambda: accounts.update("1", enable_messaging=True))
    gone(lambda: accounts.delete("1"))


def test_no_published_address_was_left_out(walk: Walk) -> None:
    """The last one: it looks back on what the tests above sent."""
    description = answered(walk.desk.http.get("/openapi.json"))
    assert published(description) - addresses(description, walk.requests) == set()
