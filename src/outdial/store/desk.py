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
        self.writer = GroupCommitter(engine, patience_secs=engine.patience_secs)
        self.aside = Readers(engine, threads=1, patience_secs=engine.patience_secs / 2)
        """For heartbeats: a connection of their own, so that nothing else holds them up where others judge by them."""
        self.readers = Readers(engine, patience_secs=engine.patience_secs / 2)
        self.places = Places()

    async def _ask(self, kind: Kind[Q, A], request: Q) -> A:
        """Have a request carried out; returns after its commit. Cancelling the caller does not undo it."""
        return cast("A", await self.writer.submit(kind, request))

    async def _beat(self, function: Callable[[Reads], T]) -> T:
        """One statement, by itself, on the heartbeat's own connection."""
        return await self.aside.read(function, alone=True)

    async def _read_alone(self, function: Callable[[Reads], T]) -> T:
        """As `_read`, with each statement by itself: for what an idle node asks again and again."""
        return await self.readers.read(function, alone=True)

    async def _read(self, function: Callable[[Reads], T]) -> T:
        """What the function returns for one snapshot of what is committed. It runs in another thread."""
        return await self.readers.read(function)
