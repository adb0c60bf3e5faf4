"""Making an API key in the database itself, beside a server or without one."""

import asyncio

from outdial.app.settings import Settings, key_file, own_secret, withdraw_secret
from outdial.domain.errors import BadSetting
from outdial.runtime.clock import SystemClock
from outdial.workspace import keys


def make_key(settings: Settings, *, workspace: str, name: str) -> tuple[str, str]:
    """(key, workspace's public id). It is shown to whoever asks, once; only its hash is kept."""
    return asyncio.run(_make(settings, workspace, name))


async def _make(settings: Settings, workspace: str, name: str) -> tuple[str, str]:
    from outdial.store.store import open_store

    new_key = settings.secret_key is None and not key_file(settings).exists()
    store = open_store(settings.database, secret=own_secret(settings), serving=False)
    try:
        await store.start()
    except BadSetting:
        if new_key:
            withdraw_secret(settings)
        raise
    try:
        return await keys.create(store, SystemClock(), workspace=workspace, name=name)
    finally:
        await store.stop()
