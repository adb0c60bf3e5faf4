"""Holds a server to one published pair: the request as the page shows it, and what it says of the response."""

import json
from pathlib import Path
from typing import Any

from outdial.api import schema
from tests.support.server import Desk

THE_SUPERSET = {
    "id", "phone_number_id", "phone_provider", "whatsapp_params", "name", "agent_id", "branch_id", "environment",
    "created_at_unix", "scheduled_time_unix", "timezone", "total_calls_dispatched", "total_calls_scheduled",
    "total_calls_finished", "last_updated_at_unix", "status", "retry_count", "telephony_call_config",
    "target_concurrency_limit", "agent_name", "branch_name",
}  # fmt: skip
"""The 21 fields that the clients of both products know today."""
JSON_TYPES = {str: "string", int: "integer", bool: "boolean", dict: "object", list: "array", type(None): "null"}


def published(path: Path) -> dict[str, Any]:
    pair: dict[str, Any] = json.loads(path.read_text())
    return pair


def ask(desk: Desk, pair: dict[str, Any], batch_id: str) -> dict[str, Any]:
    """The published request as it stands: no body and no content type."""
    asked = pair["request"]
    path = asked["path"].format(batch_id=batch_id)
    with desk.server.client(**{asked["header"]: desk.server.key}) as client:
        response = client.request(asked["method"], path)
    assert response.status_code == pair["success"]
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    return answer


def check(pair: dict[str, Any], answer: dict[str, Any]) -> None:
    """Every published key is there, of a published type; what a client needs is never null."""
    assert answer.keys() >= pair["types"].keys() | THE_SUPERSET
    for name, types in pair["types"].items():
        assert JSON_TYPES[type(answer[name])] in types, name
    for name in (*pair["required"], *pair["never_null_for_todays_client"]):
        assert answer[name] is not None, name
    for name, words in pair["enums"].items():
        assert answer[name] in words
    schema.Batch.model_validate_json(json.dumps(answer), strict=True)
