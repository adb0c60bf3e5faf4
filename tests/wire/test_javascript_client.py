"""Every call of the official JavaScript client, as it is, against a real server on each engine.

This client is strict: an answer in which a required key is missing or null is an error to it. What it read comes back
as JSON lines from `javascript/driver.mjs`.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import javascript
from tests.support.server import Server, answered, open_desk
from tests.wire.addresses import Request, addresses, published

DRIVER = Path(__file__).parent / "javascript/driver.mjs"
DRIVE_SECS = 90
CALLS_AT_LEAST = 70
RECORDING = "not music, but bytes"

pytestmark = pytest.mark.timeout(javascript.TIMEOUT)

REFUSED: dict[str, tuple[str, int, str]] = {
    "agents.get gone": ("ElevenLabsError", 404, "agent_not_found"),
    "phoneNumbers.get gone": ("ElevenLabsError", 404, "phone_number_not_found"),
    "batchCalls.get gone": ("ElevenLabsError", 404, "batch_not_found"),
    "batchCalls.create of nobody": ("UnprocessableEntityError", 422, "too_short"),
    "batchCalls.create unknown agent": ("ElevenLabsError", 404, "agent_not_found"),
    "batchCalls.create by WhatsApp": ("ElevenLabsError", 400, "whatsapp_not_available"),
    "batchCalls.list wrong key": ("ElevenLabsError", 401, "invalid_api_key"),
    "exotel.outboundCall": ("ElevenLabsError", 400, "provider_not_available"),
    "whatsapp.outboundCall": ("ElevenLabsError", 400, "whatsapp_not_available"),
    "conversations.audio.get none": ("ElevenLabsError", 404, "recording_not_found"),
    "conversations.get gone": ("ElevenLabsError", 404, "conversation_not_found"),
    "whatsappAccounts.get": ("ElevenLabsError", 404, "whatsapp_account_not_found"),
    "whatsappAccounts.update": ("ElevenLabsError", 404, "whatsapp_account_not_found"),
    "whatsappAccounts.delete": ("ElevenLabsError", 404, "whatsapp_account_not_found"),
}
"""What is to be refused: the class of the client's error, its status, its code (a 422: the type of its first place)."""


@dataclass
class Driven:
    """What the client was told, call by call."""

    server: Server
    number_id: str
    description: dict[str, Any]
    lines: dict[str, dict[str, Any]]

    def read(self, call: str) -> Any:
        assert "answer" in self.lines[call], self.lines[call]
        return self.lines[call]["answer"]


@pytest.fixture(scope="module")
def driven(server: Server) -> Driven:
    """The whole walk, once for each engine."""
    program, client = javascript.node(), javascript.client()
    desk = open_desk(server)
    recorded = desk.until_over(desk.submit(["+493066295000"])["id"])["recipients"][0]["conversation_id"]
    server.record(recorded, RECORDING.encode())
    ours = {
        "OUTDIAL_CLIENT": str(client),
        "OUTDIAL_URL": server.url,
        "OUTDIAL_API_KEY": server.key,
        "OUTDIAL_NUMBER_ID": desk.number_id,
        "OUTDIAL_RECORDED": recorded,
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ELEVENLABS_", "NODE_"))}
    done = subprocess.run(
        [program, DRIVER], env={**inherited, **ours}, capture_output=True, text=True, timeout=DRIVE_SECS, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len({one["call"] for one in lines}) >= CALLS_AT_LEAST
    description = answered(desk.http.get("/openapi.json"))
    desk.http.close()
    return Driven(server, desk.number_id, description, {one["call"]: one for one in lines})


def test_the_strict_client_reads_every_answer(driven: Driven) -> None:
    errors = {call: line["error"] for call, line in driven.lines.items() if "error" in line}
    assert {call: error["message"] for call, error in errors.items() if call not in REFUSED} == {}


@pytest.mark.parametrize("call", REFUSED)
def test_refusals_are_the_client_s_own_errors(driven: Driven, call: str) -> None:
    error = driven.lines[call]["error"]
    detail = error["body"]["detail"]
    code = detail["code"] if isinstance(detail, dict) else detail[0]["type"]
    assert (error["name"], error["status"], code) == REFUSED[call]
    assert len(driven.lines[call]["requests"]) == 1, "what is final is not sent again"


def test_no_published_address_was_left_out(driven: Driven) -> None:
    requests: list[Request] = [(method, path) for line in driven.lines.values() for method, path in line["requests"]]
    assert published(driven.description) - addresses(driven.description, requests) == set()


def test_the_way_of_a_batch(driven: Driven) -> None:
    made = driven.read("batchCalls.create")
    assert (made["name"], made["phoneNumberId"], made["retryCount"]) == ("by JS", driven.number_id, 0)
    statuses = [one["status"] for one in driven.read("batchCalls.get")["recipients"]]
    assert statuses == ["completed", "failed", "failed"]
    assert driven.read("batchCalls.retry")["retryCount"] == 1
    over = driven.read("batchCalls.get after retry")
    assert [one["status"] for one in over["recipients"]] == ["completed", "completed", "failed"]
    ada = over["recipients"][0]
    assert ada["id"] == "ada"
    assert ada["conversationInitiationClientData"]["dynamicVariables"] == {"name": "Ada", "age": 36, "member": True}
    assert driven.read("batchCalls.cancel over")["status"] == "completed"
    assert len(driven.read("batchCalls.export").splitlines()) == 4
    assert len(driven.read("batchCalls.export limited").splitlines()) == 2
    assert (driven.server.rang("+493066215000"), driven.server.rang("+493066211486")) == (1, 2)
    assert driven.server.rang("+493066225000") == 0


def test_every_field_of_a_batch_comes_back(driven: Driven) -> None:
    later = driven.read("batchCalls.get later")
    told = {name: later[name] for name in ("scheduledTimeUnix", "timezone", "branchId", "environment")}
    assert told == {
        "scheduledTimeUnix": 4_000_000_000,
        "timezone": "Europe/Berlin",
        "branchId": "branch",
        "environment": "production",
    }
    assert later["targetConcurrencyLimit"] == 2
    assert later["telephonyCallConfig"] == {"ringingTimeoutSecs": 45, "twilioCallRecordingEnabled": True}
    first, second = driven.read("batchCalls.list page 1"), driven.read("batchCalls.list page 2")
    assert [one["name"] for one in (*first["batchCalls"], *second["batchCalls"])] == ["later by JS", "by JS"]
    assert (first["hasMore"], second["hasMore"]) == (True, False)
    assert driven.read("batchCalls.cancel")["status"] == "cancelled"


def test_agents_and_numbers_come_back(driven: Driven) -> None:
    agent = driven.read("agents.get")
    assert agent["conversationConfig"]["agent"]["firstMessage"] == "Hello {{name}}"
    assert agent["conversationConfig"]["tts"]["similarityBoost"] == 0.7
    assert agent["platformSettings"]["callLimits"]["agentConcurrencyLimit"] == 5
    changed = driven.read("agents.update")
    assert changed["conversationConfig"]["agent"]["firstMessage"] == "Good day {{name}}"
    assert (changed["conversationConfig"]["agent"]["language"], changed["tags"]) == ("de", ["js", "new"])
    assert [one["name"] for one in driven.read("agents.list")["agents"]] == ["Ada by JS"]
    assert {one["provider"] for one in driven.read("agents.get with numbers")["phoneNumbers"]} == {
        "loopback",
        "sip_trunk",
    }
    trunk = driven.read("phoneNumbers.get sip")
    assert (trunk["outboundTrunk"]["address"], trunk["outboundTrunk"]["transport"]) == ("sip.example.com", "tls")
    assert driven.read("phoneNumbers.update sip")["livekitStack"] == "static"
    assert {"loopback", "sip_trunk", "twilio"} <= {one["provider"] for one in driven.read("phoneNumbers.list")}
    assert "hunter22" not in json.dumps([one for one in driven.lines.values() if one["call"].startswith("phone")])


def test_conversations_come_back(driven: Driven) -> None:
    talk = driven.read("conversations.get")
    assert (talk["status"], talk["metadata"]["batchCall"]["batchCallRecipientId"]) == ("done", "ada")
    assert [said["role"] for said in talk["transcript"]][:1] == ["agent"]
    assert driven.read("conversations.get unanswered")["metadata"]["error"]["code"] == 404
    assert [one["conversationId"] for one in driven.read("conversations.list")["conversations"]] == [
        talk["conversationId"]
    ]
    assert driven.read("conversations.get afterwards")["status"] == "done", "it outlives its batch"
    assert driven.read("conversations.get recorded")["hasAudio"]
    assert driven.read("conversations.audio.get") == RECORDING
    for call in ("twilio.outboundCall", "sipTrunk.outboundCall"):
        placed = driven.read(call)
        assert placed["success"], placed
        assert placed["conversationId"].startswith("conv_")


def test_the_workspace_comes_back(driven: Driven) -> None:
    hook = driven.read("webhooks.create")
    assert hook["webhookSecret"].startswith("wsec_")
    assert driven.read("settings.update")["webhooks"]["postCallWebhookId"] == hook["webhookId"]
    listed = [one for one in driven.read("webhooks.list")["webhooks"] if one["webhookId"] == hook["webhookId"]]
    assert [one["usage"] for one in listed] == [[{"usageType": "ConvAI Settings"}]]
    assert driven.read("whatsappAccounts.list") == {"items": []}
    assert driven.read("batchCalls.list by environment")["batchCalls"]
