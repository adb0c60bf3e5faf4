"""What is stored acts: a change is in force from the next call on, and a conversation shows what happened."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
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


def patch_daily_limit(desk: Desk, limit: int) -> None:
    changed = patch_agent(desk, platform_settings={"call_limits": {"daily_limit": limit}})
    assert changed["platform_settings"]["call_limits"]["daily_limit"] == limit


def dialled(desk: Desk, numbers: list[str]) -> list[float]:
    """When these were dialled, by the network's log."""
    lines = map(json.loads, desk.server.carrier_log.read_text().splitlines())
    return [e["t"] for e in lines if e["event"] == "dialled" and e["number"] in numbers]


def stay_within_a_day(secs: float = 20.0) -> None:
    """Days are those of UTC's clock: nothing is begun so shortly before one ends."""
    left = 86_400 - time.time() % 86_400
    if left < secs:
        time.sleep(left)


def test_a_patched_daily_limit_holds_and_a_raised_one_lets_a_running_batch_go_on(here: Desk) -> None:
    stay_within_a_day()
    patch_daily_limit(here, 3)
    block = [f"+4930881151{n:02d}" for n in range(8)]
    made = here.submit(block)
    seen = until(lambda: here.get(made["id"]), lambda batch: batch["total_calls_finished"] == 3)
    assert (seen["status"], seen["total_calls_dispatched"]) == ("in_progress", 3)
    reached = "daily limit reached: 3 of at most 3 calls a day of this agent are placed; it goes on at "
    assert seen["status_reason"].startswith(reached)
    assert seen["status_reason"].endswith(" 00:00 UTC")
    patch_daily_limit(here, 5)
    seen = until(lambda: here.get(made["id"]), lambda batch: batch["total_calls_finished"] == 5)
    assert [one["status"] for one in seen["recipients"]].count("pending") == 3
    other = here.submit(["+493088115200"])
    assert "5 of at most 5" in other["status_reason"], "the agent's other batches wait too"
    single = {"agent_id": here.agent_id, "agent_phone_number_id": here.number_id, "to_number": "+493088115300"}
    queued = answered(here.http.post("/v1/convai/sip-trunk/outbound-call", json=single))
    assert (queued["success"], queued["conversation_id"]) == (True, None)
    assert queued["message"].startswith("queued: daily limit reached: 5 of at most 5")
    everybody = [*block, "+493088115200", "+493088115300"]
    assert len(dialled(here, everybody)) == 5
    patch_daily_limit(here, -1)
    for batch_id in (made["id"], other["id"], queued["batch_id"]):
        assert {one["outcome"] for one in here.until_over(batch_id)["recipients"]} == {"completed"}
    assert len(dialled(here, everybody)) == len(everybody)


def test_a_daily_limit_of_0_calls_nobody_from_the_next_call_on(here: Desk) -> None:
    patch_number(here, max_calls_per_second=10)
    block = [f"+4930881161{n:02d}" for n in range(60)]
    made = here.submit(block)
    until(lambda: len(dialled(here, block)), lambda n: n >= 3)
    patch_daily_limit(here, 0)
    patched_at = time.time()
    seen = until(lambda: here.get(made["id"]), lambda batch: "may call nobody" in batch["status_reason"])
    until(lambda: here.get(made["id"]), lambda batch: batch["total_calls_finished"] == batch["total_calls_dispatched"])
    # one that had its GO may be sent up to two seconds after it
    assert [at for at in dialled(here, block) if at > patched_at + 2.0] == []
    assert seen["total_calls_dispatched"] < 60
    assert answered(here.http.post(here.path(made["id"], "/cancel")))["status"] == "cancelled"


def most_in_a_second(times: list[float]) -> int:
    return max(sum(at <= other < at + 1.0 for other in times) for at in times)


def test_a_patched_rate_of_a_number_holds(here: Desk) -> None:
    block = [f"+4930881171{n:02d}" for n in range(12)]
    here.until_over(here.submit(block, target_concurrency_limit=12)["id"])
    assert most_in_a_second(dialled(here, block)) > 6, "without a rate they are dialled at once"
    patch_number(here, max_calls_per_second=4)
    block = [f"+4930881172{n:02d}" for n in range(10)]
    here.until_over(here.submit(block, target_concurrency_limit=12)["id"])
    # the gate is where they are sent: on the way to the network one may come over the second's edge
    assert most_in_a_second(dialled(here, block)) <= 5


def test_a_raised_limit_of_a_number_wakes_who_waits_for_it(here: Desk) -> None:
    patch_number(here, max_calls_per_second=0.001)
    made = here.submit(["+493088117300", "+493088117301"])
    until(lambda: here.get(made["id"]), lambda batch: batch["status_reason"].startswith("paced"))
    patch_number(here, max_calls_per_second=None)
    here.until_over(made["id"])


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A server in whose network phones ring for two seconds and people talk for a minute, unless we end it."""
    folder = tmp_path_factory.mktemp("patient")
    secs = {"OUTDIAL_CARRIER_RING_SECS": "2", "OUTDIAL_CARRIER_TALK_SECS": "60"}
    running = Server(folder, f"sqlite:///{folder}/o.db", settings=secs).start()
    opened = open_desk(running)
    try:
        yield opened
    finally:
        opened.http.close()
        running.stop()


def why_ended(desk: Desk, batch: dict[str, Any]) -> str:
    path = f"/v1/convai/conversations/{batch['recipients'][0]['conversation_id']}"
    reason: str = answered(desk.http.get(path))["metadata"]["termination_reason"]
    return reason


def test_a_phone_rings_no_longer_than_its_batch_says(patient: Desk) -> None:
    long = patient.submit(["+493088190408"])
    short = patient.submit(["+493088290408"], telephony_call_config={"ringing_timeout_secs": 1})
    assert why_ended(patient, patient.until_over(short["id"])) == "ring_limit"
    assert why_ended(patient, patient.until_over(long["id"])) == "no_answer", "that one rang to its end"


def test_a_patched_longest_conversation_ends_the_next_call(patient: Desk) -> None:
    before = patient.submit(["+493088195000"])
    until(lambda: patient.server.rang("+493088195000"), lambda n: n == 1)
    patch_agent(patient, conversation_config={"conversation": {"max_duration_seconds": 1}})
    after = patient.until_over(patient.submit(["+493088196000"])["id"])
    assert (after["recipients"][0]["outcome"], why_ended(patient, after)) == ("completed", "time_limit")
    assert patient.get(before["id"])["recipients"][0]["status"] == "in_progress", "the call before still goes on"


def test_placeholders_stand_in_for_variables_that_a_recipient_lacks(here: Desk) -> None:
    placeholders = {"dynamic_variable_placeholders": {"name": "friend"}}
    agent = {"first_message": "Hello {{name}}.", "dynamic_variables": placeholders}
    patch_agent(here, conversation_config={"agent": agent})
    assert first_words(conversation_with(here, "+493088165000")) == "Hello friend."
    patch_agent(here, conversation_config={"agent": {"dynamic_variables": {"dynamic_variable_placeholders": {}}}})
    assert first_words(conversation_with(here, "+493088165001")) == "Hello ."


def test_a_long_variable_named_a_thousand_times_fills_neither_memory_nor_the_way_to_the_call(here: Desk) -> None:
    patch_agent(here, conversation_config={"agent": {"first_message": "{{note}}" * 2_000}})
    notes = {"note": "{{note}} " * 5_000, **{f"v{n}": "x" * 60_000 for n in range(3)}}
    said = first_words(conversation_with(here, "+493088171500", dynamic_variables=notes))
    assert said
    assert notes["note"].startswith(said), "what a variable says is not looked into again"


def test_an_agent_does_not_grow_beyond_its_bound_by_many_changes(here: Desk) -> None:
    def grown(n: int) -> httpx.Response:
        body = {"conversation_config": {f"more{n}": "x" * 900_000}}
        return here.http.patch(f"/v1/convai/agents/{here.agent_id}", json=body)

    assert [grown(n).status_code for n in range(3)] == [200, 200, 400]
    assert grown(3).json()["detail"]["code"] == "request_too_large"
    assert grown(1).status_code == 200, "a change that adds nothing"


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
    assert (told["system__called_number"], told["system__caller_id"]) == ("+493088175000", "+49305550100")
    assert told["system__agent_id"] == told["system__current_agent_id"] == here.agent_id
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
