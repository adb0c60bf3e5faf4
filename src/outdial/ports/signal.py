"""How one room wakes another, in process or across nodes, without seeing it."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Protocol


class Topic(StrEnum):
    """What can have happened."""

    WORK = "work"
    """Somebody may be due: submitted, retried, resumed, a slot is free."""
    STOP = "stop"
    """Calls are to be given up: a batch was cancelled or deleted."""
    SWEEP = "sweep"
    """A decision has rows left to carry out."""


class Signal(Protocol):
    """Wake-ups; losing one costs time (a poll is behind it), never correctness."""

    async def ring(self, topic: Topic) -> None:
        """Wake whoever listens to the topic, here and on every node."""
        ...

    def listen(self, *topics: Topic) -> AsyncIterator[frozenset[Topic]]:
        """The topics that rang since the last turn; several rings may become one."""
        ...
