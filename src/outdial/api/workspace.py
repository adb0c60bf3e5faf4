"""Handlers of agents and phone numbers that dialects share."""

from fastapi import Request
from starlette.responses import Response

from outdial.api import render
from outdial.api.answers import json_answer
from outdial.api.auth import Caller
from outdial.api.body import as_model, body_of
from outdial.api.context import context_of
from outdial.api.schema import CreateAgent, CreatePhoneNumber
from outdial.workspace import agents, numbers


async def create_agent(request: Request, caller: Caller) -> Response:
    """Keep an agent."""
    desk = context_of(request).desk
    asked = as_model(await body_of(request), CreateAgent)
    row = await agents.create(
        desk.store,
        desk.clock,
        caller.workspace_id,
        name=asked.name or "Unnamed agent",
        conversation_config=asked.conversation_config,
        platform_settings=asked.platform_settings or {},
        workflow=asked.workflow,
        tags=tuple(asked.tags or ()),
    )
    return json_answer({"agent_id": row.public_id})


async def get_agent(request: Request, caller: Caller, agent_id: str) -> Response:
    """One agent."""
    return json_answer(render.agent(await context_of(request).desk.store.agent(caller.workspace_id, agent_id)))


async def create_number(request: Request, caller: Caller) -> Response:
    """Keep a number to call from."""
    here = context_of(request)
    asked = as_model(await body_of(request), CreatePhoneNumber)
    wish = numbers.NumberWish(
        provider=asked.provider,
        phone_number=asked.phone_number,
        label=asked.label,
        settings=asked.model_extra or {},
        agent_id=asked.agent_id,
        max_concurrent_calls=asked.max_concurrent_calls,
        max_calls_per_second=asked.max_calls_per_second,
    )
    desk = here.desk
    row = await numbers.create(desk.store, desk.clock, caller.workspace_id, wish, providers=here.providers)
    return json_answer({"phone_number_id": row.public_id})


async def get_number(request: Request, caller: Caller, phone_number_id: str) -> Response:
    """One number."""
    return json_answer(render.number(await context_of(request).desk.store.number(caller.workspace_id, phone_number_id)))


async def list_numbers(request: Request, caller: Caller, provider: str | None = None) -> Response:
    """The workspace's numbers, oldest first: a bare list, as published."""
    rows = await context_of(request).desk.store.numbers(caller.workspace_id)
    return json_answer([render.number(row) for row in rows if provider in {None, row.provider}])
