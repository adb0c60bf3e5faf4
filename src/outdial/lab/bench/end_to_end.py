"""`end-to-end`: a real server, its call worker and the network in a box, with signed reports over HTTP."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from outdial.lab.bench.control import Chunks, dial
from outdial.lab.bench.ground import open_ground
from outdial.lab.bench.place import Place
from outdial.lab.bench.serving import Http, serving

A_LIST = 10_000
"""The most recipients of one compatible submit."""
AT_ONCE = 20_000
CHUNKS = Chunks(20, 20, 20)
"""Of the control: what a server under this load has about; its own are not told to the outside."""
WITHIN_SECS = 900.0
WANTED = 170


async def measure(place: Place, *, calls: int, talk_secs: float, say: Callable[[str], None]) -> dict[str, Any]:
    """First calls that are over at once, then calls that talk for a while; the network's log is the judge."""
    async with open_ground(place) as ground:
        say("plain SQL")
        control = dial(ground, await ground.submit(min(calls, A_LIST)), CHUNKS)
    say(f"{calls} calls that end at once")
    quick = _dial(place, calls, talk_secs=0.0)
    say(f"{calls} calls of {talk_secs:g} s")
    talking = _dial(place, calls, talk_secs=talk_secs)
    return {
        "calls": calls,
        "calls_per_s": quick["calls_per_s"],
        "control_calls_per_s": round(control),
        "ratio": round(quick["calls_per_s"] / control, 3),
        "at_once": quick,
        "talking": {"talk_secs": talk_secs, **talking},
        "wanted": {"calls_per_s": WANTED},
    }


def _dial(place: Place, calls: int, *, talk_secs: float) -> dict[str, Any]:
    log = place.folder / f"carrier-{talk_secs:g}.log"
    settings = {
        "OUTDIAL_CARRIER_RING_SECS": "0",
        "OUTDIAL_CARRIER_TALK_SECS": f"{talk_secs:g}",
        "OUTDIAL_CARRIER_LOG": str(log),
        "OUTDIAL_WORKSPACE_CONCURRENCY": str(AT_ONCE),
        "OUTDIAL_CALLS_PER_WORKER": str(AT_ONCE),
    }
    with serving(place, settings) as http:
        began = time.perf_counter()
        batches = _submit(http, calls)
        submitted = time.perf_counter() - began
        _wait(http, batches)
        secs = time.perf_counter() - began
    return {**_judged(log, calls), "secs_from_submit_to_completed": round(secs, 1), "submit_secs": round(submitted, 1)}


def _submit(http: Http, calls: int) -> list[str]:
    agent = http.ask("POST", "/agents/create", {"name": "bench", "conversation_config": {}})["agent_id"]
    number = {"provider": "loopback", "phone_number": "+15550001000", "label": "bench"}
    number_id = http.ask("POST", "/phone-numbers", number)["phone_number_id"]
    ids = []
    for first in range(0, calls, A_LIST):
        people = [{"phone_number": f"+1556{i:07d}5555"} for i in range(first, min(first + A_LIST, calls))]
        order = {
            "call_name": f"bench {first}",
            "agent_id": agent,
            "agent_phone_number_id": number_id,
            "recipients": people,
            "target_concurrency_limit": AT_ONCE,
        }
        ids.append(http.ask("POST", "/batch-calling/submit", order)["id"])
    return ids


def _wait(http: Http, batches: list[str]) -> None:
    until = time.monotonic() + WITHIN_SECS
    for batch in batches:
        while http.ask("GET", f"/batch-calling/{batch}?recipients=0")["status"] != "completed":
            if time.monotonic() > until:
                raise RuntimeError(f"batch {batch} was not over after {WITHIN_SECS:.0f} s")
            time.sleep(0.1)


def _judged(log: Path, calls: int) -> dict[str, Any]:
    """What the network saw: everybody once, how fast, how many at a time."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    dialled = sorted(event["t"] for event in events if event["event"] == "dialled")
    ended = sorted(event["t"] for event in events if event["event"] == "ended")
    numbers = {event["number"] for event in events if event["event"] == "dialled"}
    if not len(dialled) == len(numbers) == len(ended) == calls:
        raise RuntimeError(f"the run is not to be believed: {len(dialled)} calls to {len(numbers)} people")
    tenth = calls // 10
    sustained = (len(dialled) - 2 * tenth) / max(dialled[-tenth - 1] - dialled[tenth], 1e-9)
    return {
        "calls_per_s": round(calls / max(ended[-1] - dialled[0], 1e-9)),
        "dialled_per_s_in_the_middle": round(sustained),
        "most_at_a_time": _most(dialled, ended),
    }


def _most(dialled: list[float], ended: list[float]) -> int:
    most = over = 0
    for n, at in enumerate(dialled):
        while over < len(ended) and ended[over] <= at:
            over += 1
        most = max(most, n + 1 - over)
    return most
