"""`outdial demo`: the main job by itself, on a server and a phone network of its own that are gone afterwards.

Forty people in a CSV, called over SIP with an agent who greets them by name; about a third are not reached at first. A
retry calls exactly those, and at the end everyone who can be reached was. Some recordings stay, to be listened to.
"""

import csv
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from outdial.batches.lists.reading import open_people
from outdial.batches.lists.shape import Person
from outdial.cli import tell
from outdial.cli.client import Client, Refused, segment
from outdial.cli.stage import Stage, can_call_over_sip, stage
from outdial.cli.watching import follow

PEOPLE = 40
RING_SECS, TALK_SECS = 0.2, 1.0
AT_ONCE = 20
"""Calls at one time: few enough that one can watch them."""
PASS_WITHIN_SECS = 40.0
MOST_RETRIES = 3
FIRST_MESSAGE = "Hello {{first_name}}, this is Outdial."
NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ida", "Jon", "Kim", "Lea", "Max", "Nina", "Otto")
KEPT = Path("outdial-demo")
"""Where recordings stay."""


@dataclass(frozen=True, slots=True)
class Kind:
    """People whose number ends so, and what the network in a box does with them."""

    ending: str
    people: int
    story: str
    finally_: str
    """The outcome that they must have in the end."""

    @property
    def reachable(self) -> bool:
        """Whether anybody is there to be reached."""
        return self.finally_ == "completed"

    def fits(self, outcome: str) -> bool:
        """Whether it ended as it must."""
        return outcome == self.finally_


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


ALL = (ANSWERS, *KINDS)
HEARD = {"answers-1": "answered at once", "1486-1": "was busy, and was reached by the retry", "0301-1": "a machine"}
"""Recipients whose recordings are kept, and what became of them."""


def run() -> int:
    """Tell the story; 0 where everyone reachable was reached, else 1."""
    began = time.monotonic()
    sip = can_call_over_sip()
    with (
        tempfile.TemporaryDirectory(prefix="outdial-demo-") as folder,
        stage(Path(folder), ring_secs=RING_SECS, talk_secs=TALK_SECS, sip=sip) as here,
    ):
        tell.out.print(f"[bold]1.[/] A server runs on {here.client.url}, {_network(here)}")
        path = Path(folder) / "people.csv"
        _write_list(path)
        batch_id = _submit(here, path)
        rounds = _dial(here.client, batch_id)
        right = _told(rounds)
        if sip:
            _keep(here.client, batch_id)
    tell.out.print(
        f"The whole story took {time.monotonic() - began:.0f} s; server, network and database are gone again."
    )
    return 0 if right else 1


# --- the story -----------------------------------------------------------------------------------------------------


def _network(here: Stage) -> str:
    if here.trunk is not None:
        return f"a phone network in a box on {here.trunk}: a SIP trunk, with audio"
    why = "the extra `sip` does not work on this machine"
    return f"a phone network in a box beside it, called by HTTP and without audio: {why}"


def _dial(client: Client, batch_id: str) -> list[dict[str, str]]:
    """Call everyone once, then those who were not reached; each recipient's outcome after each round."""
    rounds = [_round(client, batch_id)]
    for n in range(1, MOST_RETRIES + 1):
        seen = client.get(f"/batch-calling/{batch_id}/retry-preview")
        if all(kind.fits(rounds[-1][one]) for kind in KINDS if kind.reachable for one in _ids(kind)):
            break
        tell.out.print(
            f"[bold]{n + 2}.[/] POST …/{batch_id[:12]}…/retry calls exactly those {seen['would_call']} again"
        )
        client.post(f"/batch-calling/{batch_id}/retry")
        rounds.append(_round(client, batch_id))
    return rounds


def _submit(here: Stage, path: Path) -> str:
    client = here.client
    says = {"conversation_config": {"agent": {"first_message": FIRST_MESSAGE, "language": "en"}}}
    agent = client.post("/agents/create", {"name": "Demo", **says})
    number: dict[str, Any] = {"provider": "loopback", "phone_number": "+49305550100", "label": "Demo"}
    if here.trunk is not None:
        trunk = {"address": here.trunk, "transport": "udp"}
        number |= {"provider": "sip_trunk", "outbound_trunk_config": trunk}
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
    outcomes = {one["id"]: str(one["outcome"]) for one in _recipients(client, batch_id)}
    counts = Counter(outcomes.values())
    words = ", ".join(f"{n} {tell.in_words(outcome)}" for outcome, n in counts.most_common())
    tell.out.print(f"   {words}")
    return outcomes


def _told(rounds: Sequence[Mapping[str, str]]) -> bool:
    """The table that tells the story; whether it ended as it must."""
    after = ["first call", *(f"retry {n}" for n in range(1, len(rounds)))]
    table = Table("number ends in", "people", "who", *after, "as it must be", box=None, pad_edge=False)
    right = True
    for kind in ALL:
        columns = [_summary([outcomes[one] for one in _ids(kind)]) for outcomes in rounds]
        fits = all(kind.fits(rounds[-1][one]) for one in _ids(kind))
        right = right and fits
        table.add_row(kind.ending or "anything else", str(kind.people), kind.story, *columns, "yes" if fits else "NO")
    tell.out.print()
    tell.out.print(table)
    tell.out.print()
    reachable = [one for kind in ALL if kind.reachable for one in _ids(kind)]
    reached, could = sum(rounds[-1][one] == "completed" for one in reachable), len(reachable)
    verdict = "everyone reachable was reached" if right else "NOT everyone reachable was reached"
    tell.out.print(f"[bold]{verdict}[/]: {reached} of {could}, with {len(rounds) - 1} retries.")
    return right


def _keep(client: Client, batch_id: str) -> None:
    """Put some recordings where they can be played afterwards, and say where."""
    calls = {one["id"]: one["conversation_id"] for one in _recipients(client, batch_id)}
    try:
        KEPT.mkdir(exist_ok=True)
        for one, who in HEARD.items():
            path = KEPT / f"{one}.wav"
            path.write_bytes(b"".join(client.stream(f"/conversations/{segment(calls[one])}/audio?format=wav")))
            tell.out.print(f"   {path}: {who}; the person left, the agent right", highlight=False)
    except (OSError, Refused) as error:
        tell.out.print(f"   recordings could not be kept in {KEPT}: {error}")


def _recipients(client: Client, batch_id: str) -> list[dict[str, Any]]:
    detailed: list[dict[str, Any]] = client.get(f"/batch-calling/{segment(batch_id)}")["recipients"]
    return detailed


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
        names = itertools.cycle(NAMES)
        for kind in reversed(ALL):  # whoever talks to a machine talks longest, and begins
            for n, one in enumerate(_ids(kind)):
                rows.writerow([one, f"+4930{200 + n}{kind.ending or 5000 + n}", next(names)])


def _people(path: Path) -> list[Person]:
    with path.open("rb") as file:
        return [row for row in open_people(file) if isinstance(row, Person)]


def _ids(kind: Kind) -> list[str]:
    return [f"{kind.ending or 'answers'}-{n + 1}" for n in range(kind.people)]
