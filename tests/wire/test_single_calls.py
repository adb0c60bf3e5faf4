"""Single outbound calls: placed once, told at once, and refused with a reason."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from outdial.api import call_schema
from outdial.domain.bounds import LONGEST_TEXT
from tests.support.proxy import losing_proxy
from tests.support.server import Desk, Server, answered, open_desk, until

ROUTES = ["/v1/convai/twilio/outbound-call", "/v1/convai/sip-trunk/outbound-call", "/v1/voiceai/outbound-call"]


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    opened = open_desk(server)
    yield opened
    opened.http.close()


def order(desk: Desk, route: str, number: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    if route.startswith("/v1/voiceai"):
        body: dict[str, Any] = {"phone_number_id": desk.number_id, "to_phone_number": number}
        return body | {"agent_id": desk.agent_id} | ({"dynamic_variables": variables} if variables else {})
    data = {"conversation_initiation_client_data": {"dynamic_variables": variables}} if variables else {}
    return {"agent_id": desk.agent_id, "agent_phone_number_id": desk.number_id, "to_number": number, **data}


@pytest.mark.parametrize("route", ROUTES)
def test_a_call_is_placed_and_its_conversation_known_at_once(here: Desk, route: str) -> None:
    number = f"+4930771{ROUTES.index(route)}5000"
    placed = answered(here.http.post(route, json=order(here, route, number, {"name": "Ada"})))
    call_schema.PlacedCall.model_validate(placed)
    assert placed["success"]
    assert placed["callSid"] == placed["sip_call_id"]
    assert placed["callSid"]
    path = f"/v1/convai/conversations/{placed['conversation_id']}"
    seen = until(lambda: answered(here.http.get(path)), lambda one: one["status"] == "done")
    assert seen["metadata"]["phone_call"]["external_number"] == number
    assert seen["metadata"]["phone_call"]["call_sid"] == placed["callSid"]
    assert seen["metadata"]["batch_call"] is None
    assert seen["conversation_initiation_client_data"]["dynamic_variables"]["name"] == "Ada"
    assert here.server.rang(number) == 1
    listed = answered(here.http.get("/v1/convai/batch-calling/workspace", params={"agent_id": here.agent_id}))
    assert listed["batch_calls"] == [], "no list shows the batch of one"
    alone = answered(here.http.get("/v1/convai/conversations", params={"agent_id": here.agent_id}))["conversations"]
    assert [one["conversation_id"] for one in alone] == [placed["conversation_id"]]


@pytest.mark.parametrize("route", ROUTES)
def test_a_call_whose_answer_was_lost_rings_once(here: Desk, route: str) -> None:
    number = f"+4930772{ROUTES.index(route)}5000"
    with losing_proxy(here.server.url, lose=2) as proxy:
        headers = {"xi-api-key": here.server.key}
        answers = []
        with httpx.Client(base_url=proxy.url, headers=headers, timeout=30) as http:
            for _ in range(3):
                try:
                    answers.append(http.post(route, json=order(here, route, number)))
                except httpx.TransportError:
                    continue
    assert [one.json()["conversation_id"] for one in answers if one.status_code == 200]
    assert here.server.rang(number) == 1


def test_an_idempotency_key_names_the_call(here: Desk) -> None:
    body = order(here, ROUTES[0], "+493077315000")
    first, twin, other = (
        here.http.post(ROUTES[0], json=body, headers={"idempotency-key": f"{here.agent_id} {n}"}) for n in (1, 1, 2)
    )
    assert answered(first)["conversation_id"] == answered(twin)["conversation_id"]
    assert twin.headers["idempotent-replayed"] == "true"
    assert answered(other)["batch_id"] != answered(first)["batch_id"]


def test_a_call_that_waits_for_a_line_is_queued(here: Desk) -> None:
    answered(here.http.patch(f"/v1/convai/phone-numbers/{here.number_id}", json={"max_calls_per_second": 0.0001}))
    answered(here.http.post(ROUTES[0], json=order(here, ROUTES[0], "+493077415000")))
    queued = answered(here.http.post(ROUTES[0], json=order(here, ROUTES[0], "+493077415001")))
    assert (queued["success"], queued["conversation_id"]) == (True, None)
    assert queued["message"].startswith("queued")
    batch = answered(here.http.get(here.path(queued["batch_id"])))
    assert [one["status"] for one in batch["recipients"]] == ["pending"]
    assert answered(here.http.post(here.path(queued["batch_id"], "/cancel")))["status"] == "cancelled"
    assert here.server.rang("+493077415001") == 0


REFUSED = [
    ({"to_number": "12"}, 422, None),
    ({"to_number": None}, 422, None),
    ({"agent_id": "agent_nobody"}, 404, "agent_not_found"),
    ({"agent_phone_number_id": "phnum_nobody"}, 404, "phone_number_not_found"),
]


@pytest.mark.parametrize(("changes", "status", "code"), REFUSED)
def test_what_can_t_be_called_is_refused(here: Desk, changes: dict[str, Any], status: int, code: str | None) -> None:
    response = here.http.post(ROUTES[0], json=order(here, ROUTES[0], "+493077515000") | changes)
    assert response.status_code == status, response.text
    if code is None:
        assert response.json()["detail"][0]["loc"] == ["body", "to_number"]
    else:
        assert response.json()["detail"]["code"] == code


@pytest.mark.parametrize("route", ROUTES)
def test_more_than_may_be_said_of_a_person_is_refused_where_it_stands(here: Desk, route: str) -> None:
    fits, too_long = {"note": "x" * LONGEST_TEXT}, {"note": "x" * (LONGEST_TEXT + 1)}
    number = f"+4930778{ROUTES.index(route)}5000"
    response = here.http.post(route, json=order(here, route, number, too_long))
    assert response.status_code == 422, response.text[:300]
    inside = [] if route.startswith("/v1/voiceai") else ["conversation_initiation_client_data"]
    assert [one["loc"] for one in response.json()["detail"]] == [["body", *inside, "dynamic_variables", "note"]]
    placed = answered(here.http.post(route, json=order(here, route, number, fits)))
    path = f"/v1/convai/conversations/{placed['conversation_id']}"
    seen = until(lambda: answered(here.http.get(path)), lambda one: one["status"] == "done")
    assert seen["conversation_initiation_client_data"]["dynamic_variables"]["note"] == fits["note"]


def test_other_networks_are_refused_by_name(here: Desk) -> None:
    exotel = here.http.post("/v1/convai/exotel/outbound-call", json=order(here, ROUTES[0], "+493077615000"))
    template = "whatsapp_call_permission_request_template"
    message = {
        "whatsapp_phone_number_id": "1",
        "whatsapp_user_id": "2",
        f"{template}_name": "t",
        f"{template}_language_code": "en",
        "agent_id": here.agent_id,
    }
    whatsapp = here.http.post("/v1/convai/whatsapp/outbound-call", json=message)
    assert (exotel.status_code, exotel.json()["detail"]["code"]) == (400, "provider_not_available")
    assert (whatsapp.status_code, whatsapp.json()["detail"]["code"]) == (400, "whatsapp_not_available")
    number = {"provider": "twilio", "phone_number": "+49305550111", "label": "t", "sid": "AC1", "token": "hunter22"}
    twilio = answered(here.http.post("/v1/convai/phone-numbers", json=number))["phone_number_id"]
    body = order(here, ROUTES[0], "+493077615000") | {"agent_phone_number_id": twilio}
    refused = here.http.post(ROUTES[0], json=body)
    assert (refused.status_code, refused.json()["detail"]["code"]) == (400, "provider_not_available")
    assert here.server.rang("+493077615000") == 0
