"""Handlers of phone numbers."""

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from outdial.api import render
from outdial.api.answers import json_answer
from outdial.api.auth import Caller
from outdial.api.body import as_model, body_of, given
from outdial.api.context import context_of
from outdial.api.conversations import NO_MESSAGES
from outdial.api.number_schema import SETTINGS, SHAPES, NumberOfAnyProvider, UpdatePhoneNumber
from outdial.domain.errors import named
from outdial.ports.signal import Topic
from outdial.workspace import numbers

ASIDE = ("livekit_stack", "store_sip_messages", "environment", "branch_id")
FIELDS = ("label", "agent_id", "max_concurrent_calls", "max_calls_per_second")
COMMON = frozenset({"provider", "phone_number", "supports_inbound", "supports_outbound", *FIELDS})
MENDABLE = frozenset(name for names in SETTINGS.values() for name in names)


async def create_number(request: Request, caller: Caller) -> Response:
    """Keep a number to call from."""
    here = context_of(request)
    body = await body_of(request)
    provider = as_model(body, NumberOfAnyProvider).provider
    asked = as_model(body, SHAPES.get(provider, NumberOfAnyProvider))
    sent = given(asked)
    aside = {name: sent[name] for name in ASIDE if sent.get(name) is not None}
    wish = numbers.NumberWish(
        provider=provider,
        phone_number=asked.phone_number,
        label=asked.label,
        settings=_settings(provider, sent),
        aside=aside,
        agent_id=asked.agent_id,
        max_concurrent_calls=asked.max_concurrent_calls,
        max_calls_per_second=asked.max_calls_per_second,
    )
    desk = here.desk
    row = await numbers.create(desk.store, desk.clock, caller.workspace_id, wish, providers=here.providers)
    return json_answer({"phone_number_id": row.public_id})


def _settings(provider: str, sent: dict[str, Any]) -> dict[str, Any]:
    """The keys that are the provider's: by name where its shape is known, else all that are nobody's."""
    if SETTINGS.get(provider):
        return {name: sent[name] for name in SETTINGS[provider] if sent.get(name) is not None}
    return {name: value for name, value in sent.items() if name not in COMMON and name not in ASIDE}


async def list_numbers(
    request: Request,
    caller: Caller,
    provider: str | None = None,
    agent_id: Annotated[str | None, Query(description="Only numbers that are assigned to this agent")] = None,
    branch_id: str | None = None,
) -> Response:
    """The workspace's numbers, oldest first: a bare list, as published."""
    store = context_of(request).desk.store
    with named("agent_id"):
        agent = None if agent_id is None else await store.agent(caller.workspace_id, agent_id)
    rows = await store.numbers(caller.workspace_id)
    fitting = [
        row
        for row in rows
        if provider in {None, row.provider}
        and (agent is None or row.agent_id == agent.id)
        and branch_id in {None, render.aside(row).get("branch_id")}
    ]
    return json_answer([render.number(row) for row in fitting])


async def get_number(request: Request, caller: Caller, phone_number_id: str) -> Response:
    """One number."""
    with named("phone_number_id"):
        row = await context_of(request).desk.store.number(caller.workspace_id, phone_number_id)
    return json_answer(render.number(row))


async def update_number(request: Request, caller: Caller, phone_number_id: str) -> Response:
    """Change a number: the next call is placed by the new settings, also in batches that are running."""
    here = context_of(request)
    asked = as_model(await body_of(request), UpdatePhoneNumber)
    sent = given(asked)
    fields = {name: sent[name] for name in FIELDS if name in sent}
    if fields.get("label", "") is None:
        del fields["label"]
    wanted = numbers.NumberChange(
        fields=fields,
        settings={name: sent[name] for name in MENDABLE if sent.get(name) is not None},
        aside={name: sent[name] for name in ASIDE if name in sent},
    )
    desk = here.desk
    with named("phone_number_id"):
        row = await numbers.change(
            desk.store, desk.clock, caller.workspace_id, phone_number_id, wanted, providers=here.providers
        )
    await desk.ring(Topic.WORK)  # what was mended or raised lets somebody go on
    return json_answer(render.number(row))


async def sip_messages(request: Request, caller: Caller, phone_number_id: str) -> Response:
    """None: no log of them is kept."""
    with named("phone_number_id"):
        await context_of(request).desk.store.number(caller.workspace_id, phone_number_id)
    return json_answer(NO_MESSAGES)


async def delete_number(request: Request, caller: Caller, phone_number_id: str) -> Response:
    """Remove a number. Not while an open batch needs it."""
    desk = context_of(request).desk
    with named("phone_number_id"):
        await desk.store.delete_number(caller.workspace_id, phone_number_id, now=desk.clock.now())
    return json_answer({})
