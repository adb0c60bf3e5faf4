"""Every row of the tables of SIP outcomes, and what overrules them."""

import pytest

from outdial.domain.outcome import Blame, Ending, Outcome
from outdial.telephony.sip.outcome import CAUSES, FINAL, Doubtful, End, Throttled, Unsent, cause_in, classify, read_text

O = Outcome  # noqa: E741 - a table reads better


def ended(text: str, **more: object) -> Ending:
    status, q850 = read_text(text)
    verdict = classify(End(text=text, status=status, q850=q850, heard=True, **more))  # type: ignore[arg-type]
    assert isinstance(verdict, Ending), verdict
    return verdict


FINALS = {
    300: O.NETWORK_ERROR, 301: O.NETWORK_ERROR, 302: O.NETWORK_ERROR, 305: O.NETWORK_ERROR, 380: O.NETWORK_ERROR,
    400: O.PROVIDER_REJECTED, 401: O.PROVIDER_REJECTED, 402: O.PROVIDER_REJECTED, 403: O.PROVIDER_REJECTED,
    404: O.INVALID_NUMBER, 405: O.PROVIDER_REJECTED, 406: O.PROVIDER_REJECTED, 407: O.PROVIDER_REJECTED,
    408: O.NETWORK_ERROR, 410: O.INVALID_NUMBER, 413: O.PROVIDER_REJECTED, 414: O.PROVIDER_REJECTED,
    415: O.PROVIDER_REJECTED, 416: O.PROVIDER_REJECTED, 420: O.PROVIDER_REJECTED, 421: O.PROVIDER_REJECTED,
    422: O.PROVIDER_REJECTED, 423: O.PROVIDER_REJECTED, 428: O.PROVIDER_REJECTED, 433: O.PROVIDER_REJECTED,
    436: O.PROVIDER_REJECTED, 437: O.PROVIDER_REJECTED, 438: O.PROVIDER_REJECTED, 480: O.UNREACHABLE,
    481: O.NETWORK_ERROR, 482: O.NETWORK_ERROR, 483: O.NETWORK_ERROR, 484: O.INVALID_NUMBER, 485: O.INVALID_NUMBER,
    486: O.BUSY, 487: O.NO_ANSWER, 488: O.PROVIDER_REJECTED, 491: O.NETWORK_ERROR, 499: O.PROVIDER_REJECTED,
    500: O.NETWORK_ERROR, 501: O.PROVIDER_REJECTED, 502: O.NETWORK_ERROR, 503: O.NETWORK_ERROR, 504: O.NETWORK_ERROR,
    505: O.PROVIDER_REJECTED, 513: O.PROVIDER_REJECTED, 580: O.NETWORK_ERROR, 599: O.NETWORK_ERROR, 600: O.BUSY,
    603: O.REJECTED, 604: O.INVALID_NUMBER, 606: O.PROVIDER_REJECTED, 607: O.BLOCKED, 608: O.BLOCKED, 699: O.REJECTED,
}  # fmt: skip

Q850 = {
    **dict.fromkeys((1, 22, 28), O.INVALID_NUMBER),
    **dict.fromkeys((2, 3, 25, 34, 38, 41, 42, 43, 44, 47, 63, 88, 102, 111), O.NETWORK_ERROR),
    17: O.BUSY, 18: O.NO_ANSWER, 19: O.NO_ANSWER, 20: O.UNREACHABLE, 27: O.UNREACHABLE, 21: O.REJECTED,
    **dict.fromkeys((29, 50, 52, 55, 57, 58, 65, 79), O.PROVIDER_REJECTED),
}  # fmt: skip


@pytest.mark.parametrize(("code", "outcome"), FINALS.items())
def test_every_final_code_has_its_outcome(code: int, outcome: Outcome) -> None:
    ending = ended(f"{code} Whatever")
    assert (ending.outcome, ending.sip_code) == (outcome, code)
    assert ending.reason
    assert ending.blame is not Blame.NOBODY_KNOWS


def test_no_row_of_the_tables_is_untested() -> None:
    assert set(FINAL) <= set(FINALS)
    assert set(CAUSES) == set(Q850)


@pytest.mark.parametrize(("cause", "outcome"), Q850.items())
@pytest.mark.parametrize("code", [404, 480, 486, 500, 503, 603])
def test_a_cause_wins_over_the_code(code: int, cause: int, outcome: Outcome) -> None:
    ending = ended(f'{code} No,Q.850;cause={cause};text="because"')
    assert (ending.outcome, ending.q850) == (outcome, cause)


@pytest.mark.parametrize("cause", [16, 31, 127, 99])
def test_a_cause_that_says_nothing_leaves_the_word_to_the_code(cause: int) -> None:
    assert ended(f"486 Busy Here,Q.850;cause={cause}").outcome is Outcome.BUSY


@pytest.mark.parametrize("code", [607, 608])
def test_who_blocks_us_is_believed_whatever_the_cause(code: int) -> None:
    assert ended(f"{code} Unwanted,Q.850;cause=17").outcome is Outcome.BLOCKED


def test_a_reason_of_another_protocol_is_no_cause() -> None:
    ending = ended('480 Gone,SIP;cause=200;text="Call completed elsewhere"')
    assert (ending.outcome, ending.q850) == (Outcome.UNREACHABLE, None)


@pytest.mark.parametrize("text", ["603 Network Blocked", '603 Decline,Q.850;cause=21;text="v=analytics1;url=x"'])
def test_603_plus_is_blocked_and_not_declined(text: str) -> None:
    assert ended(text).outcome is Outcome.BLOCKED


@pytest.mark.parametrize(
    ("text", "outcome", "halts"),
    [
        ("403 Forbidden", Outcome.PROVIDER_REJECTED, True),
        ("403 Caller Origination Number is Invalid D35", Outcome.PROVIDER_REJECTED, True),
        ("403 Dialed Number is invalid D11", Outcome.INVALID_NUMBER, False),
        ("403 Forbidden,Q.850;cause=21", Outcome.BLOCKED, False),
        ("403 Credit limit exceeded", Outcome.PROVIDER_REJECTED, True),
        ("403 Daily spend limit exceeded", Outcome.PROVIDER_REJECTED, True),
    ],
)
def test_a_403_says_why_in_words(text: str, outcome: Outcome, halts: bool) -> None:
    ending = ended(text)
    assert (ending.outcome, ending.halts_trunk) == (outcome, halts)


@pytest.mark.parametrize("code", [401, 402, 407, 428, 433, 436, 437, 438, 488, 606])
def test_what_would_hit_everyone_halts_the_trunk(code: int) -> None:
    assert ended(f"{code} No").halts_trunk


@pytest.mark.parametrize("code", [404, 408, 480, 486, 500, 503, 600, 603, 604, 607, 608])
def test_what_is_about_one_call_halts_nothing(code: int) -> None:
    assert not ended(f"{code} No").halts_trunk


@pytest.mark.parametrize(
    ("text", "after", "secs"),
    [
        ("503 Trunk CPS limit exceeded", None, 1.0),
        ("503 Service Unavailable", 7.0, 7.0),
        ("503 Service Unavailable", 0.0, 0.0),
        ("403 Channel limit D1", None, 1.0),
        ("403 Too many calls", 3.0, 3.0),
    ],
)
def test_a_trunk_that_wants_us_slower_throttles(text: str, after: float | None, secs: float) -> None:
    status, _ = read_text(text)
    assert classify(End(text=text, status=status, retry_after=after, heard=True)) == Throttled(secs)
    rang = classify(End(text=text, status=status, retry_after=after, heard=True, rang=True))
    assert not isinstance(rang, Throttled)  # the twin: a phone that rang is never called again by itself


def test_a_plain_503_is_an_error_of_the_network() -> None:
    assert ended("503 Service Unavailable").outcome is Outcome.NETWORK_ERROR


def test_a_408_after_ringing_is_nobody_at_home() -> None:
    assert ended("408 Request Timeout", rang=True).outcome is Outcome.NO_ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "Connection refused [111]",
        "Destination address required [89]",
        "Cannot assign requested address [99]",
        "Network is unreachable [101]",
        "No route to host [113]",
    ],
)
def test_what_cannot_have_left_is_unsent(text: str) -> None:
    assert classify(End(text=text)) == Unsent("connection_refused")
    assert isinstance(classify(End(text=text, heard=True)), Doubtful)  # the twin: something had left before


def test_a_bad_certificate_halts() -> None:
    verdict = classify(End(text="Protocol error [71]"))
    assert isinstance(verdict, Ending)
    assert (verdict.reason, verdict.halts_trunk) == ("bad_certificate", True)


@pytest.mark.parametrize("text", ["Connection timed out [110]", "Connection reset by peer [104]", "", "Something new"])
def test_without_a_code_it_is_doubt(text: str) -> None:
    assert isinstance(classify(End(text=text)), Doubtful)


@pytest.mark.parametrize(
    ("ours", "text", "reason"),
    [
        ("", "Connection reset by peer [104]", "hung_up"),
        ("", "rtp stream error", "media_lost"),
        ("talked", "Rejected by user", "talked"),
        ("time_limit", "Rejected by user", "time_limit"),
        ("agent_failed", "Rejected by user", "agent_failed"),
        ("given_up", "Rejected by user", "node_lost"),
    ],
)
def test_a_call_that_was_answered_is_completed(ours: str, text: str, reason: str) -> None:
    ending = ended(text, answered=True, rang=True, ours=ours)
    assert (ending.outcome, ending.reason) == (Outcome.COMPLETED, reason)


def test_our_ring_limit_is_no_answer_where_anything_was_heard() -> None:
    assert ended("Rejected by user", ours="ring_limit", rang=True).outcome is Outcome.NO_ANSWER
    assert classify(End(text="Rejected by user", ours="ring_limit")) == Doubtful("no_reply")


def test_a_trunk_that_says_its_first_word_after_the_ring_limit_is_to_blame() -> None:
    ending = ended("Rejected by user", ours="ring_limit", heard_late=True)
    assert (ending.outcome, ending.reason, ending.blame) == (Outcome.NETWORK_ERROR, "late_reply", Blame.CARRIER)


@pytest.mark.parametrize("ours", ["ring_limit", "given_up", "late"])
def test_a_refusal_that_comes_before_our_cancel_is_what_became_of_the_call(ours: str) -> None:
    assert ended("486 Busy Here", ours=ours).outcome is Outcome.BUSY
    full = End(text="503 Service Unavailable", status=503, retry_after=1.0, heard=True, ours=ours)
    assert classify(full) == Throttled(1.0)
    assert ended("487 Request Terminated", ours="given_up").reason == "node_lost"


def test_a_trunk_that_never_said_a_word_leaves_doubt() -> None:
    assert classify(End(text="Rejected by user", ours="no_reply")) == Doubtful("no_reply")


@pytest.mark.parametrize("ours", ["given_up", "late"])
def test_what_we_gave_up_unanswered_is_ours(ours: str) -> None:
    ending = ended("Rejected by user", ours=ours)
    assert (ending.outcome, ending.blame) == (Outcome.NETWORK_ERROR, Blame.OURS)


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("Q.850;cause=17", 17),
        (' q.850 ; text="a, Q.850;cause=1" ; cause = 19 ', 19),
        ("SIP;cause=486, Q.850;cause=17", 17),
        ("Q.850;text=none, Q.850;cause=21", 21),
        ("SIP;cause=486", None),
        ("Q.850;cause=1234", None),
        ("Q.850", None),
        ("", None),
    ],
)
def test_a_reason_header_is_read(reason: str, cause: int | None) -> None:
    assert cause_in(reason) == cause


@pytest.mark.parametrize("hostile", [",Q.850;", "Q.850;", '"', 'Q.850;"', "cause=", ";", " "])
def test_a_reason_as_long_as_a_packet_holds_nothing_up(hostile: str) -> None:
    # it is read while calls are up; a pattern that goes back and forth takes seconds
    assert cause_in(hostile * (65_000 // len(hostile))) is None
