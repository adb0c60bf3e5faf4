"""What the workspace says about whom may be called and when, for a look ahead."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from outdial.cli.client import Client

AT_ONCE = 5_000
"""Numbers in one question."""


def count_suppressed(client: Client, numbers: Iterable[str]) -> int:
    """How many of these people are on the do-not-call list."""
    left = iter(numbers)
    count = 0
    while asked := list(islice(left, AT_ONCE)):
        told = client.post("/do-not-call/check", {"phone_numbers": asked})
        found = {one["phone_number"] for one in told["suppressed"]}
        count += sum(number in found for number in asked)
    return count


def workspace_hours(client: Client) -> dict[str, Any] | None:
    """The workspace's calling hours, which count for a batch without its own."""
    hours: dict[str, Any] | None = client.get("/settings").get("calling_hours")
    return hours
