"""Agents: who talks. The configuration is kept as it was given; only what limits calls is read here."""

from typing import Any

from outdial.domain.errors import Invalid
from outdial.ports.store import AgentRow, Store
from outdial.runtime.clock import Clock
from outdial.runtime.ids import new_public_id


async def create(
    store: Store,
    clock: Clock,
    workspace_id: int,
    *,
    name: str,
    conversation_config: dict[str, Any],
    platform_settings: dict[str, Any],
    workflow: dict[str, Any] | None = None,
    tags: tuple[str, ...] = (),
) -> AgentRow:
    """A new agent."""
    now = clock.now()
    agent = AgentRow(
        id=0,
        workspace_id=workspace_id,
        public_id=new_public_id("agent_"),
        name=name,
        conversation_config=conversation_config,
        platform_settings=platform_settings,
        workflow=workflow,
        tags=tags,
        created_at=now,
        updated_at=now,
        concurrency_limit=concurrency_limit(platform_settings),
    )
    return await store.create_agent(workspace_id, agent, now=now)


def concurrency_limit(platform_settings: dict[str, Any]) -> int | None:
    """How many calls at once this agent may have; None where the settings say -1 or nothing."""
    place = "platform_settings.call_limits.agent_concurrency_limit"
    limits = platform_settings.get("call_limits") or {}
    limit = limits.get("agent_concurrency_limit") if isinstance(limits, dict) else limits
    if limit is None or limit == -1:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit < 2**31:
        raise Invalid(f"{place} is a number from 1, or -1 for no limit", code="invalid_parameters", param=place)
    return limit
