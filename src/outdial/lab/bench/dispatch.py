"""`dispatch`: the real dispatcher, calls and store, over lines in memory whose calls end at once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from outdial.calls.call import CallSettings
from outdial.calls.callback_keys import CallbackKeys
from outdial.calls.network import Network
from outdial.dispatch.dialler import Dialler, DiallerSettings
from outdial.domain.call import CallEvent, EventKind
from outdial.domain.outcome import Ending, Outcome
from outdial.lab.bench.control import Chunks, dial, typical
from outdial.lab.bench.ground import SECRET, Ground, open_ground
from outdial.lab.bench.place import Place
from outdial.ports.lines import CallOrder, LinesTraits, Sighting
from outdial.ports.signal import Topic
from outdial.ports.store import BatchRow, ClaimAnswer, ClaimWish, NodeLease
from outdial.runtime.clock import SystemClock
from outdial.runtime.service import ServiceGroup
from outdial.store.committer import Stats
from outdial.store.signals import open_signal

AT_ONCE = 1_000
"""Calls in hand, as a node with one call worker has."""
WARM_UP = 500
ROUNDS = 4
LATER = 86_400.0
"""Lists of the controls begin in so many seconds: the dispatcher beside them leaves them alone."""
WITHIN_SECS = 600.0
TRAITS = LinesTraits("loopback", can_look_up=True, horizon_secs=5.0, place_timeout_secs=10.0)


class QuickLines:
    """Every call is sent and over at once."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()

    async def start(self, order: CallOrder) -> AsyncIterator[CallEvent]:
        """See ports.lines.Lines."""
        self.sent[order.number] += 1
        now = time.time()
        yield CallEvent(order.call_key, EventKind.SENT, now, provider_call_id=order.call_key)
        yield CallEvent(order.call_key, EventKind.ENDED, now, ending=Ending(Outcome.COMPLETED, "hung_up"))

    async def hang_up(self, call_key: str, *, even_if_answered: bool, order: CallOrder | None = None) -> None:
        """Nothing is up long enough."""

    async def look_up(self, call_key: str, *, order: CallOrder | None = None) -> Sighting | None:
        """Nothing is remembered."""
        return None


@dataclass(slots=True)
class _Count:
    """Says when so many calls are over."""

    calls: int = 0
    ended: set[str] = field(default_factory=set)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def one(self, call_key: str) -> None:
        self.ended.add(call_key)  # told more than once where reports were settled together
        if len(self.ended) >= self.calls:
            self.over.set()

    def expect(self, calls: int) -> None:
        self.calls = calls
        self.ended.clear()
        self.over.clear()


@dataclass(slots=True)
class Run:
    """One measured stretch."""

    calls: int
    secs: float
    cpu: float
    """Processor seconds of this process."""
    stats: Stats
    claims: Counter[int]
    """How many calls were claimed in one transaction, and how often."""


async def measure(place: Place, *, calls: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Runs and controls in turn, each on a list of its own, so that what else the machine does hits both alike."""
    share = max(calls // ROUNDS, 1)
    runs: list[Run] = []
    controls: list[float] = []
    async with open_ground(place) as ground, _dialling(ground) as dial_all:
        say("warming up")
        chunks = _chunks([await dial_all(WARM_UP)])
        for n in range(ROUNDS):
            say(f"plain SQL, then dialling {share}: {n + 1} of {ROUNDS}")
            controls.append(await asyncio.to_thread(dial, ground, await ground.submit(share, later=LATER), chunks))
            runs.append(await dial_all(share))
            chunks = _chunks(runs)
        controls.append(await asyncio.to_thread(dial, ground, await ground.submit(share, later=LATER), chunks))
    rates = [run.calls / run.secs for run in runs]
    rate = share * ROUNDS / sum(run.secs for run in runs)
    control = len(controls) / sum(1 / c for c in controls)
    return {
        "calls": share * ROUNDS,
        "calls_per_s": round(rate),
        "control_calls_per_s": round(control),
        "ratio": round(rate / control, 3),
        "rounds": [round(r) for r in rates],
        "controls": [round(c) for c in controls],
        "cpu_us_per_call": round(sum(run.cpu for run in runs) / (share * ROUNDS) * 1e6),
        "wanted": {"ratio": 0.1 if place.engine == "sqlite" else 0.3, "calls_per_s": 1_700},
        "chunks": {"claim": chunks.claim, "go": chunks.go, "settle": chunks.settle},
        "committer": told(runs[-1].stats),
    }


def _chunks(runs: Sequence["Run"]) -> Chunks:
    """How large the chunks of these runs were."""
    claims: Counter[int] = sum((run.claims for run in runs), Counter())
    kinds = [sum((run.stats.kind(kind).sizes for run in runs), Counter[int]()) for kind in ("go", "take")]
    return Chunks(typical(claims), *(typical(sizes) for sizes in kinds))


def told(stats: Stats) -> dict[str, Any]:
    """What the committer did, for the report."""
    return {
        "transactions": stats.groups,
        "requests": stats.requests,
        "reruns": stats.reruns,
        "longest_transaction_ms": round(stats.longest_group * 1000, 1),
        "longest_wait_ms": {str(lane): round(secs * 1000, 1) for lane, secs in stats.longest_wait.items()},
        "kinds": {
            name: {
                "requests": kind.requests,
                "groups": kind.groups,
                "typical": typical(kind.sizes),
                "longest_ms": round(kind.longest_run * 1000, 1),
            }
            for name, kind in sorted(stats.kinds.items())
        },
    }


@asynccontextmanager
async def _dialling(ground: Ground) -> AsyncIterator[Callable[[int], Awaitable[Run]]]:
    """A node that dials; it is told how many, and answers when they are over."""
    clock, count = SystemClock(), _Count()
    claims = _noted_claims(ground)
    lines = QuickLines()
    signal = open_signal(ground.place.url, clock)
    dialler = Dialler(
        ground.store,
        {"loopback": Network(lines, TRAITS, AT_ONCE)},
        signal,
        clock=clock,
        keys=CallbackKeys(SECRET.encode()),
        settings=DiallerSettings("bench", CallSettings("http://127.0.0.1:1"), alone=ground.place.engine == "sqlite"),
        over=count.one,
    )
    group = ServiceGroup([("signal", signal), *dialler.below_the_lines, *dialler.above_the_lines])
    await group.start()

    async def dial_all(calls: int) -> Run:
        batch: BatchRow = await ground.submit(calls)
        count.expect(calls)
        claims.clear()
        ground.store.writer.reset_stats()
        began, cpu = time.perf_counter(), time.process_time()
        await signal.ring(Topic.WORK)
        async with asyncio.timeout(WITHIN_SECS):
            await count.over.wait()
        secs, cpu = time.perf_counter() - began, time.process_time() - cpu
        stats = ground.store.writer.reset_stats()
        after = await ground.read(batch)
        if after.counters.finished != calls or after.status != "completed" or max(lines.sent.values()) > 1:
            raise RuntimeError(f"the run is not to be believed: {after.counters}, {after.status}")
        return Run(calls, secs, cpu, stats, Counter(claims))

    try:
        yield dial_all
    finally:
        await group.stop()


def _noted_claims(ground: Ground) -> Counter[int]:
    """Counts from now on how many calls each claim took."""
    sizes: Counter[int] = Counter()
    claim = ground.store.claim

    async def noted(lease: NodeLease, wishes: Sequence[ClaimWish], *, now: float) -> list[ClaimAnswer]:
        answers = await claim(lease, wishes, now=now)
        if taken := sum(len(answer.claimed) for answer in answers):
            sizes[taken] += 1
        return answers

    ground.store.claim = noted  # type: ignore[method-assign]  # a look from outside
    return sizes
