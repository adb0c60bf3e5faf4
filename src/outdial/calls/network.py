"""The networks that this node can dial over."""

from collections.abc import Mapping
from dataclasses import dataclass

from outdial.ports.lines import Lines, LinesTraits


@dataclass(frozen=True, slots=True)
class Network:
    """One provider: its lines, what it can do, and how many calls it can have in hand here."""

    lines: Lines
    traits: LinesTraits
    capacity: int


Networks = Mapping[str, Network]
"""By the provider's name."""
