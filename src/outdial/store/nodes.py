"""Nodes: who serves on this database, under which epoch, and since when nothing was heard of it."""

from dataclasses import dataclass
from typing import ClassVar

from outdial.ports.store import NodeLease
from outdial.store.desk import Desk
from outdial.store.op import Single, Tx


@dataclass(frozen=True, slots=True)
class Registering:
    """A node starts."""

    name: str


class Register(Single[Registering, NodeLease]):
    """A new epoch; what an earlier one of this name held is no living node's any more."""

    name: ClassVar[str] = "register_node"
    order: ClassVar[int] = 5

    def one(self, tx: Tx, request: Registering) -> NodeLease:
        epoch: int = tx.value("node_register", name=request.name)
        if not tx.locks:
            # the file lock is ours, so whoever served before under another name is over
            tx.run("nodes_alone", name=request.name)
        return NodeLease(request.name, epoch)


class Retire(Single[NodeLease, None]):
    """End a lease; another epoch's is left alone."""

    name: ClassVar[str] = "retire_node"
    order: ClassVar[int] = 99

    def one(self, tx: Tx, request: NodeLease) -> None:
        tx.run("node_retire", name=request.node, epoch=request.epoch)


_REGISTER, _RETIRE = Register(), Retire()


class Nodes(Desk):
    """The store's methods for a node's life. Ages are judged by the database's clock alone."""

    async def register_node(self, name: str, *, now: float) -> NodeLease:
        """See ports.store.Store."""
        return await self._ask(_REGISTER, Registering(name))

    async def heartbeat(self, lease: NodeLease) -> bool:
        """See ports.store.Store."""
        # on SQLite nobody judges by its age: the lease is over when the next process begins
        query = "node_heartbeat" if self.engine.shared else "node_holds"
        return await self._beat(lambda tx: bool(tx.value(query, name=lease.node, epoch=lease.epoch)))

    async def retire_node(self, lease: NodeLease) -> None:
        """See ports.store.Store."""
        await self._ask(_RETIRE, lease)
