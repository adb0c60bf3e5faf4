"""The official Python client against a real server: what it sends, and what it can read."""

import uuid
from collections.abc import Iterator

import pytest
from elevenlabs import ElevenLabs, OutboundCallRecipient
from elevenlabs.core.api_error import ApiError
from elevenlabs.errors.unprocessable_entity_error import UnprocessableEntityError
from elevenlabs.types import ConversationalConfig

from tests.support.server import Desk, Server, open_desk, until


@pytest.fixture
def client(server: Server) -> ElevenLabs:
    return ElevenLabs(base_url=server.url, api_key=server.key)


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    desk = open_desk(server)
    yield desk
    desk.http.close()


def people(*numbers: str) -> list[OutboundCallRecipient]:
    return [OutboundCallRecipient(phone_number=number) for number in numbers]


def test_the_whole_way_from_submit_to_delete(client: ElevenLabs, here: Desk) -> None:
    batches = client.conversational_ai.batch_calls
    made = batches.create(
        call_name=f"whole way {uuid.uuid4()}",
        agent_id=here.agent_id,
        agent_phone_number_id=here.number_id,
        recipients=[
            OutboundCallRecipient(
                id="ada",
                phone_number="+493011115000",
                conversation_initiation_client_data={"dynamic_variables": {"name": "Ada", "age": 36}},
            ),
            OutboundCallRecipient(phone_number="+493011111486"),
            OutboundCallRecipient(phone_number="+493011110404"),
        ],
    )
    assert made.status in {"pending", "in_progress"}
    assert (made.agent_id, made.phone_number_id, made.retry_count) == (here.agent_id, here.number_id, 0)
    assert made.total_calls_scheduled == 3
    assert made.id in [one.id for one in batches.list(agent_id=here.agent_id).batch_calls]

    over = until(lambda: batches.get(made.id), lambda batch: batch.status == "completed")
    assert [(one.status, one.outcome) for one in over.recipients] == [
        ("completed", "completed"),
        ("failed", "busy"),
        ("failed", "invalid_number"),
    ]
    assert over.recipients[0].id == "ada"
    assert over.total_calls_finished == over.total_calls_dispatched == 3

    again = batches.retry(made.id)
    assert (again.retry_count, again.id) == (1, made.id)
    assert again.status in {"pending", "in_progress"}
    over = until(lambda: batches.get(made.id), lambda batch: batch.status == "completed")
    assert [one.status for one in over.recipients] == ["completed", "completed", "failed"]
    assert here.server.rang("+493011111486") == 2
    assert here.server.rang("+493011115000") == here.server.rang("+493011110404") == 1

    talk = client.conversational_ai.conversations.get(over.recipients[0].conversation_id)
    assert (talk.status, talk.agent_id) == ("done", here.agent_id)
    assert talk.metadata.batch_call is not None
    assert talk.metadata.batch_call.batch_call_id == made.id
    assert talk.metadata.batch_call.batch_call_recipient_id == "ada"
    assert talk.transcript

    lines = b"".join(batches.export(made.id)).decode().splitlines()
    assert lines[0].startswith("recipient_id,phone_number,status,outcome,attempts,round,conversation_id,")
    assert lines[0].endswith(",name,age")
    assert lines[1].startswith("ada,+493011115000,completed,completed,1,0,conv_")
    assert ",hung_up,Ada,36" in lines[1]
    assert len(lines) == 4

    cancelled = batches.cancel(made.id)
    assert cancelled.status == "completed", "a batch that is over stays as it is"
    batches.delete(made.id)
    with pytest.raises(ApiError) as gone:
        batches.get(made.id)
    assert gone.value.status_code == 404
    assert client.conversational_ai.conversations.get(talk.conversation_id).status == "done", "conversations stay"


def test_a_cancelled_batch_calls_nobody_new(client: ElevenLabs, here: Desk) -> None:
    batches = client.conversational_ai.batch_calls
    made = batches.create(
        call_name="later",
        agent_id=here.agent_id,
        agent_phone_number_id=here.number_id,
        scheduled_time_unix=4_000_000_000,
        recipients=people("+493022225001", "+493022225002"),
    )
    assert made.status == "pending"
    assert made.scheduled_time_unix == 4_000_000_000
    assert batches.cancel(made.id).status == "cancelled"
    assert {one.status for one in batches.get(made.id).recipients} == {"cancelled"}
    assert batches.retry(made.id).retry_count == 0, "a bare retry takes only the failed"
    assert here.server.rang("+493022225001") == 0


def test_agents_and_numbers_are_made_and_read(client: ElevenLabs, here: Desk) -> None:
    agents = client.conversational_ai.agents
    made = agents.create(name="Grace", conversation_config=ConversationalConfig(), tags=["a"])
    seen = agents.get(made.agent_id)
    assert (seen.name, seen.tags) == ("Grace", ["a"])
    number = client.conversational_ai.phone_numbers.get(here.number_id)
    assert (number.provider, number.phone_number) == ("loopback", "+49305550100")
    assert here.number_id in [one.phone_number_id for one in client.conversational_ai.phone_numbers.list()]


def test_nulls_that_the_client_sends_are_accepted(client: ElevenLabs, here: Desk) -> None:
    made = client.conversational_ai.batch_calls.create(
        call_name="nulls",
        agent_id=here.agent_id,
        agent_phone_number_id=here.number_id,
        recipients=[OutboundCallRecipient(id=None, phone_number="+493033335000", whatsapp_user_id=None)],
        scheduled_time_unix=None,
        whatsapp_params=None,
        timezone=None,
        branch_id=None,
        environment=None,
        telephony_call_config=None,
        target_concurrency_limit=None,
    )
    assert made.telephony_call_config is not None


def test_refusals_are_the_client_s_own_errors(client: ElevenLabs, here: Desk) -> None:
    batches = client.conversational_ai.batch_calls
    with pytest.raises(UnprocessableEntityError) as wrong:
        batches.create(call_name="x", agent_id=here.agent_id, agent_phone_number_id=here.number_id, recipients=[])
    assert wrong.value.body["detail"][0]["loc"] == ["body", "recipients"]
    with pytest.raises(ApiError) as unknown:
        batches.create(
            call_name="x",
            agent_id="agent_nobody",
            agent_phone_number_id=here.number_id,
            recipients=people("+493011115"),
        )
    assert unknown.value.status_code == 404
    stranger = ElevenLabs(base_url=here.server.url, api_key="not a key of this server")
    with pytest.raises(ApiError) as refused:
        stranger.conversational_ai.batch_calls.list()
    assert refused.value.status_code == 401


def test_the_list_is_paged_by_its_cursor(client: ElevenLabs, here: Desk) -> None:
    batches = client.conversational_ai.batch_calls
    made = [
        here.submit(["+493044445000"], call_name=f"n{n}", scheduled_time_unix=4_000_000_000)["id"] for n in range(3)
    ]
    first = batches.list(limit=2, agent_id=here.agent_id)
    assert first.has_more
    second = batches.list(limit=2, last_doc=first.next_doc, agent_id=here.agent_id)
    assert [one.id for one in (*first.batch_calls, *second.batch_calls)] == made[::-1]
    assert not second.has_more
    assert second.next_doc is None
