"""`voice` and `first-voice`: calls with an agent who speaks all the time, a person who does, and a recording of both.

The far end is ours, since sipp can't tell when packets came; the control is sipp calling the same far end.
"""

import asyncio
import contextlib
import math
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from outdial.domain.errors import OutdialError
from outdial.domain.outcome import Outcome
from outdial.lab.bench.place import idle_secs
from outdial.lab.bench.sip import sipp
from outdial.lab.bench.sip.far import HOST
from outdial.lab.bench.sip.ours import GREETING, Course, Ours
from outdial.lab.bench.sip.packets import FarEnd, Noted, first_voice_secs, heard, most_at_a_time, together
from outdial.lab.bench.sip.recordings import Recorded, listen
from outdial.lab.bench.waits import spread

_FAR = "from outdial.lab.bench.sip.far import main; main()"
UP_WITHIN_SECS = 30.0
TOLD_WITHIN_SECS = 60.0
STARTS_PER_S = 20
"""Calls of one worker that begin in a second: a list's first people do not all answer at once."""
LA_SECS = 0.146
"""What a `la` of the offline voice takes. All of it is voiced: whatever is silent in between is a hole."""
SPARE_SECS = 8.0
"""The agent's text is longer than the call by this."""
FEW_SECS = 1.5
"""Calls of `first-voice` last so long."""
AT_ONCE = 20
TIMES = 2
"""Groups of AT_ONCE calls a round."""
LATE_PCT = 0.1
FIRST_VOICE_MS = {"p50_ms": 20, "p99_ms": 100}

Say = Callable[[str], None]


class Unheard(OutdialError):
    """What the far end noted is not what was to be measured."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One stretch, ours or the control's."""

    far: FarEnd
    cpu_secs: float
    idle_pct: float
    """Of the machine meanwhile."""
    recorded: Recorded | None = None

    @property
    def noted(self) -> list[Noted]:
        return self.far.calls

    @property
    def call_secs(self) -> float:
        return sum(one.ended_at - one.acked_at for one in self.noted) / 1e9


async def voice(ours: Ours, folder: Path, *, talks: int, secs: float, rounds: int, say: Say) -> dict[str, Any]:
    """So many calls of each worker at a time for so long, and sipp's in turn."""
    calls, starting = talks * ours.workers, talks / STARTS_PER_S
    text = "la " * math.ceil((secs + starting + SPARE_SECS) / LA_SECS)
    await _practise(ours, text)
    runs: list[_Run] = []
    controls: list[_Run] = []
    for n in range(rounds):
        say(f"{calls} calls with voice for {secs:g} s, then sipp's: {n + 1} of {rounds}")
        runs.append(await _talk(ours, text, calls=calls, secs=secs + starting, every=starting / calls))
        per_sec = STARTS_PER_S * ours.workers
        controls.append(await _control(folder, calls=calls, secs=secs + starting, per_sec=str(per_sec)))
    return {
        "workers": ours.workers,
        "calls_per_worker": talks,
        "at_a_time": min(most_at_a_time(run.noted) for run in runs),
        "secs": secs,
        "ours": _told(runs),
        "control": _told(controls),
        "wanted": {"late_pct": LATE_PCT},
    }


async def first_voice(ours: Ours, folder: Path, *, rounds: int, say: Say) -> dict[str, Any]:
    """From the ACK to the first voiced packet, where 20 are called at once; and sipp's in turn."""
    await _practise(ours, GREETING)
    waits: list[float] = []
    controls: list[float] = []
    for n in range(rounds):
        say(f"{TIMES} times {AT_ONCE} calls at once, then sipp's: {n + 1} of {rounds}")
        run = await _talk(ours, GREETING, calls=AT_ONCE, secs=FEW_SECS, times=TIMES)
        waits += map(first_voice_secs, run.noted)
        run = await _control(folder, calls=AT_ONCE, secs=FEW_SECS, per_sec=sipp.FAST, times=TIMES)
        controls += map(first_voice_secs, run.noted)
    return {
        "workers": ours.workers,
        "at_once": AT_ONCE,
        "ours": spread(waits),
        "control": spread(controls),
        "ratio": round(statistics.median(waits) / statistics.median(controls), 2),
        "wanted": FIRST_VOICE_MS,
    }


class _Idle:
    """How idle the machine is from now on."""

    def __init__(self) -> None:
        self._began, self._idle = time.perf_counter(), idle_secs()

    def pct(self) -> float:
        """Until now."""
        return 100 * (idle_secs() - self._idle) / (time.perf_counter() - self._began)


def _told(runs: list[_Run]) -> dict[str, Any]:
    judged = [together([heard(one) for one in run.noted]) for run in runs]
    whole = together(judged)
    behind = sorted(whole.behind_ms)
    cpu, call_secs = sum(run.cpu_secs for run in runs), sum(run.call_secs for run in runs)
    return {
        "packets": whole.packets,
        "late_pct": round(whole.late_pct, 3),
        "rounds": [round(one.late_pct, 3) for one in judged],
        "machine_idle_pct": [round(run.idle_pct) for run in runs],
        "late": whole.late,
        "shifts": whole.shifts,
        "off_first_grid_pct": _pct(whole.off_first_grid, whole.packets),
        "lost": whole.lost,
        "holes": whole.holes,
        "behind_p50_ms": round(behind[len(behind) // 2], 2),
        "behind_p99_ms": round(behind[len(behind) * 99 // 100], 2),
        "behind_max_ms": round(behind[-1], 1),
        "cpu_pct_of_a_core_per_call": _pct(cpu, call_secs),
        "far_end_late_pct": _pct(sum(run.far.sent_late for run in runs), sum(run.far.sent for run in runs)),
        **_recorded([run.recorded for run in runs if run.recorded is not None]),
    }


def _recorded(runs: list[Recorded]) -> dict[str, Any]:
    if not runs:
        return {}
    return {
        "recordings": sum(one.files for one in runs),
        "recorded_holes_pct": _pct(sum(one.quiet_holes for one in runs), sum(one.quiet_frames for one in runs)),
        "recorded_holes_pct_with_hang_ups": _pct(sum(one.holes for one in runs), sum(one.frames for one in runs)),
    }


def _pct(part: float, whole: float) -> float:
    return round(100 * part / whole, 3) if whole else 0.0


async def _practise(ours: Ours, text: str) -> None:
    """A short call of each worker: its voice has spoken the text then, as after the first calls of a batch."""
    async with _far() as far:
        await asyncio.gather(*(ours.call(far.address, says=text, talk_secs=1.0) for _ in range(ours.workers)))
        await far.told()
    await asyncio.to_thread(listen, ours.recordings, ours.workers, quiet_secs=0.0)


async def _talk(ours: Ours, text: str, *, calls: int, secs: float, every: float = 0.0, times: int = 1) -> _Run:
    """So many calls, one after the other at this distance, and again when they are over."""

    async def one(n: int, address: str) -> Course:
        await asyncio.sleep(n * every)
        return await ours.call(address, says=text, talk_secs=secs)

    courses: list[Course] = []
    async with _far() as far:
        idle, cpu = _Idle(), ours.cpu_secs()
        for _ in range(times):
            courses += await asyncio.gather(*(one(n, far.address) for n in range(calls)))
        cpu, idle_pct = ours.cpu_secs() - cpu, idle.pct()
        told = _checked(await far.told(), len(courses))
    wrong = [str(course) for course in courses if course.ending is None or course.ending.outcome != Outcome.COMPLETED]
    if wrong:
        raise Unheard(f"{len(wrong)} of {len(courses)} calls were not completed: {wrong[:5]}")
    recorded = await asyncio.to_thread(listen, ours.recordings, len(courses), quiet_secs=secs - calls * every)
    if recorded.files != len(courses):
        raise Unheard(f"{len(courses)} calls left {recorded.files} recordings")
    return _Run(told, cpu, idle_pct, recorded)


async def _control(folder: Path, *, calls: int, secs: float, per_sec: str, times: int = 1) -> _Run:
    """The same of sipp."""
    scenario, cpu = sipp.calls_and_speaks(folder, secs), 0.0
    async with _far() as far:
        idle = _Idle()
        for _ in range(times):
            called = await asyncio.to_thread(
                sipp.call, folder, scenario, far.address, calls=calls, at_once=calls, per_sec=per_sec
            )
            cpu += called.cpu_secs
        idle_pct = idle.pct()
        told = _checked(await far.told(), calls * times)
    return _Run(told, cpu, idle_pct)


def _checked(far: FarEnd, calls: int) -> FarEnd:
    """Raise unless every call was up, was heard, and ended."""
    whole = [one for one in far.calls if one.acked_at and one.ended_at and True in one.voiced]
    if len(far.calls) != calls or len(whole) != calls:
        raise Unheard(f"of {calls} calls {len(far.calls)} were answered, and {len(whole)} heard from ACK to BYE")
    return far


# --- the far end's process -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Far:
    address: str
    process: asyncio.subprocess.Process

    async def told(self) -> FarEnd:
        """End it; all that it noted."""
        async with asyncio.timeout(TOLD_WITHIN_SECS):
            out, _ = await self.process.communicate(b"")
        return msgspec.msgpack.decode(out, type=FarEnd)


@asynccontextmanager
async def _far() -> AsyncIterator[_Far]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _FAR, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        if process.stdout is None:
            raise Unheard("the far end has no pipe")
        async with asyncio.timeout(UP_WITHIN_SECS):
            line = await process.stdout.readline()
        if not line:
            raise Unheard("the far end did not start")
        yield _Far(f"{HOST}:{int(line)}", process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
