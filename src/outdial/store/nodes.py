"""Nodes: who serves on this database, under which epoch, and since when nothing was heard of it."""

from dataclasses import dataclass
from typing import ClassVar

from outdial.ports.store import NodeLease
from outdial.store.desk import Desk
from outdial.store.op import Lane, Single, Tx


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


class Heartbeat(Single[NodeLease, bool]):
    """Prolong a lease, where others judge by its age."""

    name: ClassVar[str] = "heartbeat"
    lane: ClassVar[Lane] = Lane.HOT
    order: ClassVar[int] = 1

    def one(self, tx: Tx, request: NodeLease) -> bool:
        return tx.run("node_heartbeat", name=request.node, epoch=request.epoch) == 1


class Retire(Single[NodeLease, None]):
    """End a lease; another epoch's is left alone."""

    name: ClassVar[str] = "retire_node"
    order: ClassVar[int] = 99

    def one(self, tx: Tx, request: NodeLease) -> None:
        tx.run("node_retire", name=request.node, epoch=request.epoch)


_REGISTER, _HEARTBEAT, _RETIRE = Register(), Heartbeat(), Retire()


class Nodes(Desk):
    """The store's methods for a node's life. Ages are judged by the database's clock alone."""

    async def register_node(self, name: str, *, now: float) -> NodeLease:
        """See ports.store.Store."""
        return await self._ask(_REGISTER, Registering(name))

    async def heartbeat(self, lease: NodeLease) -> bool:
        """See ports.store.Store."""
        if self.engine.shared:
            return await self._ask_aside(_HEARTBEAT, lease)
        # nobody judges by its age: the lease is over when the next process begins
        return await self._read(lambda tx: bool(tx.value("node_holds", name=lease.node, epoch=lease.epoch)))

    async def retire_node(self, lease: NodeLease) -> None:
        """See ports.store.Store."""
        await self._ask(_RETIRE, lease)
