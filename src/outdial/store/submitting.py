"""A list comes in: staged invisibly in chunks, then sealed in one step that is also the answer to its request."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from outdial.domain.errors import Doubtful, Unavailable
from outdial.ports.signal import Topic
from outdial.ports.store import Answered, NewBatch, NewRecipient, RequestKey
from outdial.store import acts
from outdial.store.desk import Desk
from outdial.store.instants import micros
from outdial.store.op import Footprint, Kind, Lane, Single, Tx
from outdial.store.suppression import count_listed, end_listed
from outdial.store.why import explained

STAGE_ROWS = 2_000
"""Recipients written in one transaction."""
ALWAYS_OPEN = 0
"""The window class of recipients without calling hours."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A batch without recipients yet, and the window classes that they will have."""

    batch: NewBatch
    window_classes: tuple[str, ...]
    now: float


class Open(Kind[Opening, tuple[int, dict[str, int]]]):
    """Write the invisible batch; answers its id and the ids of its window classes."""

    name = "open"
    lane = Lane.CONTROL
    order = 70

    def run(self, tx: Tx, requests: Sequence[Opening]) -> list[tuple[int, dict[str, int]]]:
        """One answer per request."""
        return [self._open(tx, request) for request in requests]

    @staticmethod
    def _open(tx: Tx, request: Opening) -> tuple[int, dict[str, int]]:
        new = request.batch
        batch_id = tx.value(
            "batch_open",
            workspace_id=new.workspace_id,
            public_id=new.public_id,
            name=new.name,
            agent_id=new.agent_id,
            number_id=new.number_id,
            scheduled_at=micros(new.scheduled_at),
            timezone=new.timezone,
            branch_id=new.branch_id,
            environment=new.environment,
            whatsapp_params=_json(new.whatsapp_params),
            telephony_call_config=_json(new.telephony_call_config) or "{}",
            target_concurrency_limit=new.target_concurrency_limit,
            calling_hours=_json(new.calling_hours),
            hidden=new.hidden,
            now=micros(request.now),
        )
        tx.run("control_open", batch_id=batch_id)
        tx.run("bucket_open", key=f"b:{batch_id}")
        keys = sorted(key for key in request.window_classes if key)
        ids = {"": ALWAYS_OPEN}
        if keys:
            tx.run("window_classes_keep", keys=keys)
            ids |= {row.key: row.id for row in tx.rows("window_classes_by_key", keys=keys)}
        used = [ids[key] for key in request.window_classes]
        tx.run("batch_windows_keep", batch_id=batch_id, classes=sorted(used))
        return batch_id, ids


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


@dataclass(frozen=True, slots=True)
class Staging:
    """A stretch of a list."""

    batch_id: int
    first_ord: int
    recipients: Sequence[NewRecipient]
    classes: dict[str, int]
    due_at: float
    now: float


class Stage(Kind[Staging, None]):
    """Write a stretch of recipients and their places in the hopper; who must not be called has ended already."""

    name = "stage"
    lane = Lane.BULK

    def run(self, tx: Tx, requests: Sequence[Staging]) -> list[None]:
        """Nothing to answer."""
        for request in requests:
            self._stage(tx, request)
        return [None] * len(requests)

    @staticmethod
    def _stage(tx: Tx, request: Staging) -> None:
        now, due_at = micros(request.now), micros(request.due_at)
        numbered = list(enumerate(request.recipients, request.first_ord))
        tx.bulk(
            "recipients_stage",
            [
                {
                    "batch_id": request.batch_id,
                    "ord": ord_,
                    "recipient_id": person.recipient_id,
                    "number": person.number,
                    "window_class": request.classes[person.window_class],
                    "client_data": person.client_data_json,
                    "due_at": due_at,
                    "created_at": now,
                    "updated_at": now,
                    "whatsapp_user_id": person.whatsapp_user_id,
                }
                for ord_, person in numbered
            ],
        )
        tx.bulk(
            "hopper_stage",
            [
                {
                    "batch_id": request.batch_id,
                    "generation": 0,
                    "window_class": request.classes[person.window_class],
                    "due_at": due_at,
                    "ord": ord_,
                }
                for ord_, person in numbered
            ],
        )
        end_listed(tx, request.batch_id, first=request.first_ord, last=numbered[-1][0], now=now)


@dataclass(frozen=True, slots=True)
class Sealing:
    """Make a staged batch real."""

    batch_id: int
    request: RequestKey | None
    now: float


class Seal(Single[Sealing, Answered]):
    """The batch becomes visible, with its answer; a twin's staged rows are left to the sweep."""

    name = "seal"
    order = 71

    def one(self, tx: Tx, request: Sealing) -> Answered:
        """The sealed batch, or a twin's answer; NotFound if that batch was deleted since."""
        now = micros(request.now)
        if (twin := acts.claim(tx, request.request, now)) is not None:
            tx.run("batch_abandon", id=request.batch_id)
            tx.notify(Topic.SWEEP)
            return twin
        tx.run("batch_seal", id=request.batch_id, now=now)
        count_listed(tx, request.batch_id, now=now)
        tx.notify(Topic.WORK)
        answered = Answered(explained(tx, tx.rows("batches_by_id", ids=[request.batch_id]), now)[0])
        acts.answer(tx, request.request, answered, now)
        return answered


DROP_ROWS = 5_000


def drop_abandoned(tx: Tx, now: int) -> bool:
    """Erase a stretch of a list that was never sealed; False when there is none."""
    batch_id = tx.value("batch_abandoned", now=now)
    if batch_id is None:
        return False
    tx.lock(Footprint(frozenset(), frozenset({batch_id})))
    if tx.run("hopper_clear", batch_id=batch_id, before=1, limit=DROP_ROWS):
        return True
    if tx.run("recipients_drop", batch_id=batch_id, limit=DROP_ROWS):
        return True
    tx.run("batch_windows_drop", batch_id=batch_id)
    tx.run("tally_drop", batch_id=batch_id)
    tx.run("control_drop", batch_id=batch_id)
    tx.run("bucket_drop", key=f"b:{batch_id}")
    tx.run("batch_drop", id=batch_id)
    return True


class Submitting(Desk):
    """The store's methods for new lists."""

    _open = Open()
    _stage = Stage()
    _seal = Seal()
    _note_answer = acts.NoteAnswer()

    async def stage(self, batch: NewBatch, recipients: Sequence[NewRecipient], *, now: float) -> int:
        """See ports.store.Store."""
        classes = tuple(dict.fromkeys(person.window_class for person in recipients))
        try:
            batch_id, ids = await self._ask(self._open, Opening(batch, classes, now))
            for first in range(0, len(recipients), STAGE_ROWS):
                stretch = recipients[first : first + STAGE_ROWS]
                await self._ask(self._stage, Staging(batch_id, first, stretch, ids, batch.scheduled_at, now))
        except Doubtful as error:
            raise Unavailable("the list could not be written") from error  # what nobody sealed is nothing
        return int(batch_id)

    async def seal(self, batch_id: int, request: RequestKey | None, *, now: float) -> Answered:
        """See ports.store.Store."""
        return await self._ask(self._seal, Sealing(batch_id, request, now))

    async def note_answer(self, request: RequestKey, *, now: float) -> None:
        """See ports.store.Store."""
        await self._ask(self._note_answer, acts.Heard(request, now))
