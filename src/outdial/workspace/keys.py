"""API keys: made once, kept as a hash, and looked up on every request."""

import hashlib
import secrets
from collections import OrderedDict

from outdial.ports.store import KeyOwner, Store
from outdial.runtime.clock import Clock

PREFIX = "od_"
REMEMBERED_SECS = 2.0
"""How long a revoked key may still work here: one read of the store for many requests is worth that."""
MOST_REMEMBERED = 4_096


def new_key() -> str:
    """A key that nobody can guess: 256 bits."""
    return PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> bytes:
    """What is kept of a key. It is long and random, so a plain digest can't be turned back by trying."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


async def create(store: Store, clock: Clock, *, workspace: str, name: str) -> tuple[str, str]:
    """(key, workspace's public id): a new key of the workspace with this name, which is made if it is new."""
    key = new_key()
    workspace_id, public_id = await store.create_workspace(workspace, now=clock.now())
    await store.create_key(workspace_id, key_hash(key), name=name, now=clock.now())
    return key, public_id


class KeyRing:
    """Whose key it is, remembered for a moment; a key that is unknown is asked for each time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, KeyOwner]] = OrderedDict()

    async def owner(self, key: str) -> KeyOwner | None:
        """The owner of this key."""
        digest = key_hash(key)
        remembered = self._known.get(digest)
        if remembered is not None and self._clock.boottime() < remembered[0]:
            return remembered[1]
        owner = await self._store.key_owner(digest)
        self._remember(digest, owner)
        return owner

    def _remember(self, digest: bytes, owner: KeyOwner | None) -> None:
        self._known.pop(digest, None)
        if owner is not None:
            self._known[digest] = (self._clock.boottime() + REMEMBERED_SECS, owner)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
