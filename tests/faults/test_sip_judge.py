"""The judge of calls over SIP finds what it must find, in logs made by hand."""

import math
from functools import partial
from typing import Any

import pytest

from tests.faults.judge import Fault, Line, Phase, Trial, Verdict, judge
from tests.faults.over_sip import SipJudgement
from tests.faults.test_judge import START, call, key, person

NUMBER = "+49150000010000"


def verdict(
    log: list[Line],
    people: list[dict[str, Any]],
    *faults: Fault,
    udp: bool = True,
    to_the_end: bool = False,
    cancelled: float = math.inf,
) -> Verdict:
    counters = {"total_calls_scheduled": 1, "total_calls_dispatched": 1, "total_calls_finished": 1}
    phase = Phase(0, START - 1, START + 60, recipients=people, batch=counters, cancel_answered=cancelled)
    trial = Trial("btcal_1", (people[0]["phone_number"],), [phase], to_the_end=to_the_end)
    return judge([trial], log, faults, gentle=False, by=partial(SipJudgement, udp=udp, alone=True))


def hurt(what: str, began: float, over: float | None = None) -> Fault:
    return Fault(what, START + began, START + (began + 1 if over is None else over))


@pytest.mark.parametrize("what", ["server", "worker", "group", "carrier"])
def test_what_was_under_way_at_a_fault_may_be_unknown_and_nothing_else(what: str) -> None:
    k = key()
    unknown = [person(k, "unknown")]
    assert verdict(call(k), unknown, hurt(what, 0.1)).good
    assert verdict(call(k), unknown, hurt(what, 1.0)).good, "the news was on its way"
    assert verdict(call(k), unknown, hurt(what, 10.0)).unexplained
    assert verdict(call(k), unknown, hurt(what, -20.0)).unexplained
    assert verdict(call(k), unknown).unexplained
    assert verdict(call(k), unknown, hurt("machine", 0.1)).unexplained


def test_nobody_knows_of_a_call_to_a_deaf_phone() -> None:
    k, number = key(), "+49150000010900"
    assert verdict(call(k, number=number), [person(k, "unknown", phone_number=number)]).good


def test_a_phone_that_rings_on_for_a_killed_server_is_found() -> None:
    k = key()
    rings = [Line(START, "dialled", NUMBER, k, 1), Line(START + 9, "ended", NUMBER, k, 1)]
    answered = [rings[0], Line(START + 0.2, "answered", NUMBER, k, 1), rings[1]]
    unknown = [person(k, "unknown")]
    assert verdict(rings, unknown, hurt("server", 1.0)).late
    assert verdict(answered, unknown, hurt("server", 1.0)).late
    assert not verdict(rings, unknown, hurt("group", 1.0)).late, "nobody was left who could have hung up"
    assert not verdict(rings, unknown, hurt("server", 1.0), hurt("carrier", 2.0)).late
    soon = [rings[0], Line(START + 4, "ended", NUMBER, k, 1)]
    assert not verdict(soon, unknown, hurt("server", 1.0)).late


def test_an_invite_that_was_heard_late_needs_a_trunk_that_was_away_and_is_cancelled() -> None:
    k = key()
    away = hurt("carrier", -1.0, 6.0)
    unknown = [person(k, "unknown")]
    cancelled = [Line(START + 7.5, "dialled", NUMBER, k, 1), Line(START + 7.6, "ended", NUMBER, k, 1)]
    found = verdict(cancelled, unknown, away)
    assert found.good
    assert len(found.heard_late) == 1
    assert verdict(cancelled, unknown, away, udp=False).late, "over TCP nothing is said twice"
    assert verdict(cancelled, unknown, hurt("worker", -1.0, 6.0)).late
    assert verdict(call(k, START + 7.5), unknown, away).late, "somebody answered a call that we had given up"


def test_an_invite_that_was_heard_after_a_cancel_is_cancelled_too() -> None:
    k = key()
    away = hurt("carrier", -1.0, 2.5)
    gone = [person(k, "cancelled")]
    rung = [Line(START + 3.0, "dialled", NUMBER, k, 1), Line(START + 3.1, "ended", NUMBER, k, 1)]
    assert verdict(rung, gone, away, cancelled=START + 0.5).good
    assert verdict(call(k, START + 3.0), gone, away, cancelled=START + 0.5).late


def test_one_attempt_dialled_twice_is_found_unless_a_trunk_forgot_a_call_of_which_nothing_was_heard() -> None:
    for digits, away, udp, good in (
        ("0900", "carrier", True, True),
        ("0900", "carrier", False, False),
        ("0900", "worker", True, False),
        ("0000", "carrier", True, False),
    ):
        k, number = key(), f"+4915000001{digits}"
        log = [*call(k, number=number), *call(k, START + 1.5, nth=2, number=number)]
        found = verdict(log, [person(k, "unknown", phone_number=number)], hurt(away, 0.5), udp=udp)
        assert (not found.twice) is good, (digits, away, udp)


def test_a_ring_limit_needs_a_trunk_that_was_away_or_a_machine_that_stood_still() -> None:
    k = key()
    missed = [person(k, "no_answer")]
    assert verdict(call(k), missed).wrong
    assert verdict(call(k), missed, hurt("worker", 0.1)).wrong
    assert verdict(call(k), missed, hurt("carrier", 0.1)).good
    assert verdict(call(k), missed, hurt("machine", 0.1)).good
    late = call(k, START + 1.5, number=NUMBER)
    assert verdict(late, missed, hurt("carrier", -0.5, 0.9)).good, "our limit began before the trunk was back"
    assert verdict(late, missed, hurt("carrier", -2.0, -1.0)).wrong


def test_whoever_could_have_been_reached_and_was_not_is_lost() -> None:
    for digits, outcome, lost in (
        ("0000", "unknown", True),
        ("2486", "busy", True),
        ("0486", "busy", False),
        ("0900", "unknown", False),
        ("1301", "voicemail", False),
        ("0000", "completed", False),
    ):
        k, number = key(), f"+4915000001{digits}"
        log = call(k, number=number, answered=outcome in {"completed", "voicemail", "unknown"})
        found = verdict(log, [person(k, outcome, phone_number=number)], hurt("worker", 0.1), to_the_end=True)
        assert bool(found.lost) is lost, digits
