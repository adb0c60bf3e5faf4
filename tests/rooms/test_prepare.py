"""From a claim to an order: limits, overrides, variables, and the keys of callbacks. Pure."""

from dataclasses import replace
from typing import Any

import pytest

from outdial.calls.callback_keys import CallbackKeys
from outdial.calls.prepare import MOST_INSERTED, MOST_WARNINGS, Hand, Prepared, overridden, prepare, render, ring_secs
from outdial.domain.batch import BatchStatus, Counters
from outdial.ports.store import BatchRow, Claimed, NodeLease
from tests.support.world import NOW, agent_row, number_row

KEYS = CallbackKeys(b"a secret of thirty-two characters")
CLAIMED = Claimed("01a20338-c63b-76b0-8df9-20dbbc917766", 1, 0, "r0", "+15551234567", 2, 0, {}, 0, 0, 3)
BATCH = BatchRow(
    id=1,
    workspace_id=1,
    public_id="btcal_1",
    name="b",
    agent_id=1,
    agent_public_id="agent_1",
    agent_name="Ada",
    number_id=1,
    number_public_id="phnum_1",
    provider="loopback",
    status=BatchStatus.IN_PROGRESS,
    status_reason="",
    counters=Counters(1, 1, 0),
    retry_count=0,
    created_at=NOW,
    scheduled_at=NOW,
    updated_at=NOW,
    timezone=None,
    branch_id=None,
    environment=None,
    whatsapp_params=None,
    telephony_call_config={},
    target_concurrency_limit=None,
    calling_hours=None,
    paused=False,
    generation=0,
    last_decision=0,
)


def hand(
    *,
    config: dict[str, Any] | None = None,
    allowed: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    telephony: dict[str, Any] | None = None,
) -> Hand:
    agent = agent_row(
        public_id="agent_1",
        conversation_config=config or {},
        platform_settings={"overrides": {"conversation_config_override": allowed or {}}},
    )
    claimed = replace(CLAIMED, client_data=data or {})
    batch = replace(BATCH, telephony_call_config=telephony or {})
    return Hand(NodeLease("a", 1), claimed, batch, agent, number_row(settings={"sid": "x"}))


def prepared(**changes: Any) -> Prepared:
    return prepare(hand(**changes), keys=KEYS, public_url="https://calls.example.org/", now=NOW)


def test_the_defaults_are_the_published_ones() -> None:
    order = prepared().order
    assert (order.ring_secs, order.talk_secs) == (60, 600)
    assert (order.number, order.caller, order.trunk) == ("+15551234567", "+15550001000", {"sid": "x"})
    assert prepared().warnings == ()


@pytest.mark.parametrize(
    ("told", "secs"), [(None, 60), (1, 1), (999, 999), (5000, 999), (0, 60), (-3, 60), ("20", 60), (True, 60)]
)
def test_ring_limit(told: object, secs: float) -> None:
    assert ring_secs({"ringing_timeout_secs": told}) == secs


def test_the_longest_call_is_the_agent_s_and_may_be_overridden_where_allowed() -> None:
    config = {"conversation": {"max_duration_seconds": 90}}
    data = {"conversation_config_override": {"conversation": {"max_duration_seconds": 30}}}
    assert prepared(config=config).order.talk_secs == 90
    assert prepared(config=config, data=data).order.talk_secs == 90
    allowed = {"conversation": {"max_duration_seconds": True}}
    assert prepared(config=config, data=data, allowed=allowed).order.talk_secs == 30


def test_only_what_the_agent_allows_is_overridden() -> None:
    config = {"agent": {"first_message": "Hi", "language": "en", "prompt": {"prompt": "P", "llm": "small"}}, "tts": {}}
    wanted = {
        "agent": {"first_message": "Hola", "language": "es", "prompt": {"prompt": "Q", "llm": "big"}},
        "tts": {"voice_id": "v2", "speed": None},
    }
    allowed = {
        "agent": {"first_message": True, "language": False, "prompt": {"prompt": True}},
        "tts": {"voice_id": True},
    }
    given = hand(config=config, allowed=allowed)
    result, refused = overridden(given.agent, wanted)
    assert result["agent"] == {"first_message": "Hola", "language": "en", "prompt": {"prompt": "Q", "llm": "small"}}
    assert result["tts"] == {"voice_id": "v2"}
    assert refused == [
        "override agent.language is not allowed by the agent",
        "override agent.prompt.llm is not allowed by the agent",
    ]
    assert config["agent"]["first_message"] == "Hi"  # the agent itself is untouched


def test_a_whole_branch_can_be_allowed() -> None:
    given = hand(config={}, allowed={"agent": True})
    assert overridden(given.agent, {"agent": {"prompt": {"prompt": "Q"}}}) == (
        {"agent": {"prompt": {"prompt": "Q"}}},
        [],
    )


@pytest.mark.parametrize("odd", [None, [], "text", 7, {"agent": None}, {"agent": "text"}])
def test_odd_overrides_change_nothing_and_raise_nothing(odd: object) -> None:
    config = {"agent": {"first_message": "Hi"}}
    order = prepared(config=config, data={"conversation_config_override": odd}).order
    assert order.agent["conversation_config"] == config


def test_variables_are_the_recipient_s_else_the_placeholder_else_empty() -> None:
    config = {
        "agent": {
            "first_message": "Hi {{name}}, {{ city }}{{nothing}} {{vip}} {{n}}",
            "dynamic_variables": {"dynamic_variable_placeholders": {"name": "friend", "city": "Bonn"}},
        }
    }
    data = {"dynamic_variables": {"name": "Ann", "city": None, "vip": True, "n": 4.5}}
    result = prepared(config=config, data=data)
    assert result.order.agent["conversation_config"]["agent"]["first_message"] == "Hi Ann, Bonn true 4.5"
    assert result.order.variables["city"] == "Bonn"
    assert result.warnings == ("variable nothing has no value",)


def test_reserved_variables_are_ours() -> None:
    data = {"dynamic_variables": {"system__called_number": "+1", "system__own": 1}}
    result = prepared(data=data)
    variables = result.order.variables
    assert variables["system__called_number"] == "+15551234567"
    assert variables["system__caller_id"] == "+15550001000"
    assert variables["system__conversation_id"] == "conv_01a20338c63b76b08df920dbbc917766"
    assert variables["system__agent_id"] == variables["system__current_agent_id"] == "agent_1"
    assert variables["system__time_utc"] == "2027-01-15T08:00:00+00:00"
    assert (variables["system__round"], variables["system__earlier_attempts"]) == (2, 3)
    assert "system__own" not in variables
    assert len(result.warnings) == 2


def test_a_value_with_braces_is_not_rendered_again() -> None:
    warnings: list[str] = []
    assert render("{{a}}", {"a": "{{b}}", "b": "no"}, warnings) == "{{b}}"
    assert warnings == []


def test_variables_add_no_more_to_a_text_than_they_may() -> None:
    warnings: list[str] = []
    long = "x" * (MOST_INSERTED // 4)
    text = render("{{long}}-" * 1_000 + "{{short}}", {"long": long, "short": "y"}, warnings)
    assert text == f"{long}-" * 4 + "-" * 996
    assert set(warnings) == {"variable long makes a text too long", "variable short makes a text too long"}


def test_an_order_with_many_gaps_tells_a_few_of_them() -> None:
    wanted = {"agent": {f"a{n}": n for n in range(5_000)}}
    variables = {f"system__{n}": n for n in range(1_000)}
    result = prepared(data={"conversation_config_override": wanted, "dynamic_variables": variables})
    assert len(result.warnings) == MOST_WARNINGS


def test_callback_keys_are_the_call_s_own_and_always_the_same() -> None:
    one, other = "call-1", "call-2"
    again = CallbackKeys(b"a secret of thirty-two characters")
    assert KEYS.token(one) == again.token(one) != KEYS.token(other)
    assert KEYS.secret(one) == again.secret(one) != KEYS.secret(other)
    assert KEYS.token(one) not in KEYS.secret(one)
    assert KEYS.knows(one, KEYS.token(one))
    assert not KEYS.knows(other, KEYS.token(one))
    assert not KEYS.knows(one, "")
    assert not KEYS.knows(one, "é")
    assert CallbackKeys(b"another secret of thirty-two char").token(one) != KEYS.token(one)
    assert KEYS.url("https://x/", "loopback", one) == f"https://x/callbacks/loopback/{one}/{KEYS.token(one)}"
