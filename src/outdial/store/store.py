"""The store: every part of it in one object, and how it is opened from a URL."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from outdial.domain.errors import BadSetting
from outdial.ports.store import ClaimLimits
from outdial.store.agents import Agents
from outdial.store.conversations import Conversations
from outdial.store.deciding import Deciding
from outdial.store.dialling import Dialling
from outdial.store.engine import PATIENCE_SECS
from outdial.store.hours import WorkspaceHours
from outdial.store.nodes import Nodes
from outdial.store.numbers import Numbers
from outdial.store.opening import engine_of
from outdial.store.probes import Probing
from outdial.store.reading import Reading
from outdial.store.secrets import Vault
from outdial.store.settling import Settling
from outdial.store.sorting import Sorters
from outdial.store.submitting import Submitting
from outdial.store.suppression import Suppression
from outdial.store.watching import Watching
from outdial.store.webhooks import Webhooks
from outdial.store.workspaces import Workspaces

DEFAULT_LIMITS = ClaimLimits(workspace_concurrency=100)


class SqlStore(
    Dialling,
    Settling,
    Deciding,
    Submitting,
    Sorters,
    Reading,
    Nodes,
    Conversations,
    Webhooks,
    Workspaces,
    WorkspaceHours,
    Agents,
    Numbers,
    Probing,
    Suppression,
    Watching,
):
    """The port `Store` over SQL; each base holds the methods for one part of it."""

    serving = True
    """False for a command beside the server: it takes no lock on the file."""
    temporary: Path | None = None
    """A folder that goes when the store is stopped."""
    _started = False

    async def start(self) -> None:
        """Open, migrate, start the threads; raises BadSetting where the database can't be used."""
        if self._started:
            return
        await asyncio.to_thread(self.engine.open, serving=self.serving)
        self.writer.start()
        self.aside.start()
        self.readers.start()
        self._started = True
        await self._check_settings()

    async def _check_settings(self) -> None:
        """What the database holds fits the settings, or is made to."""
        try:
            await self.check_secret()
        except BadSetting:
            await self.stop()
            raise
        if self.serving:
            await self.limit_workspaces()

    async def stop(self) -> None:
        """Commit what was asked, close; forgives being called twice."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self.writer.stop()
        self.aside.stop()
        self.readers.stop()
        self.engine.close()
        self._started = False
        if self.temporary is not None:
            shutil.rmtree(self.temporary, ignore_errors=True)


def open_store(
    url: str,
    *,
    secret: str,
    node_timeout_secs: float = 10.0,
    limits: ClaimLimits = DEFAULT_LIMITS,
    serving: bool = True,
    patience_secs: float = PATIENCE_SECS,
) -> SqlStore:
    """The store behind a URL, not started.

    `sqlite:///file.db`, `sqlite:////absolute/file.db`, `sqlite://` (a file that goes at the end), `postgresql://…`.
    `secret` is OUTDIAL_SECRET_KEY. `serving` says whether this is the server's process, or a command beside it.
    `patience_secs`: how long a write waits for a database that is away or stands still.
    """
    temporary = None
    if url == "sqlite://":
        temporary = Path(tempfile.mkdtemp(prefix="outdial-"))
        url = f"sqlite:///{temporary}/outdial.db"
    engine = engine_of(url, patience_secs=patience_secs)
    store = SqlStore(engine, vault=Vault(secret), limits=limits, node_timeout_secs=node_timeout_secs)
    store.serving = serving
    store.temporary = temporary
    return store
