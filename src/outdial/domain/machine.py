"""How every state machine steps: one literal table, and a missing pair is an error."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from outdial.domain.errors import IllegalTransition

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def step(machine: str, table: Mapping[S, Mapping[E, S]], state: S, event: E) -> S:
    """The next state; raises IllegalTransition where the table has no such pair."""
    try:
        return table[state][event]
    except KeyError:
        raise IllegalTransition(machine, state, event) from None
