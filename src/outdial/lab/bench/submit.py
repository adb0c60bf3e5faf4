"""`submit`: lists of 10,000 sent one after the other, beside another client that asks for batches all the while."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from outdial.lab.bench.end_to_end import A_LIST
from outdial.lab.bench.filled import dialled
from outdial.lab.bench.ground import Ground, open_ground
from outdial.lab.bench.place import Place
from outdial.lab.bench.serving import Http, Refused, serving
from outdial.lab.bench.waits import PAUSE_SECS, spread

SUBMITS = 20
SMALL = 40
"""Batches that are there already, so that the list is a full page."""
LATER_SECS = 86_400
"""When the lists begin: what is measured is reading and keeping them, not calling."""
P99_MS = 100
WITHIN_SECS = 300.0

Times = dict[str, list[float]]


async def measure(place: Place, *, people: int, say: Callable[[str], None], submits: int = SUBMITS) -> dict[str, Any]:
    """The same questions beside the submits and, as often, without them."""
    people = min(people, A_LIST)
    async with open_ground(place) as ground:
        small = [await dialled(ground, 10) for _ in range(SMALL)]
        bodies = [_body(ground, n, people) for n in range(submits)]
    paths = {"get": f"/batch-calling/{small[0].public_id}?recipients=0", "list": "/batch-calling/workspace"}
    with serving(place, {}) as http, ThreadPoolExecutor(1) as other:
        for path in [*paths.values()] * 20:
            http.timed(path)
        submitter = http.again()
        _submitted(submitter, _body(ground, submits, people), people)  # the reader of big bodies has started
        say(f"{submits} submits of {people}, {len(bodies[0]) / 2**20:.1f} MiB each")
        sending = other.submit(lambda: [_submitted(submitter, body, people) for body in bodies])
        beside = _ask(http, paths, lambda: not sending.done())
        took = sending.result()
        say("the same without submits")
        alone = _ask(http, paths, _so_often(len(beside["get"])))
    return {
        "people": people,
        "submits": submits,
        "body_mib": round(len(bodies[0]) / 2**20, 1),
        "submit": spread(took),
        **{name: spread(times) for name, times in beside.items()},
        "control": {name: spread(times) for name, times in alone.items()},
        "ratio_of_p99": {name: _ratio(beside[name], alone[name]) for name in paths},
        "wanted": {"p99_ms": P99_MS},
    }


def _body(ground: Ground, nth: int, people: int) -> bytes:
    """One list, as a program would send it: each person with an id and a few variables."""
    order = {
        "call_name": f"bench {nth}",
        "agent_id": ground.agent.public_id,
        "agent_phone_number_id": ground.number.public_id,
        "scheduled_time_unix": int(time.time()) + LATER_SECS,
        "recipients": [_person(nth * people + i) for i in range(people)],
    }
    return json.dumps(order).encode()


def _person(i: int) -> dict[str, Any]:
    variables = {
        "name": f"Ada {i}",
        "city": "Saint Petersburg",
        "amount": i / 100,
        "vip": i % 7 == 0,
        "order": f"A-{i}",
    }
    data = {"dynamic_variables": variables, "user_id": f"user-{i}"}
    return {"id": f"customer-{i}", "phone_number": f"+1557{i:08d}", "conversation_initiation_client_data": data}


def _submitted(http: Http, body: bytes, people: int) -> float:
    """Seconds from the first byte to the answer; Refused unless everybody is in it."""
    began = time.perf_counter()
    made = http.ask("POST", "/batch-calling/submit", body)
    took = time.perf_counter() - began
    if made["total_calls_scheduled"] != people:
        raise Refused(f"a list of {people} became one of {made['total_calls_scheduled']}")
    return took


def _ask(http: Http, paths: dict[str, str], going: Callable[[], bool]) -> Times:
    """Each question in turn, as long as it goes on; how long each answer took."""
    times: Times = {name: [] for name in paths}
    until = time.monotonic() + WITHIN_SECS
    while going():
        if time.monotonic() > until:
            raise Refused(f"the submits took more than {WITHIN_SECS:g} s")
        for name, path in paths.items():
            times[name].append(http.timed(path))
            time.sleep(PAUSE_SECS)
    return times


def _so_often(n: int) -> Callable[[], bool]:
    left: Iterator[int] = iter(range(n))
    return lambda: next(left, None) is not None


def _ratio(beside: list[float], alone: list[float]) -> float:
    return round(spread(beside)["p99_ms"] / spread(alone)["p99_ms"], 1)
