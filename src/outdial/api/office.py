"""Handlers of what belongs to a whole workspace: webhooks, settings, WhatsApp accounts."""

from typing import Any

from fastapi import Request
from starlette.responses import Response

from outdial.api.answers import json_answer
from outdial.api.auth import Caller
from outdial.api.body import as_model, body_of, given
from outdial.api.context import context_of
from outdial.api.webhook_schema import CreateWebhook, UpdateSettings, UpdateWebhook
from outdial.domain import window
from outdial.domain.errors import NotFound, after_the_commit, named
from outdial.ports.store import KeyOwner, WebhookRow
from outdial.workspace import hours, webhooks

NOTHING_SET: dict[str, Any] = {
    "conversation_initiation_client_data_webhook": None,
    "webhooks": {"post_call_webhook_id": None, "events": [], "transcript_format": "json", "send_audio": False},
    "can_use_mcp_servers": False,
    "rag_retention_period_days": 10,
    "default_livekit_stack": "standard",
}


async def create_webhook(request: Request, caller: Caller) -> Response:
    """Keep a webhook. Its signing key is told this once."""
    desk = context_of(request).desk
    asked = as_model(await body_of(request), CreateWebhook).settings
    wish = webhooks.WebhookWish(
        asked.name, asked.webhook_url, _headers(asked.request_headers), tuple(asked.events or ())
    )
    row = await webhooks.create(desk.store, desk.clock, caller.workspace_id, wish)
    return json_answer({"webhook_id": row.public_id, "webhook_secret": row.secret})


async def list_webhooks(request: Request, caller: Caller, include_usages: bool = False) -> Response:  # noqa: FBT001, FBT002 - a query
    """The workspace's webhooks, oldest first."""
    store = context_of(request).desk.store
    chosen = (await store.workspace_settings(caller.workspace_id)).get("webhooks") or {}
    rows = [
        _webhook(row, chosen=chosen.get("post_call_webhook_id"), usages=include_usages)
        for row in await store.webhooks(caller.workspace_id)
    ]
    return json_answer({"webhooks": rows})


async def update_webhook(request: Request, caller: Caller, webhook_id: str) -> Response:
    """Change a webhook."""
    asked = as_model(await body_of(request), UpdateWebhook)
    wanted: dict[str, Any] = {"is_disabled": asked.is_disabled, "name": asked.name}
    if asked.retry_enabled is not None:
        wanted["retry_enabled"] = asked.retry_enabled
    if asked.request_headers is not None:
        wanted["request_headers"] = _headers(asked.request_headers)
    if asked.events is not None:
        wanted["events"] = tuple(asked.events)
    with named("webhook_id"):
        await webhooks.change(context_of(request).desk.store, caller.workspace_id, webhook_id, wanted)
    return json_answer({"status": "ok"})


async def delete_webhook(request: Request, caller: Caller, webhook_id: str) -> Response:
    """Remove a webhook."""
    with named("webhook_id"):
        await context_of(request).desk.store.delete_webhook(caller.workspace_id, webhook_id)
    return json_answer({"status": "ok"})


async def get_settings(request: Request, caller: Caller) -> Response:
    """The workspace's settings."""
    return await _told(request, caller)


async def update_settings(request: Request, caller: Caller) -> Response:
    """Change the workspace's settings; what is not mentioned stays."""
    desk = context_of(request).desk
    sent = given(as_model(await body_of(request), UpdateSettings))
    wanted = sent.pop("calling_hours", ...)
    if wanted is not ...:
        window.parse(wanted)  # refused before anything is changed
    await webhooks.choose(desk.store, caller.workspace_id, sent)
    with after_the_commit():
        if wanted is not ...:
            await hours.change(desk.store, desk.signal, desk.clock, caller.workspace_id, wanted)
        return await _told(request, caller)


async def _told(request: Request, caller: KeyOwner) -> Response:
    store = context_of(request).desk.store
    kept = await store.workspace_settings(caller.workspace_id)
    return json_answer({**_settings(kept), "calling_hours": await store.calling_hours(caller.workspace_id)})


async def list_whatsapp_accounts(request: Request, caller: Caller, agent_id: str | None = None) -> Response:
    """None: there are no WhatsApp calls here yet."""
    if agent_id is not None:
        with named("agent_id"):
            await context_of(request).desk.store.agent(caller.workspace_id, agent_id)
    return json_answer({"items": []})


async def whatsapp_account(caller: Caller, phone_number_id: str) -> Response:  # noqa: ARG001 - the key is asked for
    """There is none of any id."""
    raise NotFound("whatsapp account", phone_number_id, param="phone_number_id")


def _headers(asked: dict[str, str | None] | None) -> dict[str, str]:
    return {name: value for name, value in (asked or {}).items() if value is not None}


def _settings(kept: dict[str, Any]) -> dict[str, Any]:
    chosen = {name: value for name, value in (kept.get("webhooks") or {}).items() if value is not None}
    set_ = {name: value for name, value in kept.items() if value is not None}
    return {**NOTHING_SET, **set_, "webhooks": {**NOTHING_SET["webhooks"], **chosen}}


def _webhook(row: WebhookRow, *, chosen: str | None, usages: bool) -> dict[str, Any]:
    """Never its signing key, nor the headers, which may hold keys of the receiver."""
    usage = [{"usage_type": "ConvAI Settings"}] if chosen == row.public_id else []
    return {
        "name": row.name,
        "webhook_id": row.public_id,
        "webhook_url": row.url,
        "is_disabled": row.is_disabled,
        "is_auto_disabled": row.is_auto_disabled,
        "created_at_unix": int(row.created_at),
        "auth_type": "hmac",
        "events": list(row.events),
        "retry_enabled": row.retry_enabled,
        "usage": usage if usages else None,
        "most_recent_failure_error_code": None,
        "most_recent_failure_timestamp": None,
    }
