"""`retry`: 30,000 of 100,000 are queued again; the answer, the rows behind it, and who waits meanwhile."""

import time
from collections.abc import Callable
from typing import Any

from outdial.domain.outcome import Outcome
from outdial.lab.bench.filled import dialled, failed
from outdial.lab.bench.ground import Ground, open_ground
from outdial.lab.bench.place import Place
from outdial.lab.bench.waits import hot_writes, spread
from outdial.ports.store import BatchRow

LONGEST_WAIT_MS = 250


async def measure(place: Place, *, people: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Plain, ours alone, ours beside small writes, plain again: each on a list of its own."""
    async with open_ground(place) as ground:
        say(f"filling four lists of {people}")
        lists = [await dialled(ground, people) for _ in range(4)]
        say("plain SQL")
        controls = [_plain(ground, lists[0], people)]
        say("retry")
        answered, done = await _retry(ground, lists[1], people)
        say("retry beside calls")
        async with hot_writes(ground) as hot:
            ground.store.writer.reset_stats()
            beside_answered, beside_done = await _retry(ground, lists[2], people)
            waits = list(hot.waits)
        stats = ground.store.writer.reset_stats()
        controls.append(_plain(ground, lists[3], people))
    control = sum(controls) / 2
    return {
        "people": people,
        "retried": failed(people),
        "answer_ms": round(answered * 1000, 1),
        "rows_done_ms": round(done * 1000, 1),
        "control_ms": round(control * 1000, 1),
        "controls_ms": [round(c * 1000, 1) for c in controls],
        "ratio": round(done / control, 2),
        "beside_calls": {
            "answer_ms": round(beside_answered * 1000, 1),
            "rows_done_ms": round(beside_done * 1000, 1),
            "longest_sweep_ms": round(stats.kind("sweep").longest_run * 1000, 1),
            "other_writes": spread(waits),
        },
        "wanted": {"ratio_at_most": 2.0, "longest_wait_ms": LONGEST_WAIT_MS},
    }


async def _retry(ground: Ground, batch: BatchRow, people: int) -> tuple[float, float]:
    """Seconds to the answer, and to the end of the row work."""
    began = time.perf_counter()
    answer = await ground.store.retry(
        ground.workspace_id, batch.public_id, frozenset({Outcome.BUSY}), None, now=time.time()
    )
    answered = time.perf_counter() - began
    while await ground.store.sweep(now=time.time()):
        pass
    done = time.perf_counter() - began
    with ground.plain() as plain:
        ((waiting,),) = plain.rows("plain_waiting", batch_id=batch.id)
    if answer.taken != failed(people) or waiting != failed(people):
        raise RuntimeError(f"the run is not to be believed: {answer.taken} were taken, {waiting} wait")
    return answered, done


def _plain(ground: Ground, batch: BatchRow, people: int) -> float:
    now = round(time.time() * 1_000_000)
    with ground.plain() as plain:
        began = time.perf_counter()
        plain.run("plain_retry", batch_id=batch.id, now=now)
        plain.run("plain_hop", batch_id=batch.id)
        plain.run("plain_retried", batch_id=batch.id, n=failed(people))
        plain.commit()
        return time.perf_counter() - began
