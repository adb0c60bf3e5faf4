"""Agents, phone numbers, webhooks, settings and the description of the interface."""

import re
import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from outdial.api import agent_schema, number_schema, webhook_schema
from tests.support.server import Desk, Server, answered, open_desk

AGENTS = "/v1/convai/agents"
NUMBERS = "/v1/convai/phone-numbers"
HOOKS = "/v1/workspace/webhooks"
SETTINGS = "/v1/convai/settings"


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    opened = open_desk(server)
    yield opened
    opened.http.close()


def new_agent(desk: Desk, name: str, **more: Any) -> str:
    made = answered(desk.http.post(f"{AGENTS}/create", json={"name": name, "conversation_config": {}, **more}))
    agent_id: str = made["agent_id"]
    return agent_id


def new_number(desk: Desk, **number: Any) -> str:
    made = answered(desk.http.post(NUMBERS, json={"phone_number": "+49305550222", "label": "x", **number}))
    number_id: str = made["phone_number_id"]
    return number_id


def stored(server: Server) -> str:
    """Everything that the database holds of numbers and webhooks, as text."""
    queries = ("select * from phone_number", "select * from webhook")
    if server.database.startswith("sqlite"):
        connection = sqlite3.connect(server.database.removeprefix("sqlite:///"))
        try:
            return repr([connection.execute(query).fetchall() for query in queries])
        finally:
            connection.close()
    with psycopg.connect(server.database) as postgres:
        return repr([postgres.execute(query.encode()).fetchall() for query in queries])


# --- agents --------------------------------------------------------------------------------------------------------


def test_agents_are_searched_sorted_and_paged(here: Desk) -> None:
    mark = uuid.uuid4().hex[:8]
    made = [new_agent(here, f"{mark} {name}", tags=[mark, name]) for name in ("Bea", "ada", "Cy")]

    def names(**asked: Any) -> list[str]:
        page = answered(here.http.get(AGENTS, params={"search": mark.upper(), **asked}))
        agent_schema.AgentList.model_validate(page)
        return [one["name"].removeprefix(f"{mark} ") for one in page["agents"]]

    assert names() == ["Cy", "ada", "Bea"], "the newest first"
    assert names(sort_by="name") == ["ada", "Bea", "Cy"]
    assert names(sort_by="name", sort_direction="desc") == ["Cy", "Bea", "ada"]
    assert names(sort_by="created_at", sort_direction="asc") == ["Bea", "ada", "Cy"]
    assert names(tags=[mark, "ada"]) == ["ada"]
    assert names(created_by_user_id="@me") == names()
    assert names(created_by_user_id="somebody") == []
    here.agent_id = made[1]
    here.until_over(here.submit(["+493091115000"])["id"])
    assert names(sort_by="call_count_7d")[0] == "ada"
    one = answered(here.http.get(AGENTS, params={"search": f"{mark} ada"}))["agents"][0]
    assert one["last_call_time_unix_secs"] is not None
    first = answered(here.http.get(AGENTS, params={"search": mark, "page_size": 2}))
    second = answered(here.http.get(AGENTS, params={"search": mark, "page_size": 2, "cursor": first["next_cursor"]}))
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    assert [one["agent_id"] for one in (*first["agents"], *second["agents"])] == made[::-1]
    answered(here.http.patch(f"{AGENTS}/{made[0]}", json={"platform_settings": {"archived": True}}))
    assert (names(archived=True), names(archived=False)) == (["Bea"], ["Cy", "ada"])


@pytest.mark.parametrize("asked", [{"page_size": 0}, {"page_size": 101}, {"sort_by": "shoe"}, {"sort_direction": "up"}])
def test_a_list_of_agents_has_bounds(here: Desk, asked: dict[str, Any]) -> None:
    assert here.http.get(AGENTS, params=asked).status_code == 422
    assert here.http.get(AGENTS, params={"cursor": "x"}).json()["detail"]["code"] == "invalid_cursor"


def test_a_patch_changes_what_it_names_and_nothing_else(here: Desk) -> None:
    config = {
        "agent": {"first_message": "Hi", "prompt": {"prompt": "Be kind", "llm": "x", "tool_ids": ["a"]}},
        "tts": {"voice_id": "v", "new_key": [1, {"x": None}]},
    }
    agent_id = new_agent(here, "Ada", conversation_config=config, platform_settings={"privacy": {"record_voice": True}})
    path = f"{AGENTS}/{agent_id}"
    change = {"conversation_config": {"agent": {"prompt": {"tool_ids": []}}}, "tags": ["new"], "name": None}
    seen = answered(here.http.patch(path, json=change))
    agent_schema.Agent.model_validate(seen)
    config["agent"]["prompt"]["tool_ids"] = []  # type: ignore[index]
    assert (seen["conversation_config"], seen["name"], seen["tags"]) == (config, "Ada", ["new"])
    assert seen["platform_settings"] == {"privacy": {"record_voice": True}}
    assert answered(here.http.get(path)) == seen
    wrong = here.http.patch(path, json={"conversation_config": {"tts": {"speed": 9}}})
    assert wrong.json()["detail"][0]["loc"] == ["body", "conversation_config", "tts", "speed"]
    limit = here.http.patch(path, json={"platform_settings": {"call_limits": {"agent_concurrency_limit": 0}}})
    assert limit.status_code == 400


def test_a_duplicate_is_an_agent_of_its_own(here: Desk) -> None:
    agent_id = new_agent(here, "Ada", conversation_config={"agent": {"first_message": "Hi"}}, tags=["t"])
    copies = [answered(here.http.post(f"{AGENTS}/{agent_id}/duplicate", json=body)) for body in ({}, {"name": "Eve"})]
    assert here.http.post(f"{AGENTS}/{agent_id}/duplicate").status_code == 200, "no body is needed"
    answered(here.http.patch(f"{AGENTS}/{agent_id}", json={"conversation_config": {"agent": {"first_message": "Ho"}}}))
    seen = [answered(here.http.get(f"{AGENTS}/{one['agent_id']}")) for one in copies]
    assert [one["name"] for one in seen] == ["Ada (copy)", "Eve"]
    assert {one["conversation_config"]["agent"]["first_message"] for one in seen} == {"Hi"}
    assert answered(here.http.delete(f"{AGENTS}/{agent_id}")) == {}
    assert here.http.get(f"{AGENTS}/{agent_id}").status_code == 404


# --- numbers -------------------------------------------------------------------------------------------------------

SIP = {
    "provider": "sip_trunk",
    "inbound_trunk_config": {
        "allowed_addresses": ["10.0.0.0/8"],
        "credentials": {"username": "i", "password": "in-pw"},
    },
    "outbound_trunk_config": {
        "address": "sip.example.com",
        "transport": "tls",
        "headers": {"X-A": "1"},
        "credentials": {"username": "u", "password": "out-pw"},
    },
}
KEPT: list[tuple[dict[str, Any], list[str]]] = [
    ({"provider": "loopback"}, []),
    ({"provider": "twilio", "sid": "AC1", "token": "twilio-token"}, ["twilio-token"]),
    (
        {
            "provider": "twilio",
            "sid": "AC1",
            "token": "twilio-token",
            "region_config": {"region_id": "ie1", "token": "regional-token", "edge_location": "dublin"},
            "enable_sms": None,
        },
        ["twilio-token", "regional-token"],
    ),
    ({"provider": "vobiz", "auth_id": "MA1", "auth_token": "vobiz-token"}, ["vobiz-token"]),
    (SIP, ["in-pw", "out-pw"]),
]


@pytest.mark.parametrize(("number", "secrets"), KEPT)
def test_a_number_is_kept_and_its_secrets_are_never_told(
    here: Desk, number: dict[str, Any], secrets: list[str]
) -> None:
    number_id = new_number(here, **number, agent_id=here.agent_id)
    response = here.http.get(f"{NUMBERS}/{number_id}")
    seen = answered(response)
    number_schema.PhoneNumber.model_validate(seen)
    assert seen["provider"] == number["provider"]
    assert seen["assigned_agent"]["agent_id"] == here.agent_id
    listed = here.http.get(NUMBERS)
    assert number_id in [one["phone_number_id"] for one in answered(listed)]
    agent = here.http.get(f"{AGENTS}/{here.agent_id}")
    assert [one["phone_number_id"] for one in answered(agent)["phone_numbers"]] == [number_id]
    kept = stored(here.server)
    for secret in secrets:
        assert secret not in response.text + listed.text + agent.text + kept + here.server.log
    if number is SIP:
        trunk = seen["outbound_trunk"]
        assert (trunk["address"], trunk["transport"], trunk["username"]) == ("sip.example.com", "tls", "u")
        assert trunk["has_auth_credentials"]
        assert seen["livekit_stack"] == "standard"


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"provider": "twilio", "token": "t"}, ["sid"]),
    ({"provider": "twilio", "sid": "s"}, ["token"]),
    ({"provider": "vobiz", "auth_id": "s"}, ["auth_token"]),
    ({"provider": "sip_trunk", "outbound_trunk_config": {"transport": "udp"}}, ["outbound_trunk_config", "address"]),
    (
        {"provider": "sip_trunk", "outbound_trunk_config": {"address": "a", "transport": "pigeon"}},
        ["outbound_trunk_config", "transport"],
    ),
    ({"provider": "loopback", "label": None}, ["label"]),
    ({"provider": "loopback", "max_concurrent_calls": 0}, ["max_concurrent_calls"]),
    ({"provider": "loopback", "max_calls_per_second": 0}, ["max_calls_per_second"]),
]


@pytest.mark.parametrize(("number", "loc"), WRONG)
def test_each_provider_s_settings_are_judged(here: Desk, number: dict[str, Any], loc: list[str]) -> None:
    response = here.http.post(NUMBERS, json={"phone_number": "+49305550222", "label": "x", **number})
    assert response.status_code == 422, response.text
    assert response.json()["detail"][0]["loc"] == ["body", *loc]


def test_a_number_that_can_t_be_dialled_from_is_refused(here: Desk) -> None:
    refused = here.http.post(NUMBERS, json={"provider": "loopback", "phone_number": "0049", "label": "x"})
    assert (refused.status_code, refused.json()["detail"]["param"]) == (400, "phone_number")


def test_twilio_s_numbers_begin_with_its_own_limits(here: Desk) -> None:
    seen = answered(here.http.get(f"{NUMBERS}/{new_number(here, provider='twilio', sid='s', token='t')}"))
    assert (seen["max_concurrent_calls"], seen["max_calls_per_second"]) == (2, 1.0)


def test_numbers_of_providers_that_are_not_built_are_refused_at_submit(here: Desk) -> None:
    number_id = new_number(here, provider="vobiz", auth_id="a", auth_token="b")
    order = here.order(["+493091125000"], agent_phone_number_id=number_id)
    refused = here.http.post("/v1/convai/batch-calling/submit", json=order)
    assert (refused.status_code, refused.json()["detail"]["code"]) == (400, "provider_not_available")
    assert refused.json()["detail"]["param"] == "agent_phone_number_id"
    assert "vobiz" in refused.json()["detail"]["message"]


def test_numbers_are_filtered_patched_and_deleted(here: Desk) -> None:
    number_id = new_number(here, **SIP)
    path = f"{NUMBERS}/{number_id}"
    assert answered(here.http.get(NUMBERS, params={"agent_id": here.agent_id})) == []
    patched = answered(here.http.patch(path, json={"agent_id": here.agent_id, "label": "new", "environment": "prod"}))
    assert (patched["label"], patched["assigned_agent"]["agent_name"]) == ("new", "Ada")
    assert patched["assigned_agent"]["environment"] == "prod"
    mine = answered(here.http.get(NUMBERS, params={"agent_id": here.agent_id, "provider": "sip_trunk"}))
    assert [one["phone_number_id"] for one in mine] == [number_id]
    assert answered(here.http.get(NUMBERS, params={"agent_id": here.agent_id, "provider": "twilio"})) == []
    bare = answered(here.http.patch(path, json={"agent_id": None, "label": None}))
    assert (bare["assigned_agent"], bare["label"]) == (None, "new")
    assert here.http.patch(path, json={"agent_id": "agent_nobody"}).json()["detail"]["param"] == "agent_id"
    assert answered(here.http.delete(path)) == {}
    assert here.http.get(path).status_code == 404
    assert here.http.delete(path).status_code == 404


def test_a_trunk_that_is_sent_back_without_its_password_keeps_it_at_home_alone(here: Desk) -> None:
    path = f"{NUMBERS}/{new_number(here, **SIP)}"

    def patched(**outbound: Any) -> Any:
        return answered(here.http.patch(path, json={"outbound_trunk_config": outbound}))["outbound_trunk"]

    same = patched(address="sip.example.com", transport="udp", credentials={"username": "u"})
    assert (same["transport"], same["has_auth_credentials"]) == ("udp", True)
    moved = patched(address="sip.example.org", credentials={"username": "u"})
    assert (moved["address"], moved["has_auth_credentials"]) == ("sip.example.org", False)


def test_an_agent_that_is_gone_is_nobody_s(here: Desk) -> None:
    agent_id = new_agent(here, "Ada")
    number_id = new_number(here, provider="loopback", agent_id=agent_id)
    answered(here.http.delete(f"{AGENTS}/{agent_id}"))
    assert answered(here.http.get(f"{NUMBERS}/{number_id}"))["assigned_agent"] is None


# --- webhooks and settings -----------------------------------------------------------------------------------------


def test_a_webhook_s_secret_is_told_once(here: Desk) -> None:
    headers = {"Authorization": "Bearer of-the-receiver"}
    asked = {"auth_type": "hmac", "name": "w", "webhook_url": "https://example.com/x", "request_headers": headers}
    made = answered(here.http.post(HOOKS, json={"settings": asked}))
    assert re.fullmatch(r"wsec_[0-9a-f]{64}", made["webhook_secret"])
    response = here.http.get(HOOKS)
    webhook_schema.WebhookList.model_validate(answered(response))
    (seen,) = (one for one in answered(response)["webhooks"] if one["webhook_id"] == made["webhook_id"])
    assert (seen["name"], seen["is_disabled"], seen["auth_type"]) == ("w", False, "hmac")
    kept = stored(here.server)
    assert made["webhook_secret"] not in response.text + kept
    assert "of-the-receiver" not in response.text + kept
    path = f"{HOOKS}/{made['webhook_id']}"
    assert answered(here.http.patch(path, json={"is_disabled": True, "name": "n", "events": ["a"]})) == {"status": "ok"}
    (seen,) = (one for one in answered(here.http.get(HOOKS))["webhooks"] if one["webhook_id"] == made["webhook_id"])
    assert (seen["name"], seen["is_disabled"], seen["events"]) == ("n", True, ["a"])
    assert answered(here.http.delete(path)) == {"status": "ok"}
    assert here.http.delete(path).status_code == 404


@pytest.mark.parametrize("url", ["", "ftp://example.com", "https://", "https://exa mple.com", "javascript:1", "//x"])
def test_a_webhook_has_a_url_that_can_be_called(here: Desk, url: str) -> None:
    refused = here.http.post(HOOKS, json={"settings": {"name": "w", "webhook_url": url}})
    assert refused.status_code in {400, 422}


def test_settings_are_kept_and_forget_a_webhook_that_is_gone(here: Desk) -> None:
    hook = answered(here.http.post(HOOKS, json={"settings": {"name": "w", "webhook_url": "https://example.com/x"}}))
    chosen = {"post_call_webhook_id": hook["webhook_id"], "events": ["transcript", "call_initiation_failure"]}
    seen = answered(here.http.patch(SETTINGS, json={"webhooks": chosen, "can_use_mcp_servers": True}))
    assert {name: seen["webhooks"][name] for name in chosen} == chosen
    assert answered(here.http.get(SETTINGS)) == seen
    answered(here.http.patch(SETTINGS, json={"webhooks": {"transcript_format": "opentelemetry"}}))
    seen = answered(here.http.get(SETTINGS))
    assert seen["webhooks"]["post_call_webhook_id"] == hook["webhook_id"], "what is not mentioned stays"
    used = answered(here.http.get(HOOKS, params={"include_usages": True}))["webhooks"]
    assert [one["usage"] for one in used if one["webhook_id"] == hook["webhook_id"]] == [
        [{"usage_type": "ConvAI Settings"}]
    ]
    answered(here.http.delete(f"{HOOKS}/{hook['webhook_id']}"))
    assert answered(here.http.get(SETTINGS))["webhooks"]["post_call_webhook_id"] is None
    wrong = here.http.patch(SETTINGS, json={"webhooks": {"events": ["shoes"]}})
    assert wrong.json()["detail"][0]["loc"][:3] == ["body", "webhooks", "events"]


def test_an_agent_s_own_webhook_may_be_sent_back_as_it_was_read(here: Desk) -> None:
    settings = {"settings": {"auth_type": "hmac", "name": "own", "webhook_url": "https://example.org/own"}}
    hook = answered(here.http.post(HOOKS, json=settings))["webhook_id"]
    own = {"platform_settings": {"workspace_overrides": {"webhooks": {"post_call_webhook_id": hook}}}}
    agent = new_agent(here, "with its own webhook", **own)
    answered(here.http.delete(f"{HOOKS}/{hook}"))
    assert answered(here.http.patch(f"{AGENTS}/{agent}", json=own))["platform_settings"] == own["platform_settings"]
    answered(here.http.post(f"{AGENTS}/{agent}/duplicate"))
    other = new_agent(here, "without")
    assert here.http.patch(f"{AGENTS}/{other}", json=own).status_code == 404


def test_there_are_no_whatsapp_accounts(here: Desk) -> None:
    assert answered(here.http.get("/v1/convai/whatsapp-accounts")) == {"items": []}


# --- the description -----------------------------------------------------------------------------------------------


def test_the_description_s_page_is_made_of_our_own_files(here: Desk) -> None:
    with here.server.client(accept="*/*") as nobody:
        page = nobody.get("/docs")
        parts = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
        assert len(parts) == 3
        assert not re.findall(r'(?:src|href)="(?!docs/|data:)', page.text)
        for part in parts:
            assert nobody.get(f"/{part}").status_code == 200
        started = nobody.get("/docs/start.js").text
    assert 'url: "openapi.json"' in started
    assert "http" not in started
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_every_reference_of_the_description_is_there(here: Desk) -> None:
    described = answered(here.http.get("/openapi.json"))
    names = set(re.findall(r"#/components/schemas/([A-Za-z0-9_]+)", here.http.get("/openapi.json").text))
    assert names <= described["components"]["schemas"].keys()
