"""Our server through the network in a box as its SIP trunk: every ending of the table, by a batch and its retry."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.carrier import Carrier
from tests.support.server import Desk, Server, answered

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = pytest.mark.sip

ROUNDS = {
    "0486": ["busy", "busy"],
    "0408": ["no_answer", "no_answer"],
    "0480": ["unreachable", "unreachable"],
    "0603": ["rejected", "rejected"],
    "0404": ["invalid_number"],
    "0503": ["network_error", "network_error"],
    "0607": ["blocked"],
    "1486": ["busy", "completed"],
    "1408": ["no_answer", "completed"],
    "1503": ["network_error", "completed"],
    "2486": ["busy", "busy"],
    "2408": ["no_answer", "no_answer"],
    "0901": ["completed"],
    "0902": ["completed"],
    "0903": ["completed"],
    "0904": ["completed"],
    "4711": ["completed"],
}
"""By the last four digits: the outcome of each round in which they are dialled (providers.md section 3)."""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Carrier]:
    options = ("--sip-port", "0", "--listen-secs", "0")
    running = Carrier(tmp_path / "network.log", 0.2, 0.3, options=options).start()
    yield running
    running.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    settings = {"OUTDIAL_SIP_INTERFACE": "127.0.0.1", "OUTDIAL_SIP_REPLY_SECS": "1"}
    running = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", settings=settings).start()
    yield running
    running.stop()


def desk_of(server: Server, network: Carrier) -> Desk:
    http = server.client()
    config = {"agent": {"first_message": "Hello {{name}}.", "language": "en"}}
    agent = answered(http.post("/v1/convai/agents/create", json={"name": "Ada", "conversation_config": config}))
    number = {"provider": "sip_trunk", "phone_number": "+49305550100", "label": "trunk",
              "outbound_trunk_config": {"address": network.sip, "transport": "udp"}}  # fmt: skip
    made = answered(http.post("/v1/convai/phone-numbers", json=number))
    return Desk(server, http, agent["agent_id"], made["phone_number_id"])


def outcomes(batch: dict[str, Any]) -> dict[str, str]:
    return {one["phone_number"][-4:]: one["outcome"] for one in batch["recipients"]}


def test_every_ending_is_what_the_table_says_and_nobody_is_rung_twice_in_a_round(
    server: Server, network: Carrier
) -> None:
    desk = desk_of(server, network)
    batch_id = desk.submit([f"+4930123{digits}" for digits in ROUNDS])["id"]
    assert outcomes(desk.until_over(batch_id)) == {digits: rounds[0] for digits, rounds in ROUNDS.items()}
    answered(desk.http.post(desk.path(batch_id, "/retry")))
    assert outcomes(desk.until_over(batch_id)) == {digits: rounds[-1] for digits, rounds in ROUNDS.items()}
    dialled = Counter(line["number"][-4:] for line in network.journal() if line["event"] == "dialled")
    assert dialled == {digits: len(rounds) for digits, rounds in ROUNDS.items()}
    keys = Counter(line["call_key"] for line in network.journal() if line["event"] == "dialled")
    assert set(keys.values()) == {1}
    desk.http.close()
