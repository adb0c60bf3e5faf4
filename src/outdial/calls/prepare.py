"""From what was claimed to the order for one call: pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from outdial.calls.callback_keys import CallbackKeys
from outdial.domain.bounds import LARGEST_DATA
from outdial.domain.plain import portable
from outdial.domain.window import CallingHours
from outdial.ports.lines import CallOrder
from outdial.ports.store import AgentRow, BatchRow, Claimed, NodeLease, NumberRow
from outdial.runtime.ids import conversation_id

RING_SECS = 60
"""How long a phone rings unless the batch says otherwise (`telephony_call_config.ringing_timeout_secs`, 1 to 999)."""
TALK_SECS = 600
"""The longest call unless the agent says otherwise (`conversation.max_duration_seconds`)."""
RESERVED = "system__"
"""Variables that begin so are ours to set."""

MOST_WARNINGS = 20
"""Of one order: each is a line in the log."""
MOST_INSERTED = LARGEST_DATA
"""Characters that variables may add to one text: a long one that is named a thousand times would fill the memory."""

_VARIABLE = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_RENDERED = (
    ("agent", "first_message"),
    ("agent", "prompt", "prompt"),
    ("agent", "prompt", "built_in_tools", "voicemail_detection", "params", "voicemail_message"),
)
"""Texts of the conversation config in which variables stand."""


@dataclass(frozen=True, slots=True)
class Hand:
    """One claimed call with everything that it needs."""

    lease: NodeLease
    """Under which it was claimed; GO asks for this one, whatever epoch the node has by then."""
    claimed: Claimed
    batch: BatchRow
    agent: AgentRow
    number: NumberRow
    hours: CallingHours | None = None
    zones: frozenset[str] = frozenset()
    """Candidate zones of the recipient's window class."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order that lacks only its send deadline, and what is wrong with it."""

    order: CallOrder
    warnings: tuple[str, ...]
    """Names of variables and paths of overrides; never their values."""


def prepare(hand: Hand, *, keys: CallbackKeys, public_url: str, now: float) -> Prepared:
    """The order for one call; `now` is unix seconds, told to the agent."""
    claimed = hand.claimed
    data = claimed.client_data
    config, refused = overridden(hand.agent, _mapping(data.get("conversation_config_override")))
    variables, reserved = _variables(hand, config, _mapping(data.get("dynamic_variables")), now)
    config, missing = _rendered(config, variables)
    order = CallOrder(
        call_key=claimed.call_key,
        number=claimed.number,
        caller=hand.number.phone_number,
        provider=hand.number.provider,
        trunk=hand.number.settings,
        agent={
            "id": hand.agent.public_id,
            "name": hand.agent.name,
            "conversation_config": config,
            "platform_settings": hand.agent.platform_settings,
            "workflow": hand.agent.workflow,
        },
        variables=variables,
        ring_secs=ring_secs(hand.batch.telephony_call_config),
        talk_secs=_seconds(_mapping(config.get("conversation")).get("max_duration_seconds"), TALK_SECS),
        send_by=0.0,
        callback_url=keys.url(public_url, hand.number.provider, claimed.call_key),
        callback_secret=keys.secret(claimed.call_key),
        extra=_extra(hand),
    )
    return Prepared(order, (*refused, *reserved, *missing)[:MOST_WARNINGS])


def ring_secs(telephony_call_config: Mapping[str, Any]) -> float:
    """The ring limit in seconds."""
    return min(_seconds(telephony_call_config.get("ringing_timeout_secs"), RING_SECS), 999.0)


# --- overrides -----------------------------------------------------------------------------------------------------


def overridden(agent: AgentRow, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The agent's conversation config with what the recipient may override, and a warning for each leaf it may not."""
    if not wanted:
        return agent.conversation_config, []
    settings = _mapping(agent.platform_settings.get("overrides"))
    allowed = _mapping(settings.get("conversation_config_override"))
    refused: list[str] = []
    return _overlaid(agent.conversation_config, wanted, allowed, "", refused), refused


def _overlaid(
    config: Mapping[str, Any], wanted: Mapping[str, Any], allowed: object, path: str, refused: list[str]
) -> dict[str, Any]:
    """The config with the wanted leaves; what is not touched is shared, not copied. `allowed`: a tree of truths."""
    result = dict(config)
    for name, value in wanted.items():
        here = f"{path}.{name}" if path else name
        may = allowed is True or (allowed.get(name) if isinstance(allowed, Mapping) else None)
        if value is None:
            continue
        if isinstance(value, Mapping) and value:
            result[name] = _overlaid(_mapping(config.get(name)), value, may, here, refused)
        elif may is True:
            result[name] = portable(value)
        else:
            refused.append(f"override {here[:200]} is not allowed by the agent")
    return result


# --- variables -----------------------------------------------------------------------------------------------------


def _variables(
    hand: Hand, config: Mapping[str, Any], given: Mapping[str, Any], now: float
) -> tuple[dict[str, Any], list[str]]:
    """The recipient's value, else the agent's placeholder; and ours, which nobody can set."""
    declared = _mapping(_mapping(config.get("agent")).get("dynamic_variables"))
    placeholders = _mapping(declared.get("dynamic_variable_placeholders"))
    warnings = [f"variable {name[:64]} is reserved" for name in given if name.startswith(RESERVED)]
    theirs = {**placeholders, **{name: portable(value) for name, value in given.items() if value is not None}}
    plain = {name: value for name, value in theirs.items() if not name.startswith(RESERVED)}
    return {**plain, **_ours(hand, now)}, warnings


def _ours(hand: Hand, now: float) -> dict[str, Any]:
    time_utc, time_words = _said(int(now))
    return {
        "system__agent_id": hand.agent.public_id,
        "system__current_agent_id": hand.agent.public_id,
        "system__caller_id": hand.number.phone_number,
        "system__called_number": hand.claimed.number,
        "system__call_duration_secs": 0,
        "system__time_utc": time_utc,
        "system__time": time_words,
        "system__conversation_id": conversation_id(hand.claimed.call_key),
        "system__call_sid": hand.claimed.call_key,
        "system__round": hand.claimed.round,
        "system__earlier_attempts": hand.claimed.attempts_before,
    }


@lru_cache(maxsize=4)
def _said(now: int) -> tuple[str, str]:
    """The time as text, twice; once a second is enough for all calls of it."""
    utc = datetime.fromtimestamp(now, UTC)
    return utc.isoformat(timespec="seconds"), utc.strftime("%A, %H:%M %d %B %Y UTC")


def _rendered(config: dict[str, Any], variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The config with its texts rendered; a variable that nobody set is empty, with a warning."""
    warnings: list[str] = []
    for path in _RENDERED:
        text = _at(config, path)
        if isinstance(text, str) and "{{" in text:
            config = _with(config, path, render(text, variables, warnings))
    return config, list(dict.fromkeys(warnings))


def render(text: str, variables: Mapping[str, Any], warnings: list[str]) -> str:
    """The text with each `{{name}}` replaced by its value; one without, or beyond MOST_INSERTED, is left empty."""
    left = MOST_INSERTED

    def value(found: re.Match[str]) -> str:
        nonlocal left
        name = found[1]
        if name not in variables:
            warnings.append(f"variable {name[:64]} has no value")
            return ""
        given = variables[name]
        words = str(given).lower() if isinstance(given, bool) else str(given)
        if len(words) > left:
            warnings.append(f"variable {name[:64]} makes a text too long")
            return ""
        left -= len(words)
        return words

    return _VARIABLE.sub(value, text)


# --- odds and ends -------------------------------------------------------------------------------------------------


def _extra(hand: Hand) -> dict[str, Any]:
    extra = dict(hand.batch.telephony_call_config)
    if hand.batch.whatsapp_params:
        extra["whatsapp_params"] = hand.batch.whatsapp_params
    return extra


def _mapping(value: object) -> Mapping[str, Any]:
    # dict first: asking for Mapping costs ten times as much, and nearly all are dicts
    return value if isinstance(value, dict) or isinstance(value, Mapping) else {}  # noqa: SIM101


def _seconds(value: object, otherwise: float) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return float(value) if usable and isinstance(value, int | float) else float(otherwise)


def _at(config: object, path: tuple[str, ...]) -> object:
    for name in path:
        config = _mapping(config).get(name)
    return config


def _with(config: Mapping[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A copy along the path."""
    name, *rest = path
    inner = _with(_mapping(config.get(name)), tuple(rest), value) if rest else value
    return {**config, name: inner}
