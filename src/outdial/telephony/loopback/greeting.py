"""What the agent says first, as text: the network in a box has no audio."""

from collections.abc import Mapping
from typing import Any

MOST_SAID = 5_000
"""Characters: the network keeps fewer, and takes no order of more than 64 KiB."""


def greeting(agent: Mapping[str, Any]) -> str:
    """The agent's first message; its variables were put in when the order was made, and are not looked for again."""
    said = agent
    for name in ("conversation_config", "agent"):
        inner = said.get(name)
        said = inner if isinstance(inner, Mapping) else {}
    text = said.get("first_message")
    return text[:MOST_SAID] if isinstance(text, str) else ""
