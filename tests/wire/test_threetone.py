"""ThreeTone's client: every call that it makes, as it makes it; the key in three headers at once.

Its requests are written here in our own words: it names JSON also where it sends no body, leaves out what is null, and
asks for agents at the other product's addresses. It reads any answer that is JSON, or empty.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import Desk, Server, answered, open_desk, until
from tests.wire.golden import JSON_TYPES, published

PAIR = published(Path(__file__).parent / "voiceai/retry.published.json")
LATER = 4_000_000_000
JSON = {"content-type": "application/json"}
BATCHES = "/v1/voiceai/batch-calling"
TALKS = "/v1/voiceai/conversations"
AGENTS = "/v1/convai/agents"


def trio(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", "x-api-key": key, "xi-api-key": key, "accept": "application/json"}


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    """A desk whose requests are sent as ThreeTone's client sends them."""
    desk = open_desk(server, "/v1/voiceai")
    desk.http.close()
    with httpx.Client(base_url=server.url, headers=trio(server.key), timeout=30) as http:
        desk.http = http
        yield desk


def a_batch(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer that has every key of the page, of its types."""
    for name, types in PAIR["types"].items():
        assert JSON_TYPES[type(answer[name])] in types, name
    for name in PAIR["required"]:
        assert answer[name] is not None, name
    assert answer["status"] in PAIR["enums"]["status"]
    return answer


def send(desk: Desk, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """A POST of its: JSON is named, whether there is a body or not."""
    return desk.http.post(path, headers=JSON, content=None if body is None else json.dumps(body))


def test_the_way_of_a_batch(here: Desk) -> None:
    people = [
        {
            "phone_number": "+493066515000",
            "conversation_initiation_client_data": {"dynamic_variables": {"name": "Ada"}},
        },
        {"phone_number": "+493066511486"},
    ]
    order = {"call_name": "Q2", "agent_id": here.agent_id, "recipients": people}
    made = a_batch(answered(send(here, f"{BATCHES}/submit", {**order, "agent_phone_number_id": here.number_id})))
    path = f"{BATCHES}/{made['id']}"
    over = until(lambda: answered(here.http.get(path)), lambda one: one["status"] == "completed")
    assert [one["status"] for one in a_batch(over)["recipients"]] == ["completed", "failed"]
    again = a_batch(answered(send(here, f"{path}/retry")))
    assert (again["retry_count"], again["id"]) == (1, made["id"])
    over = until(lambda: answered(here.http.get(path)), lambda one: one["status"] == "completed")
    assert [one["status"] for one in over["recipients"]] == ["completed", "completed"]
    assert over["total_calls_finished"] == 2
    assert a_batch(answered(send(here, f"{path}/cancel")))["status"] == "completed"
    gone = here.http.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert here.http.get(path).status_code == 404
    assert (here.server.rang("+493066515000"), here.server.rang("+493066511486")) == (1, 2)


def test_batches_for_later_are_listed_and_cancelled(here: Desk) -> None:
    order = here.order(["+493066525000"], scheduled_time_unix=LATER)
    made = [answered(send(here, f"{BATCHES}/submit", {**order, "call_name": uuid.uuid4().hex}))["id"] for _ in range(3)]
    first = answered(here.http.get(f"{BATCHES}/workspace", params={"limit": 2}))
    second = answered(here.http.get(f"{BATCHES}/workspace", params={"limit": 1, "last_doc": first["next_doc"]}))
    assert [a_batch(one)["id"] for one in (*first["batch_calls"], *second["batch_calls"])] == made[::-1]
    assert answered(send(here, f"{BATCHES}/{made[0]}/cancel"))["status"] == "cancelled"
    assert here.server.rang("+493066525000") == 0


def test_a_single_call_is_placed(here: Desk) -> None:
    order = {"agent_id": here.agent_id, "phone_number_id": here.number_id, "to_phone_number": "+493066535000"}
    placed = answered(send(here, "/v1/voiceai/outbound-call", {**order, "dynamic_variables": {"name": "Ada", "n": 3}}))
    assert placed["success"] is True
    assert placed["callSid"] == placed["call_sid"], "the page writes it the one way, its client reads the other"
    assert placed["call_sid"]
    path = f"{TALKS}/{placed['conversation_id']}"
    talk = until(lambda: answered(here.http.get(path)), lambda one: one["status"] == "done")
    assert talk["conversation_initiation_client_data"]["dynamic_variables"]["name"] == "Ada"


def test_conversations_are_listed_by_its_filters(here: Desk) -> None:
    over = here.until_over(here.submit(["+493066545000", "+493066540404"])["id"])
    reached, missed = (one["conversation_id"] for one in over["recipients"])

    def ids(**asked: str) -> list[str]:
        page = answered(here.http.get(TALKS, params={"agent_id": here.agent_id, **asked}))
        return [one["conversation_id"] for one in page["conversations"]]

    assert set(ids(page_size="5")) == {reached, missed}
    # its client asks by a truth value, its page by a word
    assert ids(call_successful="true") == ids(call_successful="success") == [reached]
    assert ids(call_successful="false") == ids(call_successful="failure") == [missed]
    assert ids(exclude_batch="true") == []
    assert set(ids(exclude_batch="false")) == {reached, missed}
    first = answered(here.http.get(TALKS, params={"agent_id": here.agent_id, "page_size": 1}))
    asked = {"agent_id": here.agent_id, "page_size": 1, "cursor": first["next_cursor"]}
    rest = answered(here.http.get(TALKS, params=asked))
    assert (first["has_more"], rest["has_more"]) == (True, False)
    here.server.record(reached, b"not music, but bytes")
    assert here.http.get(f"{TALKS}/{reached}/audio").content == b"not music, but bytes"


def test_a_browser_gets_no_token(here: Desk) -> None:
    """Published: a token for a conversation in a browser, by the id of an agent. There are phone calls only."""
    path = f"{TALKS}/token"
    refused = here.http.get(path, params={"agent_id": here.agent_id, "participant_name": "Ada"})
    assert (refused.status_code, refused.json()["detail"]["code"]) == (400, "browser_not_available")
    assert here.http.get(path).status_code == 422
    assert here.http.get(path, params={"agent_id": "agent_nobody"}).status_code == 404


def test_agents_live_at_the_other_addresses(here: Desk) -> None:
    mark = uuid.uuid4().hex[:8]
    body = {"conversation_config": {"language": "hi"}, "name": f"{mark} Support"}
    agent_id = answered(send(here, f"{AGENTS}/create?enable_versioning=true", body))["agent_id"]
    page = answered(here.http.get(AGENTS, params={"page_size": 10, "search": mark, "sort_direction": "desc"}))
    assert ([one["agent_id"] for one in page["agents"]], page["has_more"]) == ([agent_id], False)
    changed = here.http.patch(f"{AGENTS}/{agent_id}", headers=JSON, content=json.dumps({"name": "Sales"}))
    assert answered(changed)["name"] == "Sales"
    assert answered(here.http.get(f"{AGENTS}/{agent_id}"))["name"] == "Sales"
    assert here.http.delete(f"{AGENTS}/{agent_id}").status_code == 200
    assert here.http.get(f"{AGENTS}/{agent_id}").status_code == 404


@pytest.mark.parametrize(("key", "status"), [("wrong", 401), ("", 401)])
def test_errors_name_their_request(here: Desk, key: str, status: int) -> None:
    """Its errors carry `x-request-id`, and what `detail` says."""
    headers = trio(key) if key else {"accept": "application/json"}
    with httpx.Client(base_url=here.server.url, headers=headers) as http:
        refused = http.get(f"{BATCHES}/workspace")
    assert refused.status_code == status
    assert refused.headers["x-request-id"] == refused.json()["detail"]["request_id"]
    unknown = here.http.get(f"{TALKS}/conv_unknown")
    assert unknown.status_code == 404
    assert unknown.headers["x-request-id"] == unknown.json()["detail"]["request_id"]
