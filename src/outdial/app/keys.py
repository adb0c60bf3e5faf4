"""Making an API key in the database itself, beside a server or without one."""

import asyncio

from outdial.app.settings import Settings, own_secret
from outdial.runtime.clock import SystemClock
from outdial.workspace import keys


def make_key(settings: Settings, *, workspace: str, name: str) -> tuple[str, str]:
    """(key, workspace's public id). It is shown to whoever asks, once; only its hash is kept."""
    return asyncio.run(_make(settings, workspace, name))


async def _make(settings: Settings, workspace: str, name: str) -> tuple[str, str]:
    from outdial.store.store import open_store

    store = open_store(settings.database, secret=own_secret(settings), serving=False)
    await store.start()
    try:
        return await keys.create(store, SystemClock(), workspace=workspace, name=name)
    finally:
        await store.stop()
