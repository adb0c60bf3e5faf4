"""`cancel`: 100,000 wait; the answer, the rows behind it, and who waits meanwhile."""

import time
from collections.abc import Callable
from typing import Any

from outdial.lab.bench.ground import Ground, open_ground
from outdial.lab.bench.place import Place
from outdial.lab.bench.waits import hot_writes, spread
from outdial.ports.store import BatchRow

ANSWER_MS = 100
LONGEST_WAIT_MS = 250


async def measure(place: Place, *, people: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Plain, ours beside small writes, plain again: each on a list of its own."""
    async with open_ground(place) as ground:
        say(f"filling three lists of {people}")
        lists = [await ground.submit(people) for _ in range(3)]
        say("plain SQL")
        controls = [_plain(ground, lists[0])]
        say("cancel beside calls")
        async with hot_writes(ground) as hot:
            ground.store.writer.reset_stats()
            answered, done = await _cancel(ground, lists[1], people)
            waits = list(hot.waits)
        stats = ground.store.writer.reset_stats()
        controls.append(_plain(ground, lists[2]))
    control = sum(controls) / 2
    return {
        "people": people,
        "answer_ms": round(answered * 1000, 1),
        "rows_done_ms": round(done * 1000, 1),
        "control_ms": round(control * 1000, 1),
        "controls_ms": [round(c * 1000, 1) for c in controls],
        "ratio": round(done / control, 2),
        "longest_sweep_ms": round(stats.kind("sweep").longest_run * 1000, 1),
        "other_writes": spread(waits),
        "wanted": {"answer_ms": ANSWER_MS, "longest_wait_ms": LONGEST_WAIT_MS},
    }


async def _cancel(ground: Ground, batch: BatchRow, people: int) -> tuple[float, float]:
    """Seconds to the answer, and to the end of the row work."""
    began = time.perf_counter()
    answer = await ground.store.cancel(ground.workspace_id, batch.public_id, hang_up=False, now=time.time())
    answered = time.perf_counter() - began
    while await ground.store.sweep(now=time.time()):
        pass
    done = time.perf_counter() - began
    with ground.plain() as plain:
        ((waiting,),) = plain.rows("plain_waiting", batch_id=batch.id)
    if answer.taken != people or waiting:
        raise RuntimeError(f"the run is not to be believed: {answer.taken} were taken, {waiting} wait")
    return answered, done


def _plain(ground: Ground, batch: BatchRow) -> float:
    now = round(time.time() * 1_000_000)
    with ground.plain() as plain:
        began = time.perf_counter()
        plain.run("plain_cancel", batch_id=batch.id, now=now)
        plain.run("plain_unhop_all", batch_id=batch.id)
        plain.run("plain_cancelled", batch_id=batch.id)
        plain.commit()
        return time.perf_counter() - began
