"""How many calls at once and how fast: the percentage rule, the shared bucket, the exact gate before each send.

The bucket is shared (the store keeps it) and says how many may be claimed now. The gate is a node's own and holds each
send until no sliding second has more of them than the limit.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from outdial.domain.errors import OverLimit

PACE_MARGIN = 0.05
"""How much slower than allowed we go, so that delays on the way to the network don't squeeze sends together."""
CLOCK_SLACK = 5.0
"""Seconds. A bucket refilled further in the future than this was refilled by a clock that has been put back since."""
UNLIMITED = 2**31 - 1
"""Room where there is no limit."""

_EPSILON = 1e-9  # float dust: 0.1 refilled ten times is a token


def limit(number: int | None) -> int | None:
    """A limit as people write it: -1 means none."""
    return None if number is None or number < 0 else number


def batch_cap(*, workspace: int | None, agent: int | None, target: int | None = None) -> int | None:
    """How many calls one batch may have at once; None: no limit of its own.

    The published percentage rule: the smaller of 50 % of the workspace's limit and 70 % of the agent's, at least 1. The
    batch's `target_concurrency_limit` replaces it. The full limits still cap the sum of all batches.
    """
    if (target := limit(target)) is not None:
        return max(1, target)
    shares = [n * percent // 100 for n, percent in ((limit(workspace), 50), (limit(agent), 70)) if n is not None]
    return max(1, min(shares)) if shares else None


def _whole(rate: float) -> float:
    """A rate as a sliding second can hold it: 2.5 sends don't fit into one, 2 do."""
    return float(int(rate)) if rate >= 1 else rate


@dataclass(frozen=True, slots=True)
class Bucket:
    """The use of one limit: calls at once (`cap`, `live`) and calls per second (`rate`, `tokens`)."""

    cap: int | None = None
    live: int = 0
    rate: float | None = None
    """Calls per second; below 1 too."""
    tokens: float = 0.0
    refilled_at: float = 0.0
    """Unix seconds."""

    @property
    def pace(self) -> float:
        """Tokens per second; 0 without a rate."""
        return 0.0 if self.rate is None else _whole(self.rate) / (1 + PACE_MARGIN)

    @property
    def burst(self) -> float:
        """The most tokens that lie ready: burst + pace < rate + 1, so no sliding second gives out more than `rate`."""
        return 1 + 0.9 * (_whole(self.rate) - self.pace) if self.rate is not None and self.rate >= 1 else 1.0

    def refill(self, now: float) -> "Bucket":
        """The bucket with the tokens that came since; a clock that stands or runs back brings none."""
        if self.rate is None:
            return self
        since = now - self.refilled_at
        if since < -CLOCK_SLACK:
            return replace(self, tokens=min(self.tokens, self.burst), refilled_at=now)
        tokens = min(self.burst, self.tokens + max(0.0, since) * self.pace)
        return replace(self, tokens=tokens, refilled_at=max(now, self.refilled_at))

    def room(self, now: float) -> int:
        """How many more calls may start now."""
        slots = UNLIMITED if self.cap is None else max(0, self.cap - self.live)
        if self.rate is None:
            return slots
        return min(slots, int(self.refill(now).tokens + _EPSILON))

    def take(self, n: int, now: float) -> "Bucket":
        """The bucket with `n` more calls; raises OverLimit beyond its room."""
        if n > (room := self.room(now)):
            raise OverLimit(n, room)
        full = self.refill(now)
        return replace(full, live=full.live + n, tokens=max(0.0, full.tokens - n) if self.rate is not None else 0.0)

    def free(self, n: int) -> "Bucket":
        """The bucket after `n` calls ended. Their tokens are spent: a second that is over does not come back."""
        return replace(self, live=max(0, self.live - n))

    def when_next(self, now: float) -> float:
        """Seconds until the rate allows another call; 0 now, infinite at rate 0. Says nothing of the cap."""
        if self.rate is None:
            return 0.0
        missing = 1 - self.refill(now).tokens
        if missing <= _EPSILON:
            return 0.0
        return missing / self.pace if self.pace > 0 else float("inf")


@dataclass(slots=True)
class Pacer:
    """The gate before each send: never more than `rate` of them in any sliding second.

    Exact where a bucket is not: it remembers the last sends. Reads no clock; `now` is any clock that only runs forward.
    """

    rate: float | None
    """Sends per second; None: no gate; 0: nothing passes."""
    sends: deque[float] = field(default_factory=deque)
    """When the last sends are (some may still be ahead), oldest first: as many as one window holds."""

    @property
    def per_window(self) -> int:
        """Sends in one window."""
        return int(self.rate) if self.rate is not None and self.rate >= 1 else 1

    @property
    def window(self) -> float:
        """Seconds: a little more than one second, or than the time that one send takes at a rate below 1."""
        slow = self.rate is not None and self.rate < 1
        return (1 + PACE_MARGIN) * (1 / self.rate if slow and self.rate else 1.0)

    def delay(self, now: float) -> float:
        """Seconds to wait before the next send."""
        if self.rate is None:
            return 0.0
        if self.rate <= 0:
            return float("inf")
        if len(self.sends) < self.per_window:
            return 0.0
        return max(0.0, self.sends[-self.per_window] + self.window - now)

    def record(self, now: float) -> None:
        """Remember a send at this time."""
        self.sends.append(max(now, self.sends[-1]) if self.sends else now)
        while len(self.sends) > self.per_window:
            self.sends.popleft()

    def reserve(self, now: float) -> float:
        """Take the next free place for one send; seconds until it. For many who wait at the same gate."""
        wait = self.delay(now)
        if wait < float("inf"):
            self.record(now + wait)
        return wait
