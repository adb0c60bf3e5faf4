"""Our server through the network in a box as its SIP trunk: every ending of the table, by a batch and its retry."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.carrier import Carrier
from tests.support.server import Desk, Server, answered
from tests.support.sound import loud

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
    "0183": ["completed"],
    "4711": ["completed"],
}
"""By the last four digits: the outcome of each round in which they are dialled (providers.md section 3)."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carrier]:
    folder = tmp_path_factory.mktemp("network")
    options = ("--sip-port", "0", "--audio", str(folder))
    running = Carrier(folder / "network.log", 0.2, 0.5, options=options).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    settings = {"OUTDIAL_SIP_INTERFACE": "127.0.0.1", "OUTDIAL_SIP_REPLY_SECS": "1", "OUTDIAL_SIP_HORIZON_SECS": "0.5"}
    running = Server(folder, f"sqlite:///{folder}/o.db", settings=settings).start()
    yield running
    running.stop()


def desk_of(server: Server, network: Carrier, *, longest: int = 2) -> Desk:
    http = server.client()
    config = {
        "agent": {"first_message": "Hello {{name}}.", "language": "en"},
        "conversation": {"max_duration_seconds": longest},
    }
    agent = answered(http.post("/v1/convai/agents/create", json={"name": "Ada", "conversation_config": config}))
    number = {"provider": "sip_trunk", "phone_number": "+49305550100", "label": "trunk",
              "outbound_trunk_config": {"address": network.sip, "transport": "udp"}}  # fmt: skip
    made = answered(http.post("/v1/convai/phone-numbers", json=number))
    return Desk(server, http, agent["agent_id"], made["phone_number_id"])


def outcomes(batch: dict[str, Any]) -> dict[str, str]:
    return {one["phone_number"][-4:]: one["outcome"] for one in batch["recipients"]}


def transcript(desk: Desk, call_id: str) -> list[tuple[str, str]]:
    told = answered(desk.http.get(f"/v1/convai/conversations/{call_id}"))["transcript"]
    return [(line["role"], line["message"]) for line in told]


def test_every_ending_is_what_the_table_says_and_nobody_is_rung_twice_in_a_round(
    server: Server, network: Carrier
) -> None:
    desk = desk_of(server, network)
    limits = {"ringing_timeout_secs": 2}
    lost_id = desk.submit(["+49301230900"], telephony_call_config=limits)["id"]  # over last: it must be over first
    batch_id = desk.submit([f"+4930123{digits}" for digits in ROUNDS], telephony_call_config=limits)["id"]
    assert outcomes(desk.until_over(batch_id)) == {digits: rounds[0] for digits, rounds in ROUNDS.items()}
    answered(desk.http.post(desk.path(batch_id, "/retry")))
    assert outcomes(desk.until_over(batch_id)) == {digits: rounds[-1] for digits, rounds in ROUNDS.items()}
    assert outcomes(desk.until_over(lost_id)) == {"0900": "unknown"}
    dialled = [line for line in network.journal() if line["event"] == "dialled"]
    times = Counter(line["number"][-4:] for line in dialled)
    assert times == {"0900": 1, **{digits: len(rounds) for digits, rounds in ROUNDS.items()}}
    assert len({line["call_key"] for line in dialled}) == len(dialled)
    desk.http.close()


def test_the_agent_is_heard_at_the_far_end_and_the_person_by_the_agent(server: Server, network: Carrier) -> None:
    desk = desk_of(server, network)
    over = desk.until_over(desk.submit(["+493012345678"])["id"])
    call_id = over["recipients"][0]["conversation_id"]
    assert transcript(desk, call_id) == [("agent", "Hello ."), ("user", "[8]")]
    heard = network.log.with_name("493012345678-1.wav")
    assert loud(heard)
    (recording,) = server.folder.glob(f"recordings/*/{call_id.removeprefix('conv_')}.wav")
    assert loud(recording, channel=0)  # the person
    assert loud(recording, channel=1)  # the agent
    desk.http.close()


def test_a_machine_is_left_the_whole_message_behind_its_beep(server: Server, network: Carrier) -> None:
    desk = desk_of(server, network, longest=30)
    over = desk.until_over(desk.submit(["+4930999990301", "+4930999991301", "+4930999994711"])["id"])
    assert outcomes(over) == {"0301": "voicemail", "1301": "voicemail", "4711": "completed"}
    told = {one["phone_number"]: transcript(desk, one["conversation_id"]) for one in over["recipients"]}
    assert told["+4930999990301"] == [("agent", "Hello ."), ("agent", "Hello .")]
    assert told["+4930999994711"] == [("agent", "Hello ."), ("user", "[1]")]
    desk.http.close()
