"""Refusals: one shape, the right status, nothing secret in them, and a key on every route."""

from typing import Any

import pytest

from outdial.domain.bounds import LONGEST_TEXT
from tests.support.server import Desk, answered
from tests.wire.test_foreign import BODIES
from tests.wire.test_fuzz import ALL

UNKNOWN = "btcal_nobody"
NAMES = {
    "batch_id": UNKNOWN,
    "agent_id": "agent_nobody",
    "phone_number_id": "phnum_nobody",
    "conversation_id": "conv_0123456789abcdef0123456789abcdef",
    "webhook_id": "webhook_nobody",
    "phone_number": "+493012345678",
}
"""Of things that nobody has; the number is not on the do-not-call list."""


def detail_of(response: Any, status: int) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["x-request-id"]
    detail = response.json()["detail"]
    if status != 422:
        assert {"type", "code", "message", "status", "request_id"} <= detail.keys()
        assert detail["status"] == detail["code"]
        assert detail["request_id"] == response.headers["x-request-id"]
    return detail


def routes_of(desk: Desk) -> list[tuple[str, str, str]]:
    """(method, path, operation) of every route that speaks this dialect."""
    others = ("/v1/workspace",) if desk.prefix == "/v1/convai" else ()
    found = [name.split(" ") for name in ALL if name.split(" ")[1].startswith((desk.prefix, *others))]
    assert len(found) >= (40 if others else 20)
    return [(method, path.format(**NAMES), f"{method} {path}") for method, path in found]


def test_every_route_wants_a_key(desk: Desk) -> None:
    with desk.server.client(accept="*/*") as nobody:
        for method, path, _ in routes_of(desk):
            detail = detail_of(nobody.request(method, path), 401)
            assert (detail["type"], detail["code"]) == ("authentication_error", "missing_api_key")


@pytest.mark.parametrize("name", ["xi-api-key", "x-api-key", "authorization"])
def test_each_header_carries_a_key(desk: Desk, name: str) -> None:
    prefix = "Bearer " if name == "authorization" else ""
    with desk.server.client(**{name: prefix + desk.server.key}) as known:
        for method, path, _ in routes_of(desk):
            assert known.request(method, path).status_code != 401, (method, path)
    with desk.server.client(**{name: prefix + "wrong"}) as stranger:
        for method, path, _ in routes_of(desk):
            detail = detail_of(stranger.request(method, path), 401)
            assert detail["code"] == "invalid_api_key"
            assert "wrong" not in str(detail)


def test_a_key_is_asked_for_before_anything_else_is_judged(desk: Desk) -> None:
    with desk.server.client(**{"xi-api-key": "wrong"}) as stranger:
        assert stranger.post(f"{desk.prefix}/batch-calling/submit", content=b"{").status_code == 401
        assert stranger.get(f"{desk.prefix}/batch-calling/workspace", params={"limit": "many"}).status_code == 401


def test_the_first_known_key_of_several_counts(desk: Desk) -> None:
    with desk.server.client(**{"authorization": "Bearer of-a-proxy", "x-api-key": desk.server.key}) as both:
        assert both.get(f"{desk.prefix}/batch-calling/workspace").status_code == 200


def test_unknown_ids_are_404_everywhere(desk: Desk) -> None:
    for method, path, operation in routes_of(desk):
        if "{" in operation:
            detail = detail_of(desk.http.request(method, path, json=BODIES.get(operation)), 404)
            assert detail["type"] == "not_found"
            assert detail["param"] in operation
    odd = desk.http.get("/v1/convai/conversations/no-such-shape")
    assert detail_of(odd, 404)["param"] == "conversation_id"


BAD = [
    (b"{", ["body"], "json_invalid"),
    (b"[]", ["body"], "model_attributes_type"),
    (b"\xff", ["body"], "json_invalid"),
    (b"[" * 100_000, ["body"], "json_invalid"),
    (b"{}", ["body", "call_name"], "missing"),
]


@pytest.mark.parametrize(("body", "loc", "kind"), BAD)
def test_a_body_without_the_published_shape_is_422(desk: Desk, body: bytes, loc: list[str], kind: str) -> None:
    detail = detail_of(desk.http.post(f"{desk.prefix}/batch-calling/submit", content=body), 422)
    assert detail[0]["loc"][: len(loc)] == loc
    assert detail[0].keys() == {"loc", "msg", "type"}
    assert detail[0]["type"] in {kind, "model_type"}


DATA = "conversation_initiation_client_data"
TOO_LONG = {"dynamic_variables": {"note": "x" * (LONGEST_TEXT + 1)}}
WRONG: list[tuple[dict[str, Any], list[Any]]] = [
    ({"recipients": []}, ["body", "recipients"]),
    ({"recipients": None}, ["body", "recipients"]),
    ({"recipients": [{"phone_number": 49}]}, ["body", "recipients", 0, "phone_number"]),
    ({"recipients": [{}]}, ["body", "recipients", 0, "phone_number"]),
    (
        {"recipients": [{"phone_number": "+493011115"}, {"phone_number": "nobody"}]},
        ["body", "recipients", 1, "phone_number"],
    ),
    (
        {"recipients": [{"phone_number": "+493011115", "id": "a"}, {"phone_number": "+493011116", "id": "a"}]},
        ["body", "recipients", 1, "id"],
    ),
    ({"call_name": 5}, ["body", "call_name"]),
    ({"call_name": "a\x00b"}, ["body", "call_name"]),
    ({"target_concurrency_limit": 0}, ["body", "target_concurrency_limit"]),
    ({"scheduled_time_unix": -1}, ["body", "scheduled_time_unix"]),
    ({"scheduled_time_unix": 10**18}, ["body", "scheduled_time_unix"]),
    (
        {"telephony_call_config": {"ringing_timeout_secs": 1000}},
        ["body", "telephony_call_config", "ringing_timeout_secs"],
    ),
    (
        {
            "recipients": [
                {"phone_number": "+493011115", "conversation_initiation_client_data": {"dynamic_variables": []}}
            ]
        },
        ["body", "recipients", 0, "conversation_initiation_client_data", "dynamic_variables"],
    ),
    (
        {"recipients": [{"phone_number": "+493011115"}, {"phone_number": "+493011116", DATA: TOO_LONG}]},
        ["body", "recipients", 1, DATA, "dynamic_variables", "note"],
    ),
]


@pytest.mark.parametrize(("changes", "loc"), WRONG)
def test_a_wrong_value_is_named_by_its_place(desk: Desk, changes: dict[str, Any], loc: list[Any]) -> None:
    order = desk.order(["+493011115000"]) | changes
    detail = detail_of(desk.http.post(f"{desk.prefix}/batch-calling/submit", json=order), 422)
    assert loc in [one["loc"] for one in detail]


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({"agent_id": "agent_nobody"}, 404, "agent_not_found", "agent_id"),
    ({"agent_phone_number_id": "phnum_nobody"}, 404, "phone_number_not_found", "agent_phone_number_id"),
    ({"agent_phone_number_id": None}, 400, "missing_required_field", "agent_phone_number_id"),
    (
        {
            "whatsapp_params": {
                "whatsapp_call_permission_request_template_name": "t",
                "whatsapp_call_permission_request_template_language_code": "en",
            }
        },
        400,
        "whatsapp_not_available",
        "whatsapp_params",
    ),
    ({"recipients": [{"whatsapp_user_id": "5"}]}, 400, "whatsapp_not_available", "recipients.0.whatsapp_user_id"),
    ({"timezone": "Mars/Olympus"}, 400, "invalid_parameters", "timezone"),
    ({"calling_hours": {"rules": []}}, 400, "invalid_calling_hours", "calling_hours.rules"),
]


@pytest.mark.parametrize(("changes", "status", "code", "param"), REFUSED)
def test_what_can_t_be_done_is_said_with_its_parameter(
    desk: Desk, changes: dict[str, Any], status: int, code: str, param: str
) -> None:
    order = desk.order(["+493011115000"]) | changes
    detail = detail_of(desk.http.post(f"{desk.prefix}/batch-calling/submit", json=order), status)
    assert (detail["code"], detail["param"]) == (code, param)


def test_ten_thousand_wrong_numbers_are_told_a_hundred_times(desk: Desk) -> None:
    order = desk.order(["my secret number"] * 10_000)
    response = desk.http.post(f"{desk.prefix}/batch-calling/submit", json=order)
    detail = detail_of(response, 422)
    assert len(detail) == 100
    assert "secret" not in response.text


def test_more_than_ten_thousand_people_are_too_many(desk: Desk) -> None:
    order = desk.order(["+493011115000"] * 10_001)
    detail = detail_of(desk.http.post(f"{desk.prefix}/batch-calling/submit", json=order), 422)
    assert (detail[0]["loc"], detail[0]["type"]) == (["body", "recipients"], "too_long")


def test_a_body_beyond_the_limit_is_413_and_heard(desk: Desk) -> None:
    big = b" " * (64 * 1024 * 1024 + 1)
    assert (
        detail_of(desk.http.post(f"{desk.prefix}/batch-calling/submit", content=big), 413)["code"]
        == "request_too_large"
    )
    small = b" " * (1024 * 1024 + 1)
    assert detail_of(desk.http.post(desk.path("btcal_x", "/retry"), content=small), 413)["type"] == "invalid_request"


def test_unknown_addresses_and_methods_have_the_shape_too(desk: Desk) -> None:
    assert detail_of(desk.http.get(f"{desk.prefix}/nothing"), 404)["code"] == "route_not_found"
    assert detail_of(desk.http.put(f"{desk.prefix}/batch-calling/workspace"), 405)["code"] == "method_not_allowed"


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_list_s_limit_is_a_number_from_one(desk: Desk, limit: str) -> None:
    response = desk.http.get(f"{desk.prefix}/batch-calling/workspace", params={"limit": limit})
    assert detail_of(response, 422)[0]["loc"] == ["query", "limit"]


def test_a_long_list_is_cut_or_refused_as_its_dialect_says(desk: Desk) -> None:
    response = desk.http.get(f"{desk.prefix}/batch-calling/workspace", params={"limit": 501})
    assert response.status_code == (200 if desk.prefix == "/v1/convai" else 422)


@pytest.mark.parametrize("cursor", ["x", "", "%%%", "YgAA", "ü"])
def test_a_foreign_cursor_is_refused(desk: Desk, cursor: str) -> None:
    response = desk.http.get(f"{desk.prefix}/batch-calling/workspace", params={"last_doc": cursor})
    detail = detail_of(response, 400)
    assert (detail["code"], detail["param"]) == ("invalid_cursor", "last_doc")


def test_whom_a_retry_may_include_is_a_closed_list(desk: Desk) -> None:
    made = desk.submit(["+493066662000"], scheduled_time_unix=4_000_000_000)
    wrong = desk.http.post(desk.path(made["id"], "/retry"), json={"include": ["completed"]})
    assert detail_of(wrong, 422)[0]["loc"] == ["body", "include", 0]
    seen = desk.http.get(desk.path(made["id"], "/retry-preview"), params={"include": "completed"})
    assert detail_of(seen, 422)[0]["loc"] == ["query", "include", 0]


def test_a_number_of_a_provider_that_nobody_knows_is_refused(desk: Desk) -> None:
    number = {"provider": "exotel", "phone_number": "+49305550101", "label": "x", "api_token": "secret-token"}
    response = desk.http.post("/v1/convai/phone-numbers", json=number)
    assert detail_of(response, 400)["code"] == "provider_not_available"
    assert "secret-token" not in response.text


def test_health_and_the_description_need_no_key(desk: Desk) -> None:
    with desk.server.client(accept="*/*") as nobody:
        assert answered(nobody.get("/healthz"))["status"] == "ok"
        described = answered(nobody.get("/openapi.json"))
    assert {"bearer", "x-api-key", "xi-api-key"} == described["components"]["securitySchemes"].keys()
    submit = described["paths"][f"{desk.prefix}/batch-calling/submit"]["post"]
    assert submit["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/SubmitBatch")
    assert "SubmitBatch" in described["components"]["schemas"]
