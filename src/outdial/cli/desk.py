"""Agents and phone numbers as people name them: by id, by name, by the number itself."""

from collections.abc import Iterator
from typing import Any

from outdial.cli.client import Client, Failed, segment
from outdial.domain.number import ImpossibleNumber, canonical

_SHOWN = 10


def agent_id(client: Client, given: str) -> str:
    """The id of the agent that is meant; names are told apart by case only where they must be."""
    if given.startswith("agent_"):
        return given
    rows = list(agents(client, search=given))
    found = [row for row in rows if row["name"] == given]
    found = found or [row for row in rows if row["name"].casefold() == given.casefold()]
    if len(found) == 1:
        return str(found[0]["agent_id"])
    if found:
        ids = ", ".join(row["agent_id"] for row in found[:_SHOWN])
        raise Failed(f"{len(found)} agents are called {given!r}; give the id of one: {ids}")
    known = ", ".join(repr(row["name"]) for _, row in zip(range(_SHOWN), agents(client), strict=False))
    raise Failed(f"no agent is called {given!r}; " + (f"there are {known}" if known else "there is none yet"))


def number_id(client: Client, given: str) -> str:
    """The id of the phone number that is meant."""
    if given.startswith("phnum_"):
        return given
    try:
        wanted = canonical(given)
    except ImpossibleNumber as error:
        raise Failed(
            f"a number is named by its id, phnum_…, or by itself; {given!r} is neither: {error.message}"
        ) from None
    rows = numbers(client)
    ids = [str(row["phone_number_id"]) for row in rows if row["phone_number"] == wanted]
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise Failed(f"{len(ids)} numbers here are {wanted}; give the id of one: {', '.join(ids[:_SHOWN])}")
    known = ", ".join(row["phone_number"] for row in rows[:_SHOWN])
    raise Failed(
        f"no number here is {wanted}; "
        + (f"there are {known}" if known else "there is none yet: `outdial numbers create` makes one")
    )


def agent(client: Client, given: str) -> dict[str, Any]:
    """The agent that is meant, whole."""
    whole: dict[str, Any] = client.get(f"/agents/{segment(agent_id(client, given))}")
    return whole


def agents(client: Client, search: str | None = None) -> Iterator[dict[str, Any]]:
    """The workspace's agents, page by page."""
    cursor = None
    while True:
        page = client.get("/agents", page_size=100, search=search, cursor=cursor)
        yield from page["agents"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return


def numbers(client: Client) -> list[dict[str, Any]]:
    """The workspace's numbers."""
    rows: list[dict[str, Any]] = client.get("/phone-numbers")
    return rows
