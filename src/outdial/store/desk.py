"""What every part of the store works with: the committer, the readers, and the settings that count."""

from collections.abc import Callable
from typing import TypeVar, cast

from outdial.ports.store import ClaimLimits
from outdial.store.cases import Places
from outdial.store.committer import GroupCommitter
from outdial.store.engine import Engine
from outdial.store.op import Kind, Reads
from outdial.store.readers import Readers
from outdial.store.secrets import Vault

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")


class Desk:
    """The common base of the parts of which `SqlStore` is made."""

    def __init__(self, engine: Engine, *, vault: Vault, limits: ClaimLimits, node_timeout_secs: float) -> None:
        self.engine = engine
        self.vault = vault
        self.limits = limits
        self.node_timeout_secs = node_timeout_secs
        self.writer = GroupCommitter(engine)
        self.aside = GroupCommitter(engine, name="aside") if engine.shared else self.writer
        """For heartbeats: a connection of their own where others judge by them."""
        self.readers = Readers(engine)
        self.places = Places()

    async def _ask(self, kind: Kind[Q, A], request: Q) -> A:
        """Have a request carried out; returns after its commit. Cancelling the caller does not undo it."""
        return cast("A", await self.writer.submit(kind, request))

    async def _ask_aside(self, kind: Kind[Q, A], request: Q) -> A:
        """As `_ask`, past the queue of the writer."""
        return cast("A", await self.aside.submit(kind, request))

    async def _read(self, function: Callable[[Reads], T]) -> T:
        """What the function returns for one snapshot of what is committed. It runs in another thread."""
        return await self.readers.read(function)
