"""The bench measures what it says: a small run, since figures are for the machine that has nothing else to do."""

from pathlib import Path

from outdial.lab.bench import submit
from outdial.lab.bench.place import open_place


async def test_questions_are_asked_beside_the_submits_and_as_often_without(tmp_path: Path) -> None:
    said: list[str] = []
    with open_place("sqlite", server=None, folder=tmp_path) as place:
        told = await submit.measure(place, people=400, submits=3, say=said.append)
    assert (told["people"], told["submits"], told["submit"]["n"]) == (400, 3, 3)
    for name in ("get", "list"):
        assert told[name]["n"] == told["control"][name]["n"] > 0
        assert told["ratio_of_p99"][name] > 0
    assert len(said) == 2
