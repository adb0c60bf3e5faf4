"""`outdial demo`: the main job by itself, on a server and a phone network of its own that are gone afterwards.

Forty people in a CSV; about a third are not reached at first. A retry calls exactly those, and at the end everyone who
can be reached was.
"""

import csv
import json
import os
import secrets
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from outdial.batches.lists.reading import open_people
from outdial.batches.lists.shape import Person
from outdial.cli import tell
from outdial.cli.client import Client, Failed, segment
from outdial.cli.watching import follow

PEOPLE = 40
RING_SECS, TALK_SECS = "0.3", "0.5"
AT_ONCE = 12
"""Calls at one time: few enough that one can watch them."""
UP_WITHIN_SECS = 30.0
PASS_WITHIN_SECS = 40.0
MOST_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """People whose number ends so, and what the network in a box does with them."""

    ending: str
    people: int
    story: str
    finally_: str
    """The outcome that they must have in the end."""


KINDS = (
    Kind("1486", 5, "busy once", "completed"),
    Kind("1408", 4, "does not answer once", "completed"),
    Kind("1503", 2, "network trouble once", "completed"),
    Kind("2408", 1, "does not answer twice", "completed"),
    Kind("0408", 1, "never answers", "no_answer"),
    Kind("0404", 1, "no such number", "invalid_number"),
    Kind("0301", 1, "an answering machine", "voicemail"),
)
ANSWERS = Kind("", PEOPLE - sum(kind.people for kind in KINDS), "answers", "completed")


def run() -> int:
    """Tell the story; 0 where everyone reachable was reached, else 1."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="outdial-demo-") as folder, _server(Path(folder)) as client:
        tell.out.print(f"[bold]1.[/] A server and a phone network of its own run on {client.url}")
        path = Path(folder) / "people.csv"
        _write_list(path)
        rounds = _dial(client, path)
    right = _told(rounds)
    tell.out.print(
        f"The whole story took {time.monotonic() - began:.0f} s; server, network and database are gone again."
    )
    return 0 if right else 1


# --- the story -----------------------------------------------------------------------------------------------------


def _dial(client: Client, path: Path) -> list[dict[str, str]]:
    """Call everyone once, then those who were not reached; each recipient's outcome after each round."""
    batch_id = _submit(client, path)
    rounds = [_round(client, batch_id)]
    for n in range(1, MOST_RETRIES + 1):
        seen = client.get(f"/batch-calling/{batch_id}/retry-preview")
        reachable = [kind for kind in KINDS if kind.finally_ == "completed"]
        if all(rounds[-1][one] == kind.finally_ for kind in reachable for one in _ids(kind)):
            break
        tell.out.print(
            f"[bold]{n + 2}.[/] POST …/{batch_id[:12]}…/retry calls exactly those {seen['would_call']} again"
        )
        client.post(f"/batch-calling/{batch_id}/retry")
        rounds.append(_round(client, batch_id))
    return rounds


def _submit(client: Client, path: Path) -> str:
    agent = client.post("/agents/create", {"name": "Demo", "conversation_config": {"agent": {"first_message": "Hi!"}}})
    number = {"provider": "loopback", "phone_number": "+49305550100", "label": "Demo"}
    number_id = client.post("/phone-numbers", number)["phone_number_id"]
    order = {
        "call_name": path.stem,
        "agent_id": agent["agent_id"],
        "agent_phone_number_id": number_id,
        "recipients": [person.recipient for person in _people(path)],
        "target_concurrency_limit": AT_ONCE,
    }
    batch = client.post("/batch-calling/submit", order)
    tell.out.print(f"[bold]2.[/] {path.name}, {PEOPLE} people, is batch {batch['id']}; everyone is called once")
    return str(batch["id"])


def _round(client: Client, batch_id: str) -> dict[str, str]:
    """Watch one pass to its end and say who was not reached."""
    follow(client, batch_id, within_secs=PASS_WITHIN_SECS)
    detailed = client.get(f"/batch-calling/{segment(batch_id)}")
    outcomes = {one["id"]: str(one["outcome"]) for one in detailed["recipients"]}
    counts = Counter(outcomes.values())
    words = ", ".join(f"{n} {tell.in_words(outcome)}" for outcome, n in counts.most_common())
    tell.out.print(f"   {words}")
    return outcomes


def _told(rounds: Sequence[Mapping[str, str]]) -> bool:
    """The table that tells the story; whether it ended as it must."""
    after = ["first call", *(f"retry {n}" for n in range(1, len(rounds)))]
    table = Table("number ends in", "people", "who", *after, "as it must be", box=None, pad_edge=False)
    right = True
    for kind in (ANSWERS, *KINDS):
        columns = [_summary([outcomes[one] for one in _ids(kind)]) for outcomes in rounds]
        fits = all(rounds[-1][one] == kind.finally_ for one in _ids(kind))
        right = right and fits
        table.add_row(kind.ending or "anything else", str(kind.people), kind.story, *columns, "yes" if fits else "NO")
    tell.out.print()
    tell.out.print(table)
    tell.out.print()
    reached = Counter(rounds[-1].values())["completed"]
    could = sum(kind.people for kind in (ANSWERS, *KINDS) if kind.finally_ == "completed")
    verdict = "everyone reachable was reached" if right else "NOT everyone reachable was reached"
    tell.out.print(f"[bold]{verdict}[/]: {reached} of {could}, with {len(rounds) - 1} retries.")
    return right


def _summary(outcomes: Sequence[str]) -> str:
    counts = Counter(outcomes)
    if len(counts) == 1:
        return tell.in_words(outcomes[0])
    return ", ".join(f"{n} {tell.in_words(outcome)}" for outcome, n in counts.most_common())


# --- the list ------------------------------------------------------------------------------------------------------


def _write_list(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "phone_number", "first_name"])
        for kind in (ANSWERS, *KINDS):
            for n, one in enumerate(_ids(kind)):
                rows.writerow([one, f"+4930{200 + n}{kind.ending or 5000 + n}", f"Person {n + 1}"])


def _people(path: Path) -> list[Person]:
    with path.open("rb") as file:
        return [row for row in open_people(file) if isinstance(row, Person)]


def _ids(kind: Kind) -> list[str]:
    return [f"{kind.ending or 'answers'}-{n + 1}" for n in range(kind.people)]


# --- the server ----------------------------------------------------------------------------------------------------


@contextmanager
def _server(folder: Path) -> Iterator[Client]:
    """A server on a free port with everything in this folder; ended when the story is over."""
    key = secrets.token_urlsafe(24)
    ours = {
        "OUTDIAL_API_KEY": key,
        "OUTDIAL_DATABASE": f"sqlite:///{folder}/demo.db",
        "OUTDIAL_CARRIER_RING_SECS": RING_SECS,
        "OUTDIAL_CARRIER_TALK_SECS": TALK_SECS,
        "OUTDIAL_CARRIER_LOG": str(folder / "carrier.log"),
        "OUTDIAL_STOP_SECS": "1",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
    command = [sys.executable, "-m", "outdial.cli.main", "serve", "--port", "0", "--json"]
    log = folder / "server.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**inherited, **ours})  # noqa: S603 - ourselves
    try:
        yield Client(_listening(process, log), key)
    finally:
        _end(process)


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server listens, once it says so."""
    ready: list[Any] = []
    if process.stdout is not None:
        ready, _, _ = select.select([process.stdout], [], [], UP_WITHIN_SECS)
    line = process.stdout.readline() if ready and process.stdout is not None else b""
    if not line:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"the server did not start:\n{tail}")
    return str(json.loads(line)["listening"])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
