"""An order for a batch as somebody hands it in, whatever door it came through."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from outdial.ports.store import NewRecipient


@dataclass(frozen=True, slots=True)
class OrderHead:
    """Everything of an order but its people."""

    name: str
    agent_id: str
    number_id: str | None
    scheduled_at: float | None = None
    """Unix seconds; None: now."""
    timezone: str | None = None
    branch_id: str | None = None
    environment: str | None = None
    whatsapp_params: dict[str, Any] | None = None
    telephony_call_config: dict[str, Any] = field(default_factory=dict)
    target_concurrency_limit: int | None = None
    calling_hours: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A whole order: its head, and people whose numbers are canonical and whose ids are unique."""

    head: OrderHead
    people: Sequence[NewRecipient]
