"""`submit`: lists of 10,000 people come in over HTTP, one after the other, while another client reads."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from outdial.lab.bench.end_to_end import A_LIST
from outdial.lab.bench.place import Place
from outdial.lab.bench.serving import Http, serving
from outdial.lab.bench.waits import spread

LISTS = 6
ALONE = 300
LATER = 4_000_000_000
"""Nobody is dialled: reading the lists is measured."""
AT_MOST_MS = 100


async def measure(place: Place, *, say: Callable[[str], None]) -> dict[str, Any]:
    """How long a GET takes with nobody beside it, and with a submit; and how long the submits take."""
    with serving(place, {}) as http:
        head = _head(http)
        small = http.ask("POST", "/batch-calling/submit", {**head, "recipients": _people(10)})["id"]
        path = f"/batch-calling/{small}?recipients=0"
        for _ in range(20):
            http.timed(path)
        say("reading alone")
        alone = [http.timed(path) for _ in range(ALONE)]
        say(f"reading beside {LISTS} lists of {A_LIST} people")
        body = json.dumps({**head, "recipients": _people(A_LIST)}).encode()
        submits: list[float] = []
        incoming = threading.Thread(target=_submit, args=(http.again(), body, submits))
        incoming.start()
        beside = []
        while incoming.is_alive():
            beside.append(http.timed(path))
        incoming.join()
    if len(submits) < LISTS:
        raise RuntimeError(f"{len(submits)} of {LISTS} lists were taken")
    return {
        "people": A_LIST,
        "body_bytes": len(body),
        "get_alone": spread(alone),
        "get_beside": spread(beside),
        "submit": spread(submits),
        "wanted": {"get_beside_p99_at_most_ms": AT_MOST_MS},
    }


def _head(http: Http) -> dict[str, Any]:
    agent = http.ask("POST", "/agents/create", {"name": "bench", "conversation_config": {}})["agent_id"]
    number = {"provider": "loopback", "phone_number": "+15550001000", "label": "bench"}
    number_id = http.ask("POST", "/phone-numbers", number)["phone_number_id"]
    return {"call_name": "bench", "agent_id": agent, "agent_phone_number_id": number_id, "scheduled_time_unix": LATER}


def _people(n: int) -> list[dict[str, Any]]:
    variables = {"first_name": "Ada", "last_name": "Lovelace", "city": "Frankfurt am Main", "amount": 36.5}
    data = {"dynamic_variables": variables}
    return [
        {"id": f"c{i}", "phone_number": f"+49301{i:07d}", "conversation_initiation_client_data": data} for i in range(n)
    ]


def _submit(http: Http, body: bytes, took: list[float]) -> None:
    for n in range(LISTS):
        began = time.perf_counter()
        http.ask("POST", "/batch-calling/submit", body.replace(b'"bench"', b'"bench %d"' % n, 1))  # no twin of another
        took.append(time.perf_counter() - began)
