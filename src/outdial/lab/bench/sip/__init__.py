"""`sip`: call workers as a server has them against Debian's sipp, and sipp against sipp in the same run."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outdial.lab.bench.sip import audio, signalling, sipp
from outdial.lab.bench.sip.ours import Hire, workers_up

__all__ = ["ROWS", "Hire", "Plan", "measure"]

ROWS = ("answered", "busy", "voice", "first-voice")
ANSWERED_SHARE = 20
"""One in so many of the signalling calls is answered: their ends are paced."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how much of it."""

    rows: Sequence[str] = ROWS
    calls: int = 1_000
    """Busy ones in a round."""
    workers: int = 1
    talks: int = 80
    """Calls with voice of each worker at a time."""
    secs: float = 5.0
    """For so long all of them are up."""
    rounds: int = 2
    """Ours and sipp's in turn."""


async def measure(hire: Hire, plan: Plan, *, folder: Path | None, say: Callable[[str], None]) -> dict[str, Any]:
    """The rows that are asked for, all on the same workers."""
    sipp.program()  # before anything is started
    told: dict[str, Any] = {"workers": plan.workers, "load_1m_before": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory(prefix="outdial-bench-", dir=folder) as name:
        room = Path(name)
        async with workers_up(hire, plan.workers, room) as ours:
            if "answered" in plan.rows:
                some = max(1, plan.calls // ANSWERED_SHARE)
                told["answered"] = await signalling.answered(ours, room, calls=some, rounds=plan.rounds, say=say)
            if "busy" in plan.rows:
                told["busy"] = await signalling.busy(ours, room, calls=plan.calls, rounds=plan.rounds, say=say)
            if "voice" in plan.rows:
                told["voice"] = await audio.voice(
                    ours, room, talks=plan.talks, secs=plan.secs, rounds=plan.rounds, say=say
                )
            if "first-voice" in plan.rows:
                told["first_voice"] = await audio.first_voice(ours, room, rounds=plan.rounds, say=say)
    return told
