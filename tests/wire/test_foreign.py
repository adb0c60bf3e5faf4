"""A second workspace tries everything: whatever belongs to the first is unknown to it, in path, body and filter."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.server import Desk, Server, answered, open_desk
from tests.wire.test_fuzz import ALL

LATER = 4_000_000_000


@dataclass
class Two:
    """Two workspaces of one server, and what the first has."""

    ours: Desk
    stranger: httpx.Client
    theirs: dict[str, str]
    """The stranger's own things."""
    names: dict[str, str]
    """Ours, by the name of their parameter."""

    def look(self) -> list[Any]:
        """Everything of ours, as we see it."""
        here, names = self.ours.http, self.names
        paths = (
            f"/v1/convai/batch-calling/{names['batch_id']}",
            f"/v1/convai/agents/{names['agent_id']}",
            f"/v1/convai/phone-numbers/{names['phone_number_id']}",
            f"/v1/convai/conversations/{names['conversation_id']}",
            "/v1/workspace/webhooks",
            "/v1/convai/settings",
        )
        return [answered(here.get(path)) for path in paths]


@pytest.fixture(scope="module")
def two(server: Server) -> Iterator[Two]:
    ours = open_desk(server)
    command = [sys.executable, "-m", "outdial.cli.main", "keys", "create", "--workspace", "others", "--json"]
    environment = {**server.environment(), "OUTDIAL_SECRET_KEY": "a secret of thirty-two characters"}
    key = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)["key"]
    over = ours.submit(["+493066661000"])
    conversation = ours.until_over(over["id"])["recipients"][0]["conversation_id"]
    webhook = answered(
        ours.http.post("/v1/workspace/webhooks", json={"settings": {"name": "w", "webhook_url": "https://example.com"}})
    )["webhook_id"]
    names = {
        "batch_id": ours.submit(["+493066661001"], scheduled_time_unix=LATER)["id"],
        "agent_id": ours.agent_id,
        "phone_number_id": ours.number_id,
        "conversation_id": conversation,
        "webhook_id": webhook,
    }
    with server.client(**{"xi-api-key": key}) as stranger:
        agent = answered(stranger.post("/v1/convai/agents/create", json={"conversation_config": {}}))["agent_id"]
        number = {"provider": "loopback", "phone_number": "+49305550199", "label": "theirs"}
        made = answered(stranger.post("/v1/convai/phone-numbers", json=number))["phone_number_id"]
        yield Two(ours, stranger, {"agent_id": agent, "phone_number_id": made}, names)
    ours.http.close()


BODIES: dict[str, dict[str, Any]] = {
    "PATCH /v1/workspace/webhooks/{webhook_id}": {"is_disabled": True, "name": "mine now"},
    "PATCH /v1/convai/agents/{agent_id}": {"name": "mine now"},
    "PATCH /v1/convai/phone-numbers/{phone_number_id}": {"label": "mine now"},
}
IN_PATH = [name for name in ALL if re.search(r"{(?!phone_number})", name)]
"""A phone number is nobody's id: a workspace asks only about its own list."""


@pytest.mark.parametrize("name", IN_PATH)
def test_in_the_path_it_is_unknown(two: Two, name: str) -> None:
    before = two.look()
    method, path = name.split(" ")
    response = two.stranger.request(method, path.format(**two.names), json=BODIES.get(name))
    assert response.status_code == 404, (name, response.text)
    assert "mine now" not in response.text
    nobody = dict.fromkeys(two.names, "nobody")
    unknown = two.stranger.request(method, path.format(**nobody), json=BODIES.get(name))
    assert response.json()["detail"]["code"] == unknown.json()["detail"]["code"], "theirs and nobody's are told alike"
    assert two.look() == before


def in_bodies(two: Two) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """(parameter, method, path, body): each body is right but for one thing that is ours."""
    own = {"agent_id": two.theirs["agent_id"], "agent_phone_number_id": two.theirs["phone_number_id"]}
    batch = {"call_name": "x", "recipients": [{"phone_number": "+493066661009"}], **own}
    ours = {"agent_id": two.names["agent_id"], "agent_phone_number_id": two.names["phone_number_id"]}
    for prefix in ("/v1/convai", "/v1/voiceai"):
        for name, value in ours.items():
            yield name, "POST", f"{prefix}/batch-calling/submit", {**batch, name: value}
    call = {"to_number": "+493066661009", **own}
    for route in ("twilio", "sip-trunk"):
        for name, value in ours.items():
            yield name, "POST", f"/v1/convai/{route}/outbound-call", {**call, name: value}
    voice = {"to_phone_number": "+493066661009", **two.theirs}
    for name in ("agent_id", "phone_number_id"):
        yield name, "POST", "/v1/voiceai/outbound-call", {**voice, name: two.names[name]}
    number = {"provider": "loopback", "phone_number": "+49305550198", "label": "x", "agent_id": two.names["agent_id"]}
    yield "agent_id", "POST", "/v1/convai/phone-numbers", number
    patch = f"/v1/convai/phone-numbers/{two.theirs['phone_number_id']}"
    yield "agent_id", "PATCH", patch, {"agent_id": two.names["agent_id"]}
    chosen = {"webhooks": {"post_call_webhook_id": two.names["webhook_id"]}}
    yield "webhooks.post_call_webhook_id", "PATCH", "/v1/convai/settings", chosen
    agent = {"conversation_config": {}, "platform_settings": {"workspace_overrides": chosen}}
    name = "platform_settings.workspace_overrides.webhooks.post_call_webhook_id"
    yield name, "POST", "/v1/convai/agents/create", agent
    yield name, "PATCH", f"/v1/convai/agents/{two.theirs['agent_id']}", agent


def test_in_a_body_it_is_unknown(two: Two) -> None:
    tried = 0
    for param, method, path, body in in_bodies(two):
        response = two.stranger.request(method, path, json=body)
        assert response.status_code == 404, (method, path, body, response.text)
        assert response.json()["detail"]["param"] == param
        tried += 1
    assert tried == 15
    assert two.ours.server.rang("+493066661009") == 0


IN_FILTERS = [
    ("/v1/convai/batch-calling/workspace", "agent_id", "agent_id"),
    ("/v1/convai/conversations", "agent_id", "agent_id"),
    ("/v1/convai/conversations", "batch_call_id", "batch_id"),
    ("/v1/convai/conversations", "phone_number_ids", "phone_number_id"),
    ("/v1/voiceai/conversations", "agent_id", "agent_id"),
    ("/v1/voiceai/conversations", "batch_call_id", "batch_id"),
    ("/v1/voiceai/conversations", "phone_number_ids", "phone_number_id"),
    ("/v1/voiceai/conversations/export", "agent_id", "agent_id"),
    ("/v1/voiceai/conversations/export", "batch_call_id", "batch_id"),
    ("/v1/voiceai/conversations/export", "phone_number_ids", "phone_number_id"),
    ("/v1/voiceai/conversations/token", "agent_id", "agent_id"),
    ("/v1/convai/phone-numbers", "agent_id", "agent_id"),
    ("/v1/convai/whatsapp-accounts", "agent_id", "agent_id"),
]
NO_THING = {"user_id", "branch_id", "created_by_user_id"}
"""Filters by an id that names nothing in a workspace."""


def test_every_filter_by_an_id_is_tried(two: Two) -> None:
    described = answered(two.ours.http.get("/openapi.json"))["paths"]
    filters = {
        (path, parameter["name"])
        for path, methods in described.items()
        for parameter in methods.get("get", {}).get("parameters", ())
        if parameter["in"] == "query" and parameter["name"].endswith(("_id", "_ids"))
    }
    assert {one for one in filters if one[1] not in NO_THING} == {(path, name) for path, name, _ in IN_FILTERS}


def test_every_id_in_a_body_is_tried(two: Two) -> None:
    """Whatever in a body is called like an id, at any depth, but names that nobody looks up here."""
    described = answered(two.ours.http.get("/openapi.json"))
    parts = described["components"]["schemas"]
    found = {
        (method.upper(), path, name)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        for name in _ids(operation.get("requestBody", {}), parts)
    }
    tried = {
        (method, re.sub(r"(agents|phone-numbers)/(?!create)[^/]+", _as_described, path), param.rpartition(".")[2])
        for param, method, path, _ in in_bodies(two)
    }
    looked_up = {one for one in found if one not in NEVER_LOOKED_UP and one[2] not in NAMES_ONLY}
    assert len(looked_up) >= 10
    assert looked_up - tried == set()


NAMES_ONLY = {
    *NO_THING, "voice_id", "model_id", "tool_ids", "native_mcp_server_ids", "starting_workflow_node_id", "region_id",
    "auth_id", "whatsapp_user_id", "whatsapp_phone_number_id",
}  # fmt: skip
"""Ids of things that are elsewhere, or of none: they are kept or refused as they are."""
NEVER_LOOKED_UP = {
    ("POST", "/v1/convai/exotel/outbound-call", "agent_id"),
    ("POST", "/v1/convai/exotel/outbound-call", "agent_phone_number_id"),
    ("POST", "/v1/convai/whatsapp/outbound-call", "agent_id"),
}
"""Refused before anything is looked at."""


def _ids(part: Any, parts: dict[str, Any], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Names of properties that end like ids, in a description and all that it refers to."""
    if isinstance(part, list):
        for one in part:
            yield from _ids(one, parts, seen)
    elif isinstance(part, dict):
        yield from (name for name in part.get("properties", {}) if name.endswith(("_id", "_ids")))
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            yield from _ids(parts[name], parts, seen | {name})
        for one in part.values():
            yield from _ids(one, parts, seen)


def _as_described(found: re.Match[str]) -> str:
    return {"agents": "agents/{agent_id}", "phone-numbers": "phone-numbers/{phone_number_id}"}[found[1]]


@pytest.mark.parametrize(("path", "name", "thing"), IN_FILTERS)
def test_in_a_filter_it_is_unknown(two: Two, path: str, name: str, thing: str) -> None:
    ours = two.ours.http.get(path, params={name: two.names[thing]})
    assert ours.status_code == (400 if path.endswith("/token") else 200)
    foreign = two.stranger.get(path, params={name: two.names[thing]})
    assert (foreign.status_code, foreign.json()["detail"]["param"]) == (404, name), foreign.text
    assert two.stranger.get(path, params={name: "nobody"}).status_code == 404


def test_lists_show_nothing_of_others(two: Two) -> None:
    lists = [name.split(" ")[1] for name in ALL if name.startswith("GET") and "{" not in name and "health" not in name]
    assert len(lists) >= 8
    for path in lists:
        text = two.stranger.get(path).text
        assert not [one for one in two.names.values() if one in text], path
