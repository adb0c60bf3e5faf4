"""Workspaces and their API keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from outdial.ports.store import KeyOwner
from outdial.runtime.ids import new_public_id
from outdial.store.desk import Desk
from outdial.store.instants import micros
from outdial.store.op import Footprint, Reads, Single, Tx

DEFAULT = "default"
FIRST_KEY = "first key, from the settings"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace to be found or made."""

    name: str
    concurrency: int
    now: float


class CreateWorkspace(Single[Workspace, tuple[int, str]]):
    """The workspace of this name, with its bucket."""

    name: ClassVar[str] = "create_workspace"
    order: ClassVar[int] = 70

    def one(self, tx: Tx, request: Workspace) -> tuple[int, str]:
        return _workspace(tx, request)


def _workspace(tx: Tx, request: Workspace) -> tuple[int, str]:
    made = tx.run("workspace_create", public_id=new_public_id("ws_"), name=request.name, created_at=micros(request.now))
    row = tx.one("workspace_by_name", name=request.name)
    if made:
        tx.run("bucket_limit", key=f"w:{row.id}", cap=request.concurrency, rate=None)
    return row.id, row.public_id


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The key that the settings name."""

    key_hash: bytes
    workspace: Workspace


class BootstrapKey(Single[FirstKey, None]):
    """Keep it; the one that the settings named before is over."""

    name: ClassVar[str] = "bootstrap_key"
    order: ClassVar[int] = 71

    def one(self, tx: Tx, request: FirstKey) -> None:
        workspace_id, _ = _workspace(tx, request.workspace)
        tx.run("keys_of_settings_drop", name=FIRST_KEY, key_hash=request.key_hash)
        tx.run(
            "key_bootstrap",
            workspace_id=workspace_id,
            key_hash=request.key_hash,
            name=FIRST_KEY,
            created_at=micros(request.workspace.now),
        )


@dataclass(frozen=True, slots=True)
class NewKey:
    """The hash of a new key."""

    workspace_id: int
    key_hash: bytes
    name: str
    now: float


class CreateKey(Single[NewKey, int]):
    """Keep it; its id."""

    name: ClassVar[str] = "create_key"
    order: ClassVar[int] = 72

    def one(self, tx: Tx, request: NewKey) -> int:
        key_id: int = tx.value(
            "key_create",
            workspace_id=request.workspace_id,
            key_hash=request.key_hash,
            name=request.name,
            created_at=micros(request.now),
        )
        return key_id


class LimitWorkspaces(Single[int, int]):
    """The setting changed: each workspace may have so many calls at once; counts those that it changed."""

    name: ClassVar[str] = "limit_workspaces"
    order: ClassVar[int] = 73

    def footprint(self, tx: Reads, requests: Sequence[int]) -> Footprint:
        keys = {row.key for cap in requests for row in tx.rows("workspaces_limited_otherwise", cap=cap)}
        return Footprint(frozenset(keys))

    def one(self, tx: Tx, request: int) -> int:
        return tx.run("workspaces_limit", cap=request)


_CREATE, _BOOTSTRAP, _KEY, _LIMIT = CreateWorkspace(), BootstrapKey(), CreateKey(), LimitWorkspaces()


class Workspaces(Desk):
    """The store's methods for workspaces and keys."""

    async def bootstrap_key(self, key_hash: bytes, *, now: float) -> None:
        """See ports.store.Store."""
        await self._ask(_BOOTSTRAP, FirstKey(key_hash, self._workspace_called(DEFAULT, now)))

    async def create_workspace(self, name: str, *, now: float) -> tuple[int, str]:
        """See ports.store.Store."""
        return await self._ask(_CREATE, self._workspace_called(name, now))

    async def create_key(self, workspace_id: int, key_hash: bytes, *, name: str, now: float) -> int:
        """See ports.store.Store."""
        return await self._ask(_KEY, NewKey(workspace_id, key_hash, name, now))

    async def key_owner(self, key_hash: bytes) -> KeyOwner | None:
        """See ports.store.Store."""

        def read(tx: Reads) -> KeyOwner | None:
            row = tx.one("key_owner", key_hash=key_hash)
            return row and KeyOwner(row.workspace_id, row.workspace_public_id, row.key_id, bool(row.may_administer))

        return await self._read(read)

    async def limit_workspaces(self) -> int:
        """Carry the setting for the workspaces' concurrency into their buckets; counts those that had another one."""
        return await self._ask(_LIMIT, self.limits.workspace_concurrency)

    def _workspace_called(self, name: str, now: float) -> Workspace:
        return Workspace(name, self.limits.workspace_concurrency, now)
