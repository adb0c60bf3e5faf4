"""What is asked for the sake of whoever watches the server."""

from outdial.domain.attempt import AttemptState
from outdial.ports.meters import Meters
from outdial.ports.store import NodeLease
from outdial.store.desk import Desk
from outdial.store.op import Lane, Reads

READ = "read"
"""The lane of what only reads."""


class Watching(Desk):
    """The store's methods for health and metrics."""

    def metered(self, meters: Meters) -> None:
        """Tell these meters how long writes and reads take; before `start`."""

        def written(lane: Lane, seconds: float) -> None:
            meters.store_answered(lane.value, seconds)

        def read(seconds: float) -> None:
            meters.store_answered(READ, seconds)

        self.writer.answered = written
        self.readers.answered = self.aside.answered = read

    async def ping(self) -> None:
        """See ports.store.Store."""
        await self._read(lambda tx: tx.value("schema_version"))

    async def under_way(self, lease: NodeLease) -> dict[tuple[str, AttemptState], int]:
        """See ports.store.Store."""

        def read(tx: Reads) -> dict[tuple[str, AttemptState], int]:
            rows = tx.rows("calls_under_way", node=lease.node, epoch=lease.epoch)
            return {(row.provider, AttemptState(row.state)): row.n for row in rows}

        return await self._read(read)
