"""Batches with the words for why nobody is being dialled: from a few rows by key, whatever the lists' lengths."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from outdial.domain import batch as batches
from outdial.domain.call import SEND_SECS
from outdial.domain.daily import Quota, day_of
from outdial.domain.errors import Invalid
from outdial.domain.holdup import ALL_LISTED, Front, Holdup, Limit, Queue, in_doubt, open_queues, why, why_held_back
from outdial.domain.limits import Bucket, batch_cap
from outdial.domain.window import CallingHours, parse
from outdial.ports.store import BatchRow
from outdial.store.dialling import health_of, trying_of
from outdial.store.instants import micros, seconds
from outdial.store.ledger import NOBODY, bucket_keys
from outdial.store.op import Reads, Row
from outdial.store.rows import batch_row, quotas_of

FRONT = 50
"""People in front who are looked at; a turn of the dispatcher takes no more of a batch."""
MOST_CLASSES = 5
QUIET_SECS = 2.0
"""A batch of which somebody was claimed so short ago is being dialled."""
SILENT_SECS = 15.0
"""A call of which nothing was heard for so long since it was sent is in doubt: networks answer sooner."""
NAMES = ("workspace", "agent", "phone number", "trunk", "batch")


def explained(tx: Reads, rows: Sequence[Row], now: int) -> list[BatchRow]:
    """The batches of these rows of `batch_view`, each with its `status_reason` at this time (micros)."""
    waiting = {row.id: row for row in rows if _waits(row)}
    queues = _queues(tx, waiting)
    buckets = _buckets(tx, list(waiting.values()))
    quotas = _quotas(tx, waiting, now)
    doubts = _doubts(tx, rows, now)
    return [
        _with_doubt(
            _waiting(tx, row, queues[row.id], buckets, quotas.get(row.agent_id), now)
            if row.id in waiting
            else _over(batch_row(row)),
            doubts.get(row.id),
        )
        for row in rows
    ]


def _doubts(tx: Reads, rows: Sequence[Row], now: int) -> dict[int, Row]:
    """Of batches that have calls up; also of those that were cancelled, whose calls end as they are."""
    ids = sorted(row.id for row in rows if row.finished < row.scheduled)
    if not ids:
        return {}
    found = tx.rows("in_doubt", ids=ids, nobody=NOBODY, send_secs=SEND_SECS, silent_since=now - micros(SILENT_SECS))
    return {row.batch_id: row for row in found}


def _with_doubt(batch: BatchRow, doubt: Row | None) -> BatchRow:
    if doubt is None:
        return batch
    words = in_doubt(doubt.calls, seconds(doubt.over_at), batch.timezone)
    return replace(batch, status_reason=f"{batch.status_reason}. {words}" if batch.status_reason else words)


def _waits(row: Row) -> bool:
    return row.status in batches.OPEN and row.dispatched < row.scheduled and row.number_id is not None


def _over(batch: BatchRow) -> BatchRow:
    listed = batch.suppressed and batch.suppressed == batch.counters.scheduled
    if batch.counters.over and listed and not batch.status_reason:
        return replace(batch, status_reason=ALL_LISTED)
    return batch


def _queues(tx: Reads, waiting: dict[int, Row]) -> dict[int, list[Row]]:
    queues: dict[int, list[Row]] = defaultdict(list)
    for row in tx.rows("queues_of", ids=sorted(waiting)) if waiting else ():
        if row.next_due is not None:
            queues[row.batch_id].append(row)
    return queues


def _buckets(tx: Reads, rows: Sequence[Row]) -> dict[str, Row]:
    keys = sorted({key for row in rows for key in _keys(row)})
    return {row.key: row for row in tx.rows("buckets_by_key", keys=keys)} if keys else {}


def _quotas(tx: Reads, waiting: dict[int, Row], now: int) -> dict[int, Quota]:
    if not waiting:
        return {}
    return quotas_of(tx.rows("quotas_of_batches", ids=sorted(waiting), day=day_of(seconds(now))))


def _keys(row: Row) -> tuple[str, ...]:
    return bucket_keys(row.workspace_id, row.agent_id, row.number_id, row.trunk, row.id)


def _waiting(
    tx: Reads, row: Row, queues: list[Row], buckets: dict[str, Row], today: Quota | None, now: int
) -> BatchRow:
    batch = batch_row(row)
    at = seconds(now)
    limits = {key: buckets[key] for key in _keys(row) if key in buckets}
    hours, hours_of = _hours(batch)
    holdup = Holdup(
        zone=batch.timezone,
        scheduled_at=batch.scheduled_at,
        paused=batch.paused,
        halted_reason=row.halted_reason,
        probe_at=_maybe(limits, row.trunk),
        hours=hours,
        hours_of=hours_of,
        queues=tuple(Queue(queue.key or "", seconds(queue.next_due)) for queue in queues),
        limits=_limits(batch, row, limits),
        today=today,
        asked=_asked(tx, row),
        trying=_trying(tx, row, limits.get(row.trunk), now),
        **_rate(limits.get(f"n:{row.number_id}"), at),
    )
    reason = why(holdup, at)
    if not reason and not _dialled(row, limits, now):
        reason = why_held_back(holdup, _fronts(tx, row, holdup, queues, at), at)
    return replace(batch, status_reason=reason)


def _hours(batch: BatchRow) -> tuple[CallingHours | None, str]:
    whose = "batch" if batch.calling_hours is not None else "workspace"
    try:
        return parse(batch.hours), whose
    except Invalid:
        return CallingHours(()), whose  # a zone left the machine's time zone data: nobody is called


def _asked(tx: Reads, row: Row) -> tuple[str, float] | None:
    said = tx.one("probe_of", trunk=row.trunk) if row.halted_reason else None
    return None if said is None else (said.says, seconds(said.said_at))


def _trying(tx: Reads, row: Row, trunk: Row | None, now: int) -> int | None:
    """How many try an unproven trunk, once that has kept the others waiting for a while."""
    if trunk is None or not trunk.unproven or row.last_served > now - micros(QUIET_SECS):
        return None
    trying = trying_of(tx, [trunk.key]).get(trunk.key, 0)
    return trying if trying and not health_of(trunk).room_to_try(trying) else None


def _maybe(limits: dict[str, Row], trunk: str) -> float | None:
    probe_at = limits[trunk].probe_at if trunk in limits else None
    return None if probe_at is None else seconds(probe_at)


def _limits(batch: BatchRow, row: Row, buckets: dict[str, Row]) -> tuple[Limit, ...]:
    """The widest first: what holds up the workspace holds up everybody."""
    caps = {key: bucket.cap for key, bucket in buckets.items()}
    workspace, agent, *_, own = _keys(row)
    caps[own] = batch_cap(workspace=caps.get(workspace), agent=caps.get(agent), target=batch.target_concurrency_limit)
    return tuple(
        Limit(name, caps[key], buckets[key].live) for name, key in zip(NAMES, _keys(row), strict=True) if key in buckets
    )


def _rate(number: Row | None, now: float) -> dict[str, Any]:
    if number is None or number.rate is None:
        return {"rate": None, "rate_wait": 0.0}
    bucket = Bucket(number.cap, number.live, number.rate, number.tokens, seconds(number.refilled_at))
    return {"rate": number.rate, "rate_wait": bucket.when_next(now)}


def _dialled(row: Row, buckets: dict[str, Row], now: int) -> bool:
    """Whether somebody of the batch is in a call, or was claimed just now."""
    own = buckets.get(f"b:{row.id}")
    up = own is not None and own.live > 0
    return up or bool(row.last_served > now - micros(QUIET_SECS))


def _fronts(tx: Reads, row: Row, holdup: Holdup, queues: list[Row], now: float) -> list[Front]:
    """Who is first in each class that is open; nobody where there are too many classes to look at."""
    keys = {queue.key for queue in open_queues(holdup, now)}
    classes = [queue.window_class for queue in queues if (queue.key or "") in keys]
    if len(classes) > MOST_CLASSES:
        return []
    place = {"workspace_id": row.workspace_id, "batch_id": row.id, "generation": row.generation, "limit": FRONT}
    return [
        Front(bool(front.busy), front.setbacks, seconds(front.due_at))
        for window_class in classes
        for front in tx.rows("hopper_front", window_class=window_class, **place)
    ]
