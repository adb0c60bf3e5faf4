"""The gates before a send: never more than a number's rate in any sliding second."""

from outdial.domain.limits import Pacer


class Gates:
    """One gate for each phone number that has a rate; a changed rate makes a new gate that remembers the last sends."""

    def __init__(self) -> None:
        self._pacers: dict[int, Pacer] = {}

    def reserve(self, number_id: int, rate: float | None, now: float) -> float:
        """Take the next free place; seconds until it. `now` is boottime."""
        if rate is None:
            self._pacers.pop(number_id, None)
            return 0.0
        pacer = self._pacers.get(number_id)
        if pacer is None or pacer.rate != rate:
            pacer = self._pacers[number_id] = Pacer(rate, pacer.sends if pacer else Pacer(rate).sends)
        return pacer.reserve(now)

    def full(self, number_id: int, rate: float | None, now: float, *, longest: float) -> bool:
        """Whether the next free place is further away than `longest` seconds; takes none."""
        pacer = self._pacers.get(number_id)
        if rate is None or pacer is None:
            return rate is not None and rate <= 0
        return pacer.delay(now) > longest
