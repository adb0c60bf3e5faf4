"""`read`: one batch without its recipients, and the list of batches, over HTTP beside a list of 100,000."""

import time
from collections.abc import Callable
from typing import Any

from outdial.lab.bench.filled import dialled
from outdial.lab.bench.ground import Ground, open_ground
from outdial.lab.bench.place import Place
from outdial.lab.bench.serving import serving
from outdial.lab.bench.waits import spread
from outdial.ports.store import BatchRow

TIMES = 300
SMALL = 40
"""Other batches, so that the list is a full page."""
AT_MOST_MS = 50


async def measure(place: Place, *, people: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Each question many times over one connection, beside its plain SELECT."""
    async with open_ground(place) as ground:
        say(f"filling a list of {people}, and {SMALL} small ones")
        for _ in range(SMALL):
            await dialled(ground, 10)
        big = await dialled(ground, people)
        say("plain SQL")
        plain = _plain(ground, big)
    say("reading")
    with serving(place, {}) as http:
        one, page = f"/batch-calling/{big.public_id}?recipients=0", "/batch-calling/workspace"
        for path in (one, page) * 10:
            http.timed(path)
        asked = {
            "get_without_recipients": spread([http.timed(one) for _ in range(TIMES)]),
            "list": spread([http.timed(page) for _ in range(TIMES)]),
            "get_first_1000_recipients": spread([http.timed(one.removesuffix("?recipients=0")) for _ in range(10)]),
        }
    return {"people": people, **asked, "control": plain, "wanted": {"at_most_ms": AT_MOST_MS}}


def _plain(ground: Ground, batch: BatchRow) -> dict[str, Any]:
    """Both SELECTs, without HTTP."""
    times: dict[str, list[float]] = {"plain_get": [], "plain_list": []}
    with ground.plain() as plain:
        for _ in range(TIMES):
            for name, taken in times.items():
                began = time.perf_counter()
                plain.rows(name, workspace_id=ground.workspace_id, public_id=batch.public_id)
                plain.commit()
                taken.append(time.perf_counter() - began)
    return {name: spread(taken) for name, taken in times.items()}
