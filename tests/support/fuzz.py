"""Requests of every kind that the interface's description allows, and some that it does not: none may break the server.

Each operation gets things of its own that exist: with chance names alone, nothing behind a 404 would ever be reached.
"""

from dataclasses import dataclass
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from tests.support.server import Server, answered, open_desk

LATER = 4_000_000_000


@dataclass
class Fuzz:
    """Sends requests to one server."""

    server: Server
    schema: Any
    sent: int = 0

    @classmethod
    def of(cls, server: Server) -> "Fuzz":
        with httpx.Client(base_url=server.url) as nobody:
            described = nobody.get("/openapi.json").json()
        return cls(server, schemathesis.openapi.from_dict(described))

    def operations(self) -> dict[str, Any]:
        found = (result.ok() for result in self.schema.get_all_operations())
        return {f"{one.method.upper()} {one.path}": one for one in found}

    def run(self, name: str, *, requests: int, derandomize: bool) -> dict[int, int]:
        """Send so many of one operation; how many got which status. Fails on the first 5xx."""
        real = things(self.server)
        statuses: dict[int, int] = {}
        operation = self.operations()[name]
        with httpx.Client(base_url=self.server.url, headers={"xi-api-key": self.server.key}, timeout=30) as http:

            @settings(
                max_examples=requests,
                derandomize=derandomize,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=kinds(operation), chance=st.randoms(use_true_random=False))
            def send(case: Any, chance: Any) -> None:
                with_real_names(case, real, chance)
                response = http.request(**as_sent(case))
                statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
                assert response.status_code < 500, (response.status_code, response.text, as_sent(case))

            send()
        self.sent += sum(statuses.values())
        return statuses


def kinds(operation: Any) -> Any:
    """What the description allows; and what it does not, where it says enough to be contradicted."""
    allowed = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.body or operation.query):
        return allowed
    return st.one_of(allowed, allowed, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def things(server: Server) -> dict[str, str]:
    """One of each, by the name of its parameter."""
    desk = open_desk(server)
    batch = desk.submit(["+493099990001"], scheduled_time_unix=LATER)["id"]
    placed = desk.http.post(
        "/v1/voiceai/outbound-call",
        json={"agent_id": desk.agent_id, "phone_number_id": desk.number_id, "to_phone_number": "+493099990002"},
    )
    hook = desk.http.post(
        "/v1/workspace/webhooks", json={"settings": {"name": "fuzz", "webhook_url": "https://example.com/"}}
    )
    desk.http.close()
    found = {
        "agent_id": desk.agent_id,
        "batch_id": batch,
        "batch_call_id": batch,
        "phone_number_id": desk.number_id,
        "agent_phone_number_id": desk.number_id,
        "phone_number_ids": desk.number_id,
        "conversation_id": answered(placed)["conversation_id"],
        "to_number": "+493099990003",
        "phone_number": "+493099990004",
        "webhook_url": "https://example.com/hook",
        "address": "sip.example.com",
        "timezone": "Europe/Berlin",
        "to_phone_number": "+493099990003",
    }
    if hook.status_code == 200:
        found["webhook_id"] = found["post_call_webhook_id"] = hook.json()["webhook_id"]
    return found


def with_real_names(case: Any, real: dict[str, str], chance: Any) -> None:
    """In half of the requests everything that is named exists."""
    if chance.random() < 0.5:
        return
    for part in (case.path_parameters, case.query):
        for name in list(part or ()):
            if name in real:
                part[name] = real[name]
    if isinstance(case.body, dict):
        case.body = filled(case.body, real)


def filled(body: Any, real: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {
            name: real[name] if name in real else filled(value, real)
            for name, value in body.items()
            if name not in {"scheduled_time_unix", "whatsapp_params", "whatsapp_user_id", "calling_hours"}
        } | ({"scheduled_time_unix": LATER} if "recipients" in body else {})
    return [filled(one, real) for one in body] if isinstance(body, list) else body


def as_sent(case: Any) -> dict[str, Any]:
    """For httpx; the key is the client's."""
    sent = case.as_transport_kwargs(base_url="http://outdial")
    kept = {name: sent[name] for name in ("method", "url", "params", "json", "data", "cookies") if sent.get(name)}
    if "json" in sent:
        kept["json"] = sent["json"]
    kept["url"] = kept["url"].removeprefix("http://outdial") or "/"
    if isinstance(kept.get("data"), bytes | str):
        kept["content"] = kept.pop("data")
    kept.pop("cookies", None)
    return kept
