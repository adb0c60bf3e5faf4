"""What is stored acts: a change is in force from the next call on, and a conversation shows what happened."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.server import Desk, Server, answered, open_desk, until


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    opened = open_desk(server)
    yield opened
    opened.http.close()


def patch_agent(desk: Desk, **change: Any) -> Any:
    return answered(desk.http.patch(f"/v1/convai/agents/{desk.agent_id}", json=change))


def patch_number(desk: Desk, **change: Any) -> Any:
    return answered(desk.http.patch(f"/v1/convai/phone-numbers/{desk.number_id}", json=change))


def conversation_with(desk: Desk, number: str, **data: Any) -> Any:
    """Call this number once; the conversation."""
    made = desk.submit([], recipients=[{"phone_number": number, "conversation_initiation_client_data": data}])
    over = desk.until_over(made["id"])
    return answered(desk.http.get(f"/v1/convai/conversations/{over['recipients'][0]['conversation_id']}"))


def first_words(conversation: Any) -> str:
    said: str = next(one["message"] for one in conversation["transcript"] if one["role"] == "agent")
    return said


def most_at_once(desk: Desk, numbers: list[str]) -> int:
    """How many of these were on the phone at the same time, by the network's log."""
    lines = map(json.loads, desk.server.carrier_log.read_text().splitlines())
    moves = {"dialled": 1, "ended": -1}
    steps = sorted((e["t"], moves[e["event"]]) for e in lines if e["number"] in numbers and e["event"] in moves)
    up = most = 0
    for _, move in steps:
        up += move
        most = max(most, up)
    return most


def test_a_patched_first_message_is_said_in_the_next_call(here: Desk) -> None:
    patch_agent(here, conversation_config={"agent": {"first_message": "Good morning, {{name}}."}})
    variables = {"dynamic_variables": {"name": "Ada"}}
    assert first_words(conversation_with(here, "+493088115000", **variables)) == "Good morning, Ada."
    changed = patch_agent(here, conversation_config={"agent": {"first_message": "Good night, {{name}}."}})
    assert changed["conversation_config"]["agent"]["first_message"] == "Good night, {{name}}."
    assert first_words(conversation_with(here, "+493088115001", **variables)) == "Good night, Ada."


def test_a_patch_acts_on_a_batch_that_is_running(here: Desk) -> None:
    patch_agent(here, conversation_config={"agent": {"first_message": "Before."}})
    made = here.submit(["+493088120486", "+493088121486"])
    here.until_over(made["id"])
    patch_agent(here, conversation_config={"agent": {"first_message": "After."}})
    answered(here.http.post(here.path(made["id"], "/retry")))
    over = here.until_over(made["id"])
    seen = answered(here.http.get(f"/v1/convai/conversations/{over['recipients'][1]['conversation_id']}"))
    assert first_words(seen) == "After."


def test_an_override_counts_only_while_the_agent_allows_it(here: Desk) -> None:
    patch_agent(here, conversation_config={"agent": {"first_message": "Mine."}})
    override = {"conversation_config_override": {"agent": {"first_message": "Theirs."}}}
    assert first_words(conversation_with(here, "+493088135000", **override)) == "Mine."
    allowed = {"overrides": {"conversation_config_override": {"agent": {"first_message": True}}}}
    patch_agent(here, platform_settings=allowed)
    assert first_words(conversation_with(here, "+493088135001", **override)) == "Theirs."
    forbidden = {"overrides": {"conversation_config_override": {"agent": {"first_message": False}}}}
    patch_agent(here, platform_settings=forbidden)
    assert first_words(conversation_with(here, "+493088135002", **override)) == "Mine."


def test_a_patched_call_limit_of_an_agent_holds(here: Desk) -> None:
    block = [f"+49308814{n}408" for n in range(100, 106)]
    here.until_over(here.submit(block, target_concurrency_limit=6)["id"])
    assert most_at_once(here, block) > 1, "without a limit they ring at once"
    patch_agent(here, platform_settings={"call_limits": {"agent_concurrency_limit": 1}})
    block = [f"+49308814{n}408" for n in range(200, 204)]
    here.until_over(here.submit(block, target_concurrency_limit=6)["id"])
    assert most_at_once(here, block) == 1


def test_a_patched_limit_of_a_number_holds(here: Desk) -> None:
    patch_number(here, max_concurrent_calls=1)
    block = [f"+49308815{n}408" for n in range(100, 104)]
    here.until_over(here.submit(block, target_concurrency_limit=6)["id"])
    assert most_at_once(here, block) == 1
    assert patch_number(here, max_concurrent_calls=None)["max_concurrent_calls"] is None
    block = [f"+49308815{n}408" for n in range(200, 206)]
    here.until_over(here.submit(block, target_concurrency_limit=6)["id"])
    assert most_at_once(here, block) > 1


def test_placeholders_stand_in_for_variables_that_a_recipient_lacks(here: Desk) -> None:
    placeholders = {"dynamic_variable_placeholders": {"name": "friend"}}
    agent = {"first_message": "Hello {{name}}.", "dynamic_variables": placeholders}
    patch_agent(here, conversation_config={"agent": agent})
    assert first_words(conversation_with(here, "+493088165000")) == "Hello friend."
    patch_agent(here, conversation_config={"agent": {"dynamic_variables": {"dynamic_variable_placeholders": {}}}})
    assert first_words(conversation_with(here, "+493088165001")) == "Hello ."


def test_a_conversation_shows_what_was_dialled_when_and_how_it_ended(here: Desk) -> None:
    variables = {"name": "Ada", "age": 36, "vip": True}
    seen = conversation_with(here, "+493088175000", dynamic_variables=variables, user_id="u-1")
    call = seen["metadata"]["phone_call"]
    assert (call["agent_number"], call["external_number"]) == ("+49305550100", "+493088175000")
    assert (call["phone_number_id"], call["call_result"]) == (here.number_id, "answered")
    metadata = seen["metadata"]
    assert metadata["start_time_unix_secs"] <= metadata["accepted_time_unix_secs"]
    assert (metadata["outcome"], metadata["termination_reason"]) == ("completed", "hung_up")
    told = seen["conversation_initiation_client_data"]["dynamic_variables"]
    assert {name: told[name] for name in variables} == variables
    assert told["system__called_number"] == "+493088175000"
    assert told["system__conversation_id"] == seen["conversation_id"]
    assert seen["user_id"] == "u-1"
    busy = conversation_with(here, "+493088170486")
    assert (busy["status"], busy["metadata"]["outcome"]) == ("failed", "busy")
    assert busy["metadata"]["error"]["reason"]
    assert busy["metadata"]["accepted_time_unix_secs"] is None


def test_what_an_open_batch_needs_can_t_be_deleted(here: Desk) -> None:
    made = here.submit(["+493088185000"], scheduled_time_unix=4_000_000_000)
    paths = (f"/v1/convai/agents/{here.agent_id}", f"/v1/convai/phone-numbers/{here.number_id}")
    for path in paths:
        refused = here.http.delete(path)
        assert (refused.status_code, refused.json()["detail"]["code"]) == (400, "in_use")
        assert made["id"] in refused.json()["detail"]["message"]
    answered(here.http.post(here.path(made["id"], "/cancel")))
    for path in paths:
        until(lambda path=path: here.http.delete(path).status_code, lambda status: status in {200, 404})
        assert here.http.get(path).status_code == 404
    assert here.get(made["id"])["agent_name"] == "Ada", "a batch that is over still names them"
