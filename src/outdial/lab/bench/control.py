"""The control of `dispatch`: the same row writes as plain set-based SQL, in chunks as large as the run itself had."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec

from outdial.lab.bench.ground import TRUNK, Ground
from outdial.lab.bench.plain import Plain
from outdial.ports.store import BatchRow
from outdial.runtime.ids import new_call_key

ENDING = '{"outcome":"completed","reason":"hung_up"}'
CHECK_LATER = 30_000_000


@dataclass(frozen=True, slots=True)
class Chunks:
    """How many calls went into one transaction's claim, GO and settle."""

    claim: int
    go: int
    settle: int


def typical(sizes: Counter[int]) -> int:
    """The size of the chunk that half of all calls were at least in: large chunks make a quick control."""
    total, seen = sum(size * n for size, n in sizes.items()), 0
    for size in sorted(sizes, reverse=True):
        seen += size * sizes[size]
        if seen * 2 >= total:
            return size
    return 1


def dial(ground: Ground, batch: BatchRow, chunks: Chunks) -> float:
    """Take everybody of this list from waiting to completed; calls a second."""
    with ground.plain() as plain:
        control = _Control(plain, ground, batch)
        began = time.perf_counter()
        claimed: list[tuple[str, int]] = []
        while (some := control.claim(chunks.claim)) or claimed:
            claimed += some
            enough = len(some) < chunks.claim  # the last ones
            while len(claimed) >= max(chunks.go, chunks.settle) or (enough and claimed):
                n = max(chunks.go, chunks.settle)
                under_way, claimed = claimed[:n], claimed[n:]
                for first in range(0, len(under_way), chunks.go):
                    control.go(under_way[first : first + chunks.go])
                for first in range(0, len(under_way), chunks.settle):
                    control.settle(under_way[first : first + chunks.settle])
        return batch.counters.scheduled / (time.perf_counter() - began)


class _Control:
    """The three transactions of a call."""

    def __init__(self, plain: Plain, ground: Ground, batch: BatchRow) -> None:
        self._plain = plain
        self._batch = batch
        keys = sorted(
            [f"w:{ground.workspace_id}", f"a:{ground.agent.id}", f"n:{ground.number.id}", TRUNK, f"b:{batch.id}"]
        )
        self._common: dict[str, Any] = {
            "batch_id": batch.id,
            "workspace_id": ground.workspace_id,
            "agent_id": ground.agent.id,
            "number_id": ground.number.id,
            "trunk": TRUNK,
            "due_at": round(batch.scheduled_at * 1_000_000),
            "ending": ENDING,
        }
        self._buckets = msgspec.json.encode(keys).decode() if plain.engine == "sqlite" else keys

    def claim(self, n: int) -> list[tuple[str, int]]:
        now = self._now()
        ords = [ord_ for (ord_,) in self._plain.rows("plain_candidates", n=n, **now)]
        if not ords:
            self._plain.commit()
            return []
        calls = [(new_call_key(), ord_) for ord_ in ords]
        given = {**now, **self._given(calls)}
        self._plain.run("plain_intend", **given)
        self._plain.run("plain_unhop", **given)
        self._plain.run("plain_dispatched", **given)
        self._plain.run("plain_day", n=len(calls), **now)
        self._move(now, slots=len(calls), dispatched=len(calls), finished=0)
        self._plain.commit()
        return calls

    def go(self, calls: list[tuple[str, int]]) -> None:
        self._plain.run("plain_go", **self._now(), **self._given(calls))
        self._plain.commit()

    def settle(self, calls: list[tuple[str, int]]) -> None:
        now = self._now()
        given = {**now, **self._given(calls)}
        for name in ("plain_ended", "plain_words", "plain_outbox", "plain_completed"):
            self._plain.run(name, **given)
        self._plain.run("plain_tally", n=len(calls), **now)
        self._move(now, slots=-len(calls), dispatched=0, finished=len(calls))
        self._plain.commit()

    def _move(self, now: dict[str, Any], *, slots: int, dispatched: int, finished: int) -> None:
        self._plain.run("plain_slots", n=slots, keys=self._buckets, **now)
        self._plain.run("plain_batch", dispatched=dispatched, finished=finished, status="in_progress", **now)

    def _now(self) -> dict[str, Any]:
        now = round(time.time() * 1_000_000)
        return {**self._common, "now": now, "check_at": now + CHECK_LATER}

    def _given(self, calls: list[tuple[str, int]]) -> dict[str, Any]:
        if self._plain.engine == "sqlite":
            rows = [(key, ord_, self._batch.id) for key, ord_ in calls]
            return {"calls": msgspec.json.encode(rows).decode()}
        return {"keys": [key for key, _ in calls], "ords": [ord_ for _, ord_ in calls]}
