"""The judge finds what it must find: each promise broken once, in a log made by hand."""

import math
import time
import uuid
from typing import Any

import pytest

from tests.faults.judge import Decision, Fault, Line, Phase, Trial, Verdict, judge, outcome_of

NUMBER = "+49150000010000"
START = 1_800_000_000.0


def key(at: float = START) -> str:
    """The key of an attempt that was claimed then."""
    return str(uuid.UUID(int=(int(at * 1000) << 80) | (7 << 76) | (2 << 62) | uuid.uuid4().int & 0xFFFFFFFF))


def call(call_key: str, at: float = START, *, nth: int = 1, number: str = NUMBER, answered: bool = True) -> list[Line]:
    events = ["dialled", *(["answered"] if answered else []), "ended"]
    return [Line(at + i / 10, event, number, call_key, nth) for i, event in enumerate(events)]


def person(call_key: str, outcome: str | None = "completed", **more: Any) -> dict[str, Any]:
    status = outcome if outcome in {"completed", "voicemail", "cancelled"} else "failed"
    return {
        "phone_number": NUMBER,
        "status": status,
        "outcome": outcome,
        "round": 0,
        "conversation_id": "conv_" + call_key.replace("-", ""),
        **more,
    }


def verdict(
    log: list[Line],
    people: list[dict[str, Any]],
    *faults: Fault,
    gentle: bool = False,
    finished: int = 1,
    cancelled: float = math.inf,
) -> Verdict:
    counters = {"total_calls_scheduled": 1, "total_calls_dispatched": 1, "total_calls_finished": finished}
    phase = Phase(0, START - 1, START + 60, recipients=people, batch=counters, cancel_answered=cancelled)
    phase.unfinished = [one for one in people if one["status"] not in {"completed", "failed", "cancelled"}]
    return judge([Trial("btcal_1", (NUMBER,), [phase])], log, faults, gentle=gentle)


def test_a_call_that_went_well_is_good() -> None:
    k = key()
    assert verdict(call(k), [person(k)], gentle=True).good


def test_two_attempts_in_one_round_are_found() -> None:
    k, other = key(), key(START + 1)
    assert verdict([*call(k), *call(other, START + 1, nth=2)], [person(k)]).twice


def test_one_attempt_dialled_again_is_found() -> None:
    k = key()
    assert verdict([*call(k), *call(k, START + 1, nth=2)], [person(k)]).twice


def test_a_second_round_may_dial_again_whom_it_takes_and_nobody_else() -> None:
    k, other = key(), key(START + 100)
    log = [*call(k, answered=False, number=NUMBER), *call(other, START + 100, nth=2)]
    for first, good in (("no_answer", True), ("completed", False)):
        counters = {"total_calls_scheduled": 1, "total_calls_dispatched": 1, "total_calls_finished": 1}
        phases = [
            Phase(0, START - 1, START + 60, recipients=[person(k, first)], batch=counters),
            Phase(1, START + 60, START + 120, recipients=[person(other, round=1)], batch=counters),
        ]
        assert (not judge([Trial("b", (NUMBER,), phases)], log, [], gentle=False).twice) is good


def test_whoever_is_rung_while_an_earlier_call_is_up_is_found() -> None:
    k, other = key(), key(START + 0.05)
    log = [*call(k), *call(other, START + 0.05, nth=2)]
    trial = Trial("b", (NUMBER,), [Phase(0, START - 1, START + 60, recipients=[person(k)])])
    assert "was up" in str(judge([trial], log, [], gentle=False).twice)


def test_in_overlapping_rounds_each_further_call_needs_a_retry_of_its_own() -> None:
    keys = [key(START + n) for n in range(3)]
    log = [line for n, k in enumerate(keys) for line in call(k, START + n, nth=n + 1)]
    retries = [Decision("retry", START + 0.5, START + 0.6), Decision("retry", START + 1.5, START + 1.6)]
    for given, good in ((retries, True), (retries[:1], False), (retries[1:] * 2, False)):
        trial = Trial("b", (NUMBER,), [Phase(0, START - 1, START + 60, recipients=[person(keys[-1])])], list(given))
        assert (not judge([trial], log, [], gentle=False).twice) is good, given


def test_a_dial_after_a_cancel_needs_a_retry_between() -> None:
    k = key(START + 5)
    cancel, retry = Decision("cancel", START, START + 0.1), Decision("retry", START + 4, START + 4.1)
    for given, good in (([cancel], False), ([cancel, retry], True), ([retry], True)):
        trial = Trial("b", (NUMBER,), [Phase(0, START - 1, START + 60, recipients=[person(k)])], given)
        assert (not judge([trial], call(k, START + 5), [], gentle=False).late) is good, given


def test_who_never_ended_is_lost() -> None:
    k = key()
    assert verdict(call(k), [person(k, status="initiated", outcome=None)], finished=0).lost


def test_who_failed_without_having_been_dialled_is_lost() -> None:
    assert verdict([], [person(key(), "busy")]).lost


def test_completed_without_an_answer_is_found() -> None:
    k = key()
    assert verdict(call(k, answered=False), [person(k)]).unanswered


def test_an_outcome_that_the_network_does_not_have_is_found() -> None:
    k = key()
    assert verdict(call(k), [person(k, "busy")]).wrong


def test_counters_are_recounted() -> None:
    k = key()
    assert verdict(call(k), [person(k)], finished=0).miscounted


def test_a_dial_2_s_after_the_cancel_is_late() -> None:
    k = key(START + 1)
    log = call(k, START + 1)
    assert not verdict(log, [person(k)], cancelled=START - 0.9).late
    assert verdict(log, [person(k)], cancelled=START - 1.1).late


def test_a_dial_long_after_its_claim_is_late_unless_its_process_was_stopped_right_before() -> None:
    k = key(START)
    log = call(k, START + 8)
    assert verdict(log, [person(k)]).late
    stopped = Fault("stopped", START + 0.1, START + 7.9)
    found = verdict(log, [person(k)], stopped)
    assert found.good
    assert found.residue
    other = key(START)
    two = verdict([*log, *call(other, START + 8.05, nth=2)], [person(k)], stopped)
    assert len(two.residue) == 1, "one thread sends"
    assert two.late


def test_unknown_needs_a_fault() -> None:
    k = key()
    assert verdict(call(k), [person(k, "unknown")]).unexplained
    assert verdict(call(k), [person(k, "unknown")], Fault("carrier", START + 0.05, START + 1)).good
    assert verdict(call(k), [person(k, "unknown")], Fault("server", START, START + 1)).unexplained
    assert verdict([], [person(k, "unknown")]).unexplained


def test_an_ending_that_nobody_dialled_is_a_loss_whatever_the_fault() -> None:
    assert verdict([], [person(key(), "network_error")], Fault("stopped", START + 1, START + 5)).lost


@pytest.mark.parametrize(
    ("number", "nth", "outcome"),
    [
        ("+491501486", 1, "busy"),
        ("+491501486", 2, "completed"),
        ("+491500301", 3, "voicemail"),
        ("+49150", 1, "completed"),
    ],
)
def test_the_table(number: str, nth: int, outcome: str) -> None:
    assert outcome_of(number, nth) == outcome


def test_keys_of_these_tests_tell_their_time() -> None:
    now = time.time()
    assert abs((uuid.UUID(key(now)).int >> 80) / 1000 - now) < 0.01
