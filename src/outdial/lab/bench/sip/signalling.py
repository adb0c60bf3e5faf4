"""`answered` and `busy`: calls without much audio, as fast as they go, sipp on the other end; and sipp against sipp."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outdial.domain.errors import OutdialError
from outdial.domain.outcome import Outcome
from outdial.lab.bench.sip import sipp
from outdial.lab.bench.sip.ours import Course, Ours, many
from outdial.lab.bench.waits import spread

AT_ONCE = 20
"""Calls of one worker that are under way together, and of the sipp that is the control."""
TALKING_AT_ONCE = 40
"""Of those with a talk, which last longer; the control has none."""
TALK_SECS = 0.2
CONTROL_TIMES = 10
"""The control places so many times the calls, for it is over in no time."""
BUSY_PER_S = 200

Say = Callable[[str], None]


class WrongOutcome(OutdialError):
    """A call ended otherwise than its far end meant it."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Calls of one kind, and what sipp does at both ends."""

    name: str
    far: str
    control_far: str
    control_near: str
    right: Callable[[Course], bool]
    at_once: int = TALKING_AT_ONCE
    talk_secs: float = 60.0


BUSY = _Kind(
    "busy",
    far=sipp.BUSY,
    control_far=sipp.BUSY,
    control_near=sipp.CALLS_BUSY,
    right=lambda course: (
        course.ending is not None and (course.ending.outcome, course.ending.sip_code) == (Outcome.BUSY, 486)
    ),
    at_once=AT_ONCE,
)
WE_HANG_UP = _Kind(
    "answered, we hang up",
    far=sipp.ANSWERS,
    control_far=sipp.ANSWERS,
    control_near=sipp.CALLS_AND_HANGS_UP,
    right=lambda course: _completed(course, "time_limit"),
    talk_secs=TALK_SECS,
)
THEY_HANG_UP = _Kind(
    "answered, they hang up",
    far=sipp.hangs_up_after(TALK_SECS),
    control_far=sipp.hangs_up_after(0),
    control_near=sipp.CALLS_AND_LISTENS,
    right=lambda course: _completed(course, "hung_up"),
)


async def busy(ours: Ours, folder: Path, *, calls: int, rounds: int, say: Say) -> dict[str, Any]:
    """Every answer is busy, and every outcome must be."""
    told = await _in_turn(ours, folder, BUSY, calls=calls, rounds=rounds, say=say)
    return {**told, "wrong_outcomes": 0, "wanted": {"calls_per_s": BUSY_PER_S * ours.workers}}


async def answered(ours: Ours, folder: Path, *, calls: int, rounds: int, say: Say) -> dict[str, Any]:
    """Short calls, ended by us, then by them."""
    return {
        "hung_up_by_us": await _in_turn(ours, folder, WE_HANG_UP, calls=calls, rounds=rounds, say=say),
        "hung_up_by_them": await _in_turn(ours, folder, THEY_HANG_UP, calls=calls, rounds=rounds, say=say),
    }


@dataclass(frozen=True, slots=True)
class _Run:
    courses: Sequence[Course]
    secs: float
    cpu_secs: float


async def _in_turn(ours: Ours, folder: Path, kind: _Kind, *, calls: int, rounds: int, say: Say) -> dict[str, Any]:
    """Ours and the control, one after the other, so that what else the machine does hits both alike."""
    runs: list[_Run] = []
    controls: list[sipp.Called] = []
    for n in range(rounds):
        say(f"{kind.name}: {calls} calls, then sipp against sipp: {n + 1} of {rounds}")
        runs.append(await _run(ours, folder, kind, calls))
        controls.append(
            await asyncio.to_thread(_control, folder, kind, calls * CONTROL_TIMES, kind.at_once * ours.workers)
        )
    courses = [course for run in runs for course in run.courses]
    rate = len(courses) / sum(run.secs for run in runs)
    control_rate = sum(control.calls for control in controls) / sum(control.secs for control in controls)
    cpu = sum(run.cpu_secs for run in runs) / len(courses)
    control_cpu = sum(control.cpu_secs for control in controls) / sum(control.calls for control in controls)
    answers = [course.answered_after for course in courses if course.answered_after is not None]
    return {
        "calls": len(courses),
        "at_once": kind.at_once * ours.workers,
        "calls_per_s": round(rate, 1),
        "control_calls_per_s": round(control_rate),
        "ratio": round(rate / control_rate, 4),
        "rounds": [round(len(run.courses) / run.secs, 1) for run in runs],
        "controls": [round(control.calls / control.secs) for control in controls],
        "cpu_ms_per_call": round(cpu * 1000, 2),
        "control_cpu_ms_per_call": round(control_cpu * 1000, 3),
        "cpu_ratio": round(cpu / control_cpu, 1),
        **({"order_to_answer": spread(answers)} if answers else {}),
        "order_to_end": spread([course.ended_after for course in courses]),
    }


async def _run(ours: Ours, folder: Path, kind: _Kind, calls: int) -> _Run:
    with sipp.far_sipp(folder, kind.far, calls=calls) as far:
        cpu, began = ours.cpu_secs(), time.perf_counter()
        courses = await many(
            calls, kind.at_once * ours.workers, lambda: ours.call(far.address, talk_secs=kind.talk_secs)
        )
        secs, cpu = time.perf_counter() - began, ours.cpu_secs() - cpu
        if wrong := Counter(str(course) for course in courses if not kind.right(course)):
            raise WrongOutcome(f"{wrong.total()} of {calls} calls ({kind.name}) ended otherwise: {dict(wrong)}")
        await asyncio.to_thread(far.judge)
    return _Run(courses, secs, cpu)


def _control(folder: Path, kind: _Kind, calls: int, at_once: int) -> sipp.Called:
    with sipp.far_sipp(folder, kind.control_far, calls=calls) as far:
        called = sipp.call(folder, kind.control_near, far.address, calls=calls, at_once=at_once)
        far.judge()
    return called


def _completed(course: Course, reason: str) -> bool:
    ending = course.ending
    return ending is not None and (ending.outcome, ending.reason) == (Outcome.COMPLETED, reason)
