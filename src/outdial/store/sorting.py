"""People whose zones nobody asked for get their window class: when a workspace sets hours after they were listed."""

from collections.abc import Sequence
from dataclasses import dataclass

from outdial.ports.signal import Topic
from outdial.ports.store import Unsorted
from outdial.store.desk import Desk
from outdial.store.op import Footprint, Kind, Lane, Reads, Row, Tx
from outdial.store.submitting import ALWAYS_OPEN


@dataclass(frozen=True, slots=True)
class Sorting:
    """Some people of a batch, each with the key of its window class."""

    batch_id: int
    classes: tuple[tuple[int, str], ...]


class Sort(Kind[Sorting, None]):
    """Move those who still wait in the class of no zones; the list keeps the class for later rounds."""

    name = "sort"
    lane = Lane.BULK

    def run(self, tx: Tx, requests: Sequence[Sorting]) -> list[None]:
        """Nothing to answer."""
        for request in requests:
            self._sort(tx, request)
        return [None] * len(requests)

    @staticmethod
    def _sort(tx: Tx, request: Sorting) -> None:
        tx.lock(Footprint(frozenset(), frozenset({request.batch_id})))
        keys = sorted({key for _, key in request.classes})
        tx.run("window_classes_keep", keys=keys)
        ids = {row.key: row.id for row in tx.rows("window_classes_by_key", keys=keys)}
        tx.run("batch_windows_keep", batch_id=request.batch_id, classes=sorted(ids.values()))
        classes = {ord_: ids[key] for ord_, key in request.classes}
        found = tx.rows("recipients_unsorted", batch_id=request.batch_id, ords=sorted(classes))
        # a wait of an older generation is a cancelled one: its sweep takes it out of the hopper
        people = [row for row in found if row.due_at is None or row.generation == row.current]
        sorted_ = [{"batch_id": request.batch_id, "ord": row.ord, "window_class": classes[row.ord]} for row in people]
        tx.run("recipients_sort", rows=sorted_)
        waiting = [row for row in people if row.due_at is not None]
        tx.put("hopper_out", rows=[_place(request, row, ALWAYS_OPEN) for row in waiting])
        tx.put("hopper_in", rows=[_place(request, row, classes[row.ord]) for row in waiting])
        tx.notify(Topic.WORK)


def _place(request: Sorting, row: Row, window_class: int) -> dict[str, int]:
    return {
        "batch_id": request.batch_id,
        "generation": row.generation,
        "window_class": window_class,
        "due_at": row.due_at,
        "ord": row.ord,
    }


class Sorters(Desk):
    """The store's methods for it."""

    _sort = Sort()

    async def unsorted(self, batch_id: int, *, limit: int) -> list[Unsorted]:
        """See ports.store.Store."""

        def read(tx: Reads) -> list[Unsorted]:
            return [Unsorted(row.ord, row.number) for row in tx.rows("hopper_unsorted", batch_id=batch_id, limit=limit)]

        return await self._read(read)

    async def sort(self, batch_id: int, classes: Sequence[tuple[int, str]], *, now: float) -> None:
        """See ports.store.Store."""
        await self._ask(self._sort, Sorting(batch_id, tuple(classes)))
