"""How long to hold back after a setback, and how sick a trunk is."""

from dataclasses import dataclass, replace

from outdial.domain.limits import UNLIMITED

LONGEST = 300.0
"""Seconds."""
REFUSALS_BEFORE_PROBING = 3
FAULTS_BEFORE_HALT = 3


def backoff(n: int) -> float:
    """Seconds to wait after the setback number `n` (from 0) in a row: 1 s x 2^n, at most 5 minutes."""
    return min(LONGEST, 2.0 ** min(max(n, 0), 20))


def held_back(asked: float | None, setbacks: int) -> float:
    """Seconds until the next try: as long as the network asks for, at most 5 minutes, else by the setbacks so far."""
    return min(LONGEST, asked) if asked else backoff(setbacks)


@dataclass(frozen=True, slots=True)
class TrunkHealth:
    """What the last sends over a trunk say of it.

    Refused connections (nobody listens) make it probed: one call at a time, with a back-off, until one gets through.
    Errors that would hit every recipient alike (credentials, balance, caller id, …) halt it until somebody resumes it.
    """

    refusals: int = 0
    """Refused connections in a row; while probed, each probe counts when it goes out."""
    probe_at: float | None = None
    """Unix seconds before which nobody may try; None: not probed."""
    faults: int = 0
    """Halting errors in a row."""
    halted_reason: str = ""
    """For people; "" while it is not halted."""

    @property
    def halted(self) -> bool:
        """Whether nothing may be sent until somebody resumes it."""
        return bool(self.halted_reason)

    @property
    def probed(self) -> bool:
        """Whether only one call at a time may try it."""
        return self.probe_at is not None

    def room(self, now: float) -> int:
        """How many calls may be claimed for it now, as far as its health goes."""
        if self.halted:
            return 0
        if self.probe_at is None:
            return UNLIMITED
        return 1 if now >= self.probe_at else 0

    def refused(self, now: float) -> "TrunkHealth":
        """After a refused connection. While probed only the next probe comes nearer: its place is known to be free."""
        if self.probe_at is not None:
            return replace(self, probe_at=min(self.probe_at, now + backoff(self.refusals - REFUSALS_BEFORE_PROBING)))
        refusals = self.refusals + 1
        probe_at = now + backoff(0) if refusals >= REFUSALS_BEFORE_PROBING else None
        return replace(self, refusals=refusals, probe_at=probe_at)

    def probe_sent(self, now: float, *, answer_within: float) -> "TrunkHealth":
        """After a claim for a probed trunk: the next one may go when this one must have been answered, or later.

        `answer_within`: seconds, send deadline + place time-out. Changes nothing on a trunk that is not probed.
        """
        if not self.probed:
            return self
        wait = max(answer_within, backoff(self.refusals + 1 - REFUSALS_BEFORE_PROBING))
        return replace(self, refusals=self.refusals + 1, probe_at=now + wait)

    def reached(self) -> "TrunkHealth":
        """After the network took note of an order: it can be reached. Whether it takes the call is not said yet.

        So faults stay counted, and a trunk that one more would halt goes on being tried by one call at a time.
        """
        if self.faults >= FAULTS_BEFORE_HALT - 1:
            return self
        return replace(self, refusals=0, probe_at=None)

    def got_through(self) -> "TrunkHealth":
        """After a call that came to something, be it a refusal about itself alone. A halt stays: people lift it.

        Reports of calls that were placed before say nothing of the next send, and must not be counted here.
        """
        return replace(self, refusals=0, probe_at=None, faults=0)

    def fault(self, reason: str) -> "TrunkHealth":
        """After an error that would hit every recipient alike: the network answered, and the third in a row halts."""
        faults = self.faults + 1
        halted = self.halted_reason or (reason or "fault" if faults >= FAULTS_BEFORE_HALT else "")
        return replace(self, refusals=0, probe_at=None, faults=faults, halted_reason=halted)

    def resumed(self, now: float) -> "TrunkHealth":
        """After somebody lifted the halt: one call at a time tries it, and one more fault halts it again."""
        if not self.halted:
            return self
        return TrunkHealth(REFUSALS_BEFORE_PROBING - 1, now, FAULTS_BEFORE_HALT - 1, "")
