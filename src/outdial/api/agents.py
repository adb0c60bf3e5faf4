"""Handlers of agents."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from starlette.responses import Response

from outdial.api import render
from outdial.api.agent_schema import CreateAgent, DuplicateAgent, UpdateAgent
from outdial.api.answers import json_answer
from outdial.api.auth import Caller
from outdial.api.body import as_model, body_of, given
from outdial.api.context import context_of
from outdial.batches import read
from outdial.domain.errors import after_the_commit, named
from outdial.ports.signal import Topic
from outdial.ports.store import AgentRow, AgentWish
from outdial.workspace import agents

Search = Annotated[str | None, Query(max_length=1_000, description="Part of the name")]
PageSize = Annotated[int, Query(ge=1, le=100)]
SortBy = Literal["name", "created_at", "call_count_7d"]
Direction = Literal["asc", "desc"]


async def create_agent(request: Request, caller: Caller) -> Response:
    """Keep an agent."""
    desk = context_of(request).desk
    asked = as_model(await body_of(request), CreateAgent)
    row = await agents.create(
        desk.store,
        desk.clock,
        caller.workspace_id,
        name=asked.name or "Unnamed agent",
        conversation_config=given(asked.conversation_config),
        platform_settings=given(asked.platform_settings),
        workflow=asked.workflow,
        tags=tuple(asked.tags or ()),
    )
    return json_answer({"agent_id": row.public_id})


@dataclass(frozen=True, slots=True)
class Filters:
    """Which agents are listed, and in which order."""

    search: Search = None
    archived: bool | None = None
    created_by_user_id: Annotated[str | None, Query(description="`@me`, or nobody: keys have no users")] = None
    tags: Annotated[list[str] | None, Query(max_length=50)] = None
    sort_by: SortBy = "created_at"
    sort_direction: Direction | None = None

    def wish(self) -> AgentWish:
        """As the store is asked: names go up, times and counts down, unless it is said otherwise."""
        return AgentWish(
            search=self.search or "",
            tags=frozenset(self.tags or ()),
            archived=self.archived,
            sort_by=self.sort_by,
            ascending=self.sort_direction == "asc" if self.sort_direction else self.sort_by == "name",
        )


async def list_agents(
    request: Request,
    caller: Caller,
    filters: Annotated[Filters, Depends()],
    page_size: PageSize = 30,
    cursor: str | None = None,
) -> Response:
    """The workspace's agents: the newest first, unless asked for otherwise."""
    desk = context_of(request).desk
    skip = read.read_number_cursor("a", cursor)
    if filters.created_by_user_id not in {None, "@me"}:
        return json_answer({"agents": [], "next_cursor": None, "has_more": False})
    found = await desk.store.agents_listed(
        caller.workspace_id, filters.wish(), limit=page_size + 1, skip=skip, now=desk.clock.now()
    )
    more = len(found) > page_size
    following = read.number_cursor("a", skip + page_size) if more else None
    rows = [render.agent_summary(one) for one in found[:page_size]]
    return json_answer({"agents": rows, "next_cursor": following, "has_more": more})


async def get_agent(request: Request, caller: Caller, agent_id: str) -> Response:
    """One agent."""
    with named("agent_id"):
        row = await context_of(request).desk.store.agent(caller.workspace_id, agent_id)
    return await _told(request, row)


async def update_agent(request: Request, caller: Caller, agent_id: str) -> Response:
    """Change an agent: the next call is of the new one, also in batches that are running."""
    desk = context_of(request).desk
    asked = as_model(await body_of(request), UpdateAgent)
    wanted = agents.AgentChange(
        name=asked.name,
        conversation_config=given(asked.conversation_config),
        platform_settings=given(asked.platform_settings),
        workflow=asked.workflow,
        tags=None if asked.tags is None else tuple(asked.tags),
    )
    with named("agent_id"):
        row = await agents.change(desk.store, desk.clock, caller.workspace_id, agent_id, wanted)
    await desk.ring(Topic.WORK)  # limits that were raised let somebody go on
    with after_the_commit():
        return await _told(request, row)


async def duplicate_agent(request: Request, caller: Caller, agent_id: str) -> Response:
    """Another agent that is like this one."""
    desk = context_of(request).desk
    asked = as_model(await body_of(request), DuplicateAgent)
    with named("agent_id"):
        row = await agents.duplicate(desk.store, desk.clock, caller.workspace_id, agent_id, asked.name)
    return json_answer({"agent_id": row.public_id})


async def delete_agent(request: Request, caller: Caller, agent_id: str) -> Response:
    """Remove an agent; its conversations stay. Not while an open batch needs it."""
    desk = context_of(request).desk
    with named("agent_id"):
        await desk.store.delete_agent(caller.workspace_id, agent_id, now=desk.clock.now())
    return json_answer({})


async def _told(request: Request, row: AgentRow) -> Response:
    numbers = await context_of(request).desk.store.numbers(row.workspace_id)
    assigned: list[dict[str, Any]] = [render.number(one) for one in numbers if one.agent_id == row.id]
    return json_answer(render.agent(row, assigned))
