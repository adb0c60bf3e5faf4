"""What the workspace says about whom may be called and when, for a look ahead."""

from collections.abc import Iterator
from typing import Any

from outdial.cli.client import Client


def count_suppressed(client: Client, numbers: Iterator[str]) -> int | None:
    """How many of these are on the do-not-call list; None where the server has no way to ask."""
    return None


def workspace_hours(client: Client) -> dict[str, Any] | None:
    """The workspace's calling hours, which count for a batch without its own."""
    return None
