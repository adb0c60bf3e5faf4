"""What the agent says first, as text: the network in a box has no audio."""

import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


def greeting(agent: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    """The agent's first message with its variables put in; one that nobody gave is empty."""
    said = agent
    for name in ("conversation_config", "agent"):
        inner = said.get(name)
        said = inner if isinstance(inner, Mapping) else {}
    text = said.get("first_message")
    return _VARIABLE.sub(lambda found: _words(variables.get(found[1])), text) if isinstance(text, str) else ""


def _words(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case _:
            return str(value)
