"""Our side: the call workers of a server, and orders straight into their lines: no store, no dispatcher."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from outdial.domain.call import CallEvent, EventKind
from outdial.domain.errors import BadSetting
from outdial.domain.outcome import Ending
from outdial.lab.bench.sip.far import HOST
from outdial.ports.lines import CallOrder, Lines
from outdial.runtime.clock import SystemClock
from outdial.runtime.ids import new_call_key
from outdial.telephony.registry import installed

PROVIDER = "sip_trunk"
CAP = 1_000
"""Calls of one worker at most: raised, so that it never binds."""
CALL_WITHIN_SECS = 300.0
GREETING = "Hello, this is Outdial."
NO_STACK = "this installation has no SIP stack: it comes with the extra [sip], where there are wheels for the machine"


class Crew(Protocol):
    """The call workers of a server's pool."""

    lines: Lines

    @property
    def pids(self) -> list[int]:
        """The processes that can take orders now."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Hire(Protocol):
    """Makes a crew; `app` knows how, and can't be asked from here."""

    def __call__(self, provider: str, settings: Mapping[str, Any], *, workers: int, cap: int) -> Crew: ...


@dataclass(frozen=True, slots=True)
class Course:
    """One call as our side saw it; seconds since the order."""

    last: CallEvent
    answered_after: float | None
    ended_after: float

    @property
    def ending(self) -> Ending | None:
        """None: it was not sent, or is in doubt."""
        return self.last.ending if self.last.kind is EventKind.ENDED else None

    def __str__(self) -> str:
        if self.ending is None:
            return f"{self.last.kind} ({self.last.reason})"
        return f"{self.ending.outcome} ({self.ending.reason}, {self.ending.sip_code})"


@dataclass(slots=True)
class Ours:
    """Workers that are up."""

    crew: Crew
    clock: SystemClock
    workers: int
    recordings: Path

    async def call(self, address: str, *, says: str = GREETING, talk_secs: float) -> Course:
        """Place one call and follow it to its end."""
        order = CallOrder(
            call_key=new_call_key(),
            number="+493012345678",
            caller="+493099990000",
            provider=PROVIDER,
            trunk={"outbound_trunk_config": {"address": address, "transport": "udp"}},
            agent={"conversation_config": {"agent": {"first_message": says}}},
            variables={},
            ring_secs=30.0,
            talk_secs=talk_secs,
            send_by=self.clock.boottime() + 5.0,
            callback_url="",
            callback_secret="",
        )
        began = time.perf_counter()
        answered_after: float | None = None
        event: CallEvent | None = None
        async with asyncio.timeout(CALL_WITHIN_SECS):
            async for event in self.crew.lines.start(order):
                if event.kind is EventKind.ANSWERED:
                    answered_after = time.perf_counter() - began
        if event is None:
            raise RuntimeError(f"nothing was ever reported of call {order.call_key}")
        return Course(event, answered_after, time.perf_counter() - began)

    def cpu_secs(self) -> float:
        """Processor seconds of the workers and of their children so far."""
        return cpu_secs(self.crew.pids)


@asynccontextmanager
async def workers_up(hire: Hire, workers: int, folder: Path) -> AsyncIterator[Ours]:
    """As a server has them, on the loopback; raises BadSetting where there is no SIP stack."""
    if PROVIDER not in installed():
        raise BadSetting(NO_STACK)
    recordings = folder / "recordings"
    crew = hire(PROVIDER, {"interface": HOST, "recordings": str(recordings)}, workers=workers, cap=CAP)
    await crew.start()
    try:
        yield Ours(crew, SystemClock(), workers, recordings)
    finally:
        await crew.stop()


async def many(calls: int, at_once: int, one: Callable[[], Coroutine[Any, Any, Course]]) -> list[Course]:
    """So many calls, so many of them at a time, each as soon as there is room."""
    courses: list[Course] = []
    left = calls

    async def turns() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            courses.append(await one())

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, calls)):
            group.create_task(turns())
    return courses


def cpu_secs(pids: list[int]) -> float:
    """Processor seconds, user and system, of these processes and of what they have started."""
    ticks = {pid: (parent, used) for pid, parent, used in map(_stat, Path("/proc").glob("[0-9]*/stat")) if pid}
    family = set(pids)
    while more := {pid for pid, (parent, _) in ticks.items() if parent in family} - family:
        family |= more
    return sum(used for pid, (_, used) in ticks.items() if pid in family) / os.sysconf("SC_CLK_TCK")


def _stat(path: Path) -> tuple[int, int, int]:
    """A process, its parent, and the ticks that it has used; zeros for one that is gone."""
    try:
        fields = path.read_text().rpartition(")")[2].split()  # the name before may hold anything
    except OSError:
        return 0, 0, 0
    return int(path.parent.name), int(fields[1]), int(fields[11]) + int(fields[12])
