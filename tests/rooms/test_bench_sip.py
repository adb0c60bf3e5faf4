"""`outdial bench sip`: what it makes of packets and recordings, and its smallest form against sipp."""

import json
import os
import subprocess
import sys
import wave
from array import array
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from outdial.domain.call import CallEvent, EventKind
from outdial.domain.outcome import Ending, Outcome
from outdial.lab.bench.sip import Plan, measure
from outdial.lab.bench.sip.packets import Noted, first_voice_secs, heard, most_at_a_time, together
from outdial.lab.bench.sip.recordings import listen
from outdial.lab.bench.sip.signalling import WrongOutcome
from outdial.ports.lines import CallOrder
from tests.support.peers import needs

COMMAND = [sys.executable, "-m", "outdial.cli.main", "bench", "sip"]


def noted(*behind_ms: float, first_seq: int = 0, silent: frozenset[int] = frozenset()) -> Noted:
    """A packet every 20 ms, each so many milliseconds behind."""
    return Noted(
        "one",
        acked_at=0,
        ended_at=int((20 * len(behind_ms) + 1_000) * 1e6),
        came=[int((1_000 + 20 * n + behind) * 1e6) for n, behind in enumerate(behind_ms)],
        seqs=[(first_seq + n) & 0xFFFF for n in range(len(behind_ms))],
        voiced=[n not in silent for n in range(len(behind_ms))],
    )


# --- packets ---------------------------------------------------------------------------------------------------------


def test_what_comes_on_the_grid_or_a_little_behind_is_not_late() -> None:
    call = heard(noted(*[0.0, 3.0, 19.9] * 50))
    assert (call.packets, call.late, call.shifts, call.lost, call.late_pct) == (150, 0, 0, 0, 0.0)


def test_a_stall_with_catching_up_counts_each_packet_that_came_late() -> None:
    call = heard(noted(*[0.0] * 60, 100.0, 80.0, 60.0, 40.0, 20.0, *[0.0] * 60))
    assert (call.late, call.shifts, call.off_first_grid) == (4, 0, 4)


@pytest.mark.parametrize(("shift_ms", "frames"), [(20.0, 1), (24.0, 1), (41.0, 2), (10.0, 0)])
def test_a_shift_for_good_counts_once_and_not_to_the_end(shift_ms: float, frames: int) -> None:
    call = heard(noted(*[0.0] * 130, *[shift_ms] * 170))
    assert (call.late, call.shifts) == (0, frames)
    assert call.off_first_grid == (170 if shift_ms > 20 else 0)


def test_what_never_came_is_lost_wherever_the_numbers_begin() -> None:
    call = noted(*[0.0] * 100, first_seq=65_500)
    for column in (call.came, call.seqs, call.voiced):
        del column[36]  # the first after the numbers began anew
    told = heard(call)
    assert (told.packets, told.lost, told.late) == (99, 1, 0)


def test_what_overtakes_is_neither_lost_nor_late() -> None:
    call = noted(*[0.0] * 100)
    call.came[50], call.came[51] = call.came[51], call.came[50]
    call.seqs[50], call.seqs[51] = call.seqs[51], call.seqs[50]
    call.came.sort()
    assert (heard(call).lost, heard(call).late) == (0, 0)


def test_silence_in_the_middle_is_a_hole_and_at_both_ends_is_none() -> None:
    call = noted(*[0.0] * 100, silent=frozenset({0, 1, 50, 51, 52, 98, 99}))
    assert heard(call).holes == 3
    assert first_voice_secs(call) == pytest.approx(1.04)
    assert together([heard(call), heard(call)]).holes == 6


def test_how_many_are_up_together() -> None:
    calls = [Noted(str(n), acked_at=n * 10, ended_at=n * 10 + 25) for n in range(5)]
    assert most_at_a_time(calls) == 3


# --- recordings ------------------------------------------------------------------------------------------------------


def test_a_person_who_is_missing_on_the_recording_is_missed(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    person = [frame not in {60, 61, 140} for frame in range(150)]
    samples = array("h", [side for there in person for side in (8_000 if there else 0, 0) * 160])
    with wave.open(str(tmp_path / "ab" / "one.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(samples.tobytes())
    told = listen(tmp_path, 1, quiet_secs=2.0)
    assert (told.files, told.frames, told.holes) == (1, 150, 3)
    assert (told.quiet_frames, told.quiet_holes) == (75, 2)
    assert list(tmp_path.glob("*/*.wav")) == []


# --- the command -----------------------------------------------------------------------------------------------------


def test_without_sipp_it_names_the_package() -> None:
    ran = subprocess.run(COMMAND, env={**os.environ, "PATH": "/nonexistent"}, capture_output=True, check=False)
    assert ran.returncode == 1
    assert b"apt-get install sip-tester" in ran.stderr
    assert ran.stdout == b""


class WrongLines:
    """Says of every call that nobody answered."""

    async def start(self, order: CallOrder) -> AsyncIterator[CallEvent]:
        ending = Ending(Outcome.NO_ANSWER, "no_answer", sip_code=480)
        yield CallEvent(order.call_key, EventKind.ENDED, 0.0, ending=ending)


class WrongCrew:
    lines: Any = WrongLines()
    pids: tuple[int, ...] = ()

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@pytest.mark.sip
@needs("sipp")
async def test_a_wrong_outcome_fails_the_bench() -> None:
    pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")

    def hire(provider: str, settings: Mapping[str, Any], *, workers: int, cap: int) -> Any:
        return WrongCrew()

    plan = Plan(rows=["busy"], calls=30, rounds=1)
    with pytest.raises(WrongOutcome, match=r"30 of 30 calls .*no_answer.* 30"):
        await measure(hire, plan, folder=None, say=lambda _: None)


@pytest.mark.sip
@needs("sipp")
def test_its_smallest_form_measures_every_kind_of_call(tmp_path: Path) -> None:
    pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
    small = ["--calls", "40", "--talks", "2", "--secs", "1", "--rounds", "1", "--folder", str(tmp_path)]
    rows = ["--row", "answered", "--row", "busy", "--row", "voice"]
    ran = subprocess.run([*COMMAND, *small, *rows, "--json"], capture_output=True, check=False, timeout=100)
    assert ran.returncode == 0, ran.stderr
    (told,) = json.loads(ran.stdout)
    assert (told["answered"]["hung_up_by_us"]["calls"], told["answered"]["hung_up_by_them"]["calls"]) == (2, 2)
    assert (told["busy"]["calls"], told["busy"]["wrong_outcomes"]) == (40, 0)
    assert told["busy"]["control_calls_per_s"] > 0
    voice = told["voice"]
    assert (voice["at_a_time"], voice["ours"]["recordings"], voice["ours"]["lost"]) == (2, 2, 0)
    assert voice["ours"]["packets"] > 2 * 50
    assert voice["control"]["packets"] > 2 * 50
    assert list(tmp_path.iterdir()) == []
