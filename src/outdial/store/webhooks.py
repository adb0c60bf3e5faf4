"""Webhooks as stored, with their secrets sealed; and the settings of a whole workspace, which name one of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec

from outdial.domain.errors import NotFound
from outdial.ports.store import WebhookRow
from outdial.store.desk import Desk
from outdial.store.instants import micros, seconds
from outdial.store.op import Reads, Row, Single, Tx
from outdial.store.secrets import Vault

ChangeWebhook = Callable[[WebhookRow], WebhookRow]
ChangeSettings = Callable[[dict[str, Any]], dict[str, Any]]


def webhook_row(row: Row, vault: Vault) -> WebhookRow:
    """From a row of `webhook`."""
    opened = vault.open(row.sealed, of=row.public_id)
    return WebhookRow(
        id=row.id,
        workspace_id=row.workspace_id,
        public_id=row.public_id,
        name=row.name,
        url=row.url,
        secret=opened["secret"],
        request_headers=opened["request_headers"],
        events=tuple(msgspec.json.decode(row.events)),
        retry_enabled=bool(row.retry_enabled),
        is_disabled=bool(row.is_disabled),
        is_auto_disabled=bool(row.is_auto_disabled),
        created_at=seconds(row.created_at),
    )


def _sealed(webhook: WebhookRow, vault: Vault) -> str:
    kept = {"secret": webhook.secret, "request_headers": webhook.request_headers}
    return vault.seal(kept, of=webhook.public_id)


@dataclass(frozen=True, slots=True)
class Keeping:
    """A new webhook."""

    webhook: WebhookRow
    vault: Vault
    now: float


class CreateWebhook(Single[Keeping, WebhookRow]):
    """Keep it."""

    name: ClassVar[str] = "create_webhook"
    order: ClassVar[int] = 81

    def one(self, tx: Tx, request: Keeping) -> WebhookRow:
        webhook = request.webhook
        row = tx.one(
            "webhook_create",
            workspace_id=webhook.workspace_id,
            public_id=webhook.public_id,
            name=webhook.name,
            url=webhook.url,
            sealed=_sealed(webhook, request.vault),
            events=webhook.events,
            created_at=micros(request.now),
        )
        return webhook_row(row, request.vault)


@dataclass(frozen=True, slots=True)
class Changing:
    """A webhook that is to become another."""

    workspace_id: int
    public_id: str
    change: ChangeWebhook
    vault: Vault


class ChangeOne(Single[Changing, WebhookRow]):
    """Read it under a lock, and write what it becomes."""

    name: ClassVar[str] = "change_webhook"
    order: ClassVar[int] = 82

    def one(self, tx: Tx, request: Changing) -> WebhookRow:
        row = tx.one("webhook_lock", workspace_id=request.workspace_id, public_id=request.public_id)
        if row is None:
            raise NotFound("webhook", request.public_id)
        changed = request.change(webhook_row(row, request.vault))
        written = tx.one(
            "webhook_update",
            id=row.id,
            name=changed.name,
            sealed=_sealed(replace(changed, public_id=row.public_id), request.vault),
            events=changed.events,
            retry_enabled=changed.retry_enabled,
            is_disabled=changed.is_disabled,
            is_auto_disabled=changed.is_auto_disabled,
        )
        return webhook_row(written, request.vault)


@dataclass(frozen=True, slots=True)
class Naming:
    """A webhook that is to go."""

    workspace_id: int
    public_id: str


class DeleteWebhook(Single[Naming, None]):
    """Remove it, and nothing names it any more."""

    name: ClassVar[str] = "delete_webhook"
    order: ClassVar[int] = 83

    def one(self, tx: Tx, request: Naming) -> None:
        row = tx.one("webhook_lock", workspace_id=request.workspace_id, public_id=request.public_id)
        if row is None:
            raise NotFound("webhook", request.public_id)
        tx.run("webhook_delete", id=row.id)
        _rewrite(tx, request.workspace_id, lambda settings: _without(settings, request.public_id))


def _without(settings: dict[str, Any], public_id: str) -> dict[str, Any]:
    chosen = settings.get("webhooks")
    if not isinstance(chosen, dict) or chosen.get("post_call_webhook_id") != public_id:
        return settings
    return {**settings, "webhooks": {**chosen, "post_call_webhook_id": None}}


@dataclass(frozen=True, slots=True)
class Setting:
    """A workspace's settings that are to become others."""

    workspace_id: int
    change: ChangeSettings


class ChangeWorkspaceSettings(Single[Setting, dict[str, Any]]):
    """Read them under a lock, and write what they become."""

    name: ClassVar[str] = "change_workspace_settings"
    order: ClassVar[int] = 84

    def one(self, tx: Tx, request: Setting) -> dict[str, Any]:
        return _rewrite(tx, request.workspace_id, request.change)


def _rewrite(tx: Tx, workspace_id: int, change: ChangeSettings) -> dict[str, Any]:
    settings: dict[str, Any] = msgspec.json.decode(tx.value("workspace_settings_lock", id=workspace_id))
    changed = change(settings)
    if changed != settings:
        tx.run("workspace_settings_keep", id=workspace_id, settings=changed)
    return changed


_CREATE, _CHANGE, _DELETE, _SET = CreateWebhook(), ChangeOne(), DeleteWebhook(), ChangeWorkspaceSettings()


class Webhooks(Desk):
    """The store's methods for webhooks and a workspace's settings."""

    async def create_webhook(self, webhook: WebhookRow, *, now: float) -> WebhookRow:
        """See ports.store.Store."""
        return await self._ask(_CREATE, Keeping(webhook, self.vault, now))

    async def webhooks(self, workspace_id: int) -> list[WebhookRow]:
        """See ports.store.Store."""
        return await self._read(
            lambda tx: [webhook_row(row, self.vault) for row in tx.rows("webhooks", workspace_id=workspace_id)]
        )

    async def webhook(self, workspace_id: int, public_id: str) -> WebhookRow:
        """See ports.store.Store."""

        def read(tx: Reads) -> WebhookRow:
            row = tx.one("webhook_by_public_id", workspace_id=workspace_id, public_id=public_id)
            if row is None:
                raise NotFound("webhook", public_id)
            return webhook_row(row, self.vault)

        return await self._read(read)

    async def change_webhook(self, workspace_id: int, public_id: str, change: ChangeWebhook) -> WebhookRow:
        """See ports.store.Store."""
        return await self._ask(_CHANGE, Changing(workspace_id, public_id, change, self.vault))

    async def delete_webhook(self, workspace_id: int, public_id: str) -> None:
        """See ports.store.Store."""
        await self._ask(_DELETE, Naming(workspace_id, public_id))

    async def workspace_settings(self, workspace_id: int) -> dict[str, Any]:
        """See ports.store.Store."""
        return await self._read(lambda tx: msgspec.json.decode(tx.value("workspace_settings", id=workspace_id)))

    async def change_workspace_settings(self, workspace_id: int, change: ChangeSettings) -> dict[str, Any]:
        """See ports.store.Store."""
        return await self._ask(_SET, Setting(workspace_id, change))
