"""A request that is sent again, because its answer was lost, acts once."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from elevenlabs import ElevenLabs, OutboundCallRecipient

from tests.support.proxy import losing_proxy
from tests.support.server import Desk, Server, answered, open_desk, until

LATER = 4_000_000_000


def own_batches(desk: Desk) -> list[str]:
    listed = answered(desk.http.get("/v1/convai/batch-calling/workspace", params={"agent_id": desk.agent_id}))
    return [one["id"] for one in listed["batch_calls"]]


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    opened = open_desk(server)
    yield opened
    opened.http.close()


def test_a_submit_whose_answer_was_lost_makes_one_batch(here: Desk) -> None:
    with losing_proxy(here.server.url, lose=2) as proxy:
        client = ElevenLabs(base_url=proxy.url, api_key=here.server.key)
        made = client.conversational_ai.batch_calls.create(
            call_name="lost",
            agent_id=here.agent_id,
            agent_phone_number_id=here.number_id,
            recipients=[OutboundCallRecipient(phone_number="+493055551001")],
        )
    assert [status for _, status, _ in proxy.answers] == [200, 200, 200]
    assert [headers.get("idempotent-replayed") for _, _, headers in proxy.answers] == [None, "true", "true"]
    assert own_batches(here) == [made.id]
    here.until_over(made.id)
    assert here.server.rang("+493055551001") == 1


def test_a_retry_whose_answer_was_lost_opens_one_round(here: Desk) -> None:
    made = here.submit(["+493055551486", "+493055552486"])
    here.until_over(made["id"])
    with losing_proxy(here.server.url) as proxy:
        client = ElevenLabs(base_url=proxy.url, api_key=here.server.key)
        assert client.conversational_ai.batch_calls.retry(made["id"]).retry_count == 1
    over = here.until_over(made["id"])
    assert over["retry_count"] == 1
    assert [one["attempts"] for one in over["recipients"]] == [2, 2]
    assert (here.server.rang("+493055551486"), here.server.rang("+493055552486")) == (2, 2)


def test_fifty_retries_at_once_open_one_round(desk: Desk) -> None:
    made = desk.submit([f"+4930{n}0408" for n in range(100, 120)])
    desk.until_over(made["id"])
    with ThreadPoolExecutor(50) as crowd, httpx.Client(base_url=desk.server.url, timeout=30) as http:
        headers = {"xi-api-key": desk.server.key}
        answers = list(crowd.map(lambda _: http.post(desk.path(made["id"], "/retry"), headers=headers), range(50)))
    assert {one.status_code for one in answers} == {200}
    assert {one.json()["retry_count"] for one in answers} == {1}
    assert sum("idempotent-replayed" not in one.headers for one in answers) == 1
    over = desk.until_over(made["id"])
    assert (over["retry_count"], {one["attempts"] for one in over["recipients"]}) == (1, {2})


def test_fifty_retries_with_keys_of_their_own_queue_nobody_twice(desk: Desk) -> None:
    """Each is an act of its own; but whoever is taken by one is not there for the next."""
    block = 200 if desk.prefix == "/v1/convai" else 300
    made = desk.submit([f"+4930{n}0408" for n in range(block, block + 20)])
    desk.until_over(made["id"])
    with ThreadPoolExecutor(50) as crowd, httpx.Client(base_url=desk.server.url, timeout=30) as http:

        def retry(n: int) -> httpx.Response:
            headers = {"xi-api-key": desk.server.key, "idempotency-key": f"{made['id']} {n}"}
            return http.post(desk.path(made["id"], "/retry"), headers=headers)

        answers = list(crowd.map(retry, range(50)))
    assert {one.status_code for one in answers} == {200}
    over = desk.until_over(made["id"])
    for one in over["recipients"]:
        # whoever was missed again before a later retry came is in that one's round too
        assert 2 <= one["attempts"] <= over["retry_count"] + 1
        assert desk.server.rang(one["phone_number"]) == one["attempts"]


def test_an_idempotency_key_names_the_act(desk: Desk) -> None:
    key = uuid.uuid4().hex
    submit = f"{desk.prefix}/batch-calling/submit"
    order = desk.order(["+493055553001"], scheduled_time_unix=LATER)
    first = desk.http.post(submit, json=order, headers={"idempotency-key": key})
    twin = desk.http.post(submit, json=order, headers={"idempotency-key": key})
    other = desk.http.post(submit, json=order, headers={"idempotency-key": key + "2"})
    assert answered(first) == answered(twin)
    assert twin.headers["idempotent-replayed"] == "true"
    assert answered(other)["id"] != answered(first)["id"]


def test_a_twin_of_what_was_deleted_or_cancelled_since_dials_nobody(desk: Desk) -> None:
    submit = f"{desk.prefix}/batch-calling/submit"
    order = desk.order(["+493055554001"], scheduled_time_unix=LATER, call_name=uuid.uuid4().hex)
    made = answered(desk.http.post(submit, json=order))
    answered(desk.http.post(desk.path(made["id"], "/cancel")))
    twin = desk.http.post(submit, json=order)
    assert (twin.json()["id"], twin.json()["status"]) == (made["id"], "cancelled")
    desk.http.delete(desk.path(made["id"]))
    assert desk.http.post(submit, json=order).status_code == 404


def test_a_refused_request_is_no_act(desk: Desk) -> None:
    submit = f"{desk.prefix}/batch-calling/submit"
    order = desk.order(["+493055555001"], scheduled_time_unix=LATER, agent_id="agent_nobody")
    assert [desk.http.post(submit, json=order).status_code for _ in range(2)] == [404, 404]


def test_with_replay_off_every_request_is_its_own(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", settings={"OUTDIAL_REPLAY_SECS": "0"}).start()
    try:
        desk = open_desk(server)
        order = desk.order(["+493055556001"], scheduled_time_unix=LATER)
        ids = {answered(desk.http.post("/v1/convai/batch-calling/submit", json=order))["id"] for _ in range(2)}
        assert len(ids) == 2
    finally:
        server.stop()


def test_after_the_window_it_is_a_new_act(tmp_path: Path) -> None:
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", settings={"OUTDIAL_REPLAY_SECS": "0.2"}).start()
    try:
        desk = open_desk(server)
        order = desk.order(["+493055557001"], scheduled_time_unix=LATER)
        first = answered(desk.http.post("/v1/convai/batch-calling/submit", json=order))["id"]
        until(
            lambda: answered(desk.http.post("/v1/convai/batch-calling/submit", json=order))["id"],
            lambda seen: seen != first,
        )
    finally:
        server.stop()
