"""Webhooks: whom to tell of events, and the workspace's choice among them. Their delivery is the room `webhooks`."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from outdial.domain.errors import Invalid, named
from outdial.domain.merge import merged
from outdial.ports.store import Store, WebhookRow
from outdial.runtime.clock import Clock
from outdial.runtime.ids import new_public_id

MOST = 100
"""In one workspace."""


@dataclass(frozen=True, slots=True)
class WebhookWish:
    """A webhook as somebody wants it."""

    name: str
    url: str
    request_headers: Mapping[str, str]
    events: tuple[str, ...] = ()


async def create(store: Store, clock: Clock, workspace_id: int, wish: WebhookWish) -> WebhookRow:
    """A new one, with a signing key of its own, which is told this once."""
    _check_url(wish.url)
    if len(await store.webhooks(workspace_id)) >= MOST:
        raise Invalid(f"a workspace has at most {MOST} webhooks; delete one first", code="too_many_webhooks")
    webhook = WebhookRow(
        id=0,
        workspace_id=workspace_id,
        public_id=new_public_id("webhook_"),
        name=wish.name,
        url=wish.url,
        secret="wsec_" + secrets.token_hex(32),
        request_headers=dict(wish.request_headers),
        events=wish.events,
        retry_enabled=False,
        is_disabled=False,
        is_auto_disabled=False,
        created_at=clock.now(),
    )
    return await store.create_webhook(webhook, now=clock.now())


async def change(store: Store, workspace_id: int, webhook_id: str, wanted: Mapping[str, Any]) -> WebhookRow:
    """Keys as in WebhookRow. Whoever enables one again that was switched off for failing gives it another chance."""

    def changed(before: WebhookRow) -> WebhookRow:
        after = replace(before, **wanted)
        return after if after.is_disabled else replace(after, is_auto_disabled=False)

    return await store.change_webhook(workspace_id, webhook_id, changed)


async def choose(store: Store, workspace_id: int, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The workspace's settings with these changes; NotFound for a webhook of somebody else."""
    chosen = wanted.get("webhooks") or {}
    if (webhook_id := chosen.get("post_call_webhook_id")) is not None:
        with named("webhooks.post_call_webhook_id"):
            await store.webhook(workspace_id, webhook_id)
    return await store.change_workspace_settings(workspace_id, lambda before: merged(before, wanted))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise Invalid(
            "a webhook's URL begins with http:// or https:// and names a host",
            code="invalid_parameters",
            param="settings.webhook_url",
        )
