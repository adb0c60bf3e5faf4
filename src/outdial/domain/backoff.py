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
    unproven: bool = False
    """No call has shown yet that it takes calls: it is new, its settings were changed, or its halt was lifted."""

    @property
    def halted(self) -> bool:
        """Whether nothing may be sent until somebody resumes it."""
        return bool(self.halted_reason)

    @property
    def probed(self) -> bool:
        """Whether only one call at a time may try it."""
        return self.probe_at is not None

    def room(self, now: float, *, trying: int | None = None) -> int:
        """How many calls may be claimed for it now, as far as its health goes.

        `trying`: calls under way that may yet prove it; None: one of which nothing has to be proven first.
        """
        if self.halted or (self.probe_at is not None and now < self.probe_at):
            return 0
        room = UNLIMITED if self.probe_at is None else 1
        return room if trying is None else min(room, self.room_to_try(trying))

    def opens_at(self, now: float) -> float | None:
        """When the time alone makes room again; None: it takes a call that ends, or people."""
        return self.probe_at if self.probe_at is not None and self.probe_at > now else None

    def room_to_try(self, trying: int) -> int:
        """How many more may try it until one has proven it: with the faults so far no more than would halt it.

        So a trunk that refuses everybody costs as many calls as halt it, and one whose calls all end without proof
        always has room for another.
        """
        return max(0, FAULTS_BEFORE_HALT - self.faults - trying) if self.unproven else UNLIMITED

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

    def proven(self) -> "TrunkHealth":
        """After a call that tried it rang, was answered, or ended as one call does: all others may go."""
        return replace(self, unproven=False)

    def fault(self, reason: str) -> "TrunkHealth":
        """After an error that would hit every recipient alike: the network answered, and the third in a row halts."""
        faults = self.faults + 1
        halted = self.halted_reason or (reason or "fault" if faults >= FAULTS_BEFORE_HALT else "")
        return replace(self, refusals=0, probe_at=None, faults=faults, halted_reason=halted)

    def resumed(self, now: float) -> "TrunkHealth":
        """After somebody lifted the halt: one call at a time tries it, and one more fault halts it again."""
        if not self.halted:
            return self
        return TrunkHealth(REFUSALS_BEFORE_PROBING - 1, now, FAULTS_BEFORE_HALT - 1, "", unproven=True)
