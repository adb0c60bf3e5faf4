"""Agents: who talks. The configuration is kept as it was given; only what limits calls is read here."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from outdial.domain.errors import Invalid, named
from outdial.domain.merge import merged
from outdial.ports.store import AgentRow, Store
from outdial.runtime.clock import Clock
from outdial.runtime.ids import new_public_id

LARGEST = 2 * 1024 * 1024
"""Bytes of JSON: an agent travels with each of its calls, and many small changes make a large one too."""


@dataclass(frozen=True, slots=True)
class AgentChange:
    """What of an agent is to be another; None: as it is."""

    name: str | None = None
    conversation_config: dict[str, Any] | None = None
    """Only what changes; so the settings."""
    platform_settings: dict[str, Any] | None = None
    workflow: dict[str, Any] | None = None
    tags: tuple[str, ...] | None = None


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
    """A new agent; NotFound for a webhook of somebody else."""
    await _check_webhook(store, workspace_id, platform_settings)
    return await _kept(
        store,
        clock,
        workspace_id,
        name=name,
        conversation_config=conversation_config,
        platform_settings=platform_settings,
        workflow=workflow,
        tags=tags,
    )


async def _kept(
    store: Store,
    clock: Clock,
    workspace_id: int,
    *,
    name: str,
    conversation_config: dict[str, Any],
    platform_settings: dict[str, Any],
    workflow: dict[str, Any] | None,
    tags: tuple[str, ...],
) -> AgentRow:
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
        daily_limit=daily_limit(platform_settings),
    )
    return await store.create_agent(workspace_id, agent, now=now)


async def change(store: Store, clock: Clock, workspace_id: int, agent_id: str, wanted: AgentChange) -> AgentRow:
    """The agent as it is from now on, also for batches that are running; NotFound for a webhook of somebody else."""
    if (webhook_id := _webhook(wanted.platform_settings or {})) is not None:
        before = await store.agent(workspace_id, agent_id)
        if webhook_id != _webhook(before.platform_settings):  # one that went meanwhile may be sent back as it was read
            await _check_webhook(store, workspace_id, wanted.platform_settings or {})
    return await store.change_agent(workspace_id, agent_id, lambda before: changed(before, wanted), now=clock.now())


def changed(before: AgentRow, wanted: AgentChange) -> AgentRow:
    """The agent with what is wanted of it."""
    settings = merged(before.platform_settings, wanted.platform_settings or {})
    after = replace(
        before,
        name=before.name if wanted.name is None else wanted.name,
        conversation_config=merged(before.conversation_config, wanted.conversation_config or {}),
        platform_settings=settings,
        workflow=before.workflow if wanted.workflow is None else wanted.workflow,
        tags=before.tags if wanted.tags is None else wanted.tags,
        concurrency_limit=concurrency_limit(settings),
        daily_limit=daily_limit(settings),
    )
    if len(msgspec.json.encode((after.conversation_config, after.platform_settings, after.workflow))) > LARGEST:
        raise Invalid(f"an agent has at most {LARGEST} bytes", code="request_too_large")
    return after


async def duplicate(store: Store, clock: Clock, workspace_id: int, agent_id: str, name: str | None) -> AgentRow:
    """Another agent that is like this one."""
    model = await store.agent(workspace_id, agent_id)
    return await _kept(
        store,
        clock,
        workspace_id,
        name=name or f"{model.name} (copy)",
        conversation_config=model.conversation_config,
        platform_settings=model.platform_settings,
        workflow=model.workflow,
        tags=model.tags,
    )


async def _check_webhook(store: Store, workspace_id: int, platform_settings: dict[str, Any]) -> None:
    if (webhook_id := _webhook(platform_settings)) is not None:
        with named("platform_settings.workspace_overrides.webhooks.post_call_webhook_id"):
            await store.webhook(workspace_id, str(webhook_id))


def _webhook(platform_settings: dict[str, Any]) -> object:
    """The webhook that this agent's calls are told to, instead of the workspace's."""
    overrides = platform_settings.get("workspace_overrides") or {}
    chosen = overrides.get("webhooks")
    return chosen.get("post_call_webhook_id") if isinstance(chosen, dict) else None


def concurrency_limit(platform_settings: dict[str, Any]) -> int | None:
    """How many calls at once this agent may have; None where the settings say -1 or nothing."""
    return _limit(platform_settings, "agent_concurrency_limit", least=1, most=2**31 - 1)


def daily_limit(platform_settings: dict[str, Any]) -> int | None:
    """How many calls this agent may place a day; None where the settings say -1 or nothing, 0: nobody is called."""
    return _limit(platform_settings, "daily_limit", least=0, most=2**53)


def _limit(platform_settings: dict[str, Any], name: str, *, least: int, most: int) -> int | None:
    place = f"platform_settings.call_limits.{name}"
    limits = platform_settings.get("call_limits") or {}
    limit = limits.get(name) if isinstance(limits, dict) else limits
    if limit is None or limit == -1:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool) or not least <= limit <= most:
        raise Invalid(f"{place} is a number from {least}, or -1 for no limit", code="invalid_parameters", param=place)
    return limit
