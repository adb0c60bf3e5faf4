"""What happens to packets on their way: some are lost, some are late. By chance, and the same chance for each seed."""

import asyncio
import random
from collections.abc import Callable


class Weather:
    """One for all packets of the network."""

    def __init__(self, loss_percent: float = 0.0, jitter_ms: float = 0.0, seed: int = 0) -> None:
        self._loss = loss_percent / 100
        self._jitter = jitter_ms / 1000
        self._chance = random.Random(seed)  # noqa: S311 - weather, no secret

    def loses(self) -> bool:
        """Whether the next packet gets lost."""
        return self._loss > 0 and self._chance.random() < self._loss

    def carry(self, send: Callable[[], None]) -> None:
        """Send now, or a little later; a packet may overtake another."""
        if self._jitter > 0:
            asyncio.get_running_loop().call_later(self._chance.uniform(0, self._jitter), send)
        else:
            send()
