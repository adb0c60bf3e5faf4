"""One row per code that the network in a box can send."""

import pytest

from outdial.domain.outcome import Blame, Outcome
from outdial.lab.carrier.endings import CAUSES
from outdial.telephony.loopback.outcome import Answer, classify, refusal

ROWS = [
    (Answer(486, 17, "busy", "callee"), Outcome.BUSY, "busy", Blame.CALLEE),
    (Answer(408, 19, "no_answer", "network"), Outcome.NO_ANSWER, "no_answer", Blame.CALLEE),
    (Answer(408, 19, "ring_limit", "network"), Outcome.NO_ANSWER, "ring_limit", Blame.CALLEE),
    (Answer(480, 20, "unreachable", "network"), Outcome.UNREACHABLE, "unreachable", Blame.CALLEE),
    (Answer(603, 21, "declined", "callee"), Outcome.REJECTED, "declined", Blame.CALLEE),
    (Answer(404, 1, "no_such_number", "network"), Outcome.INVALID_NUMBER, "no_such_number", Blame.CALLER),
    (Answer(503, 38, "network_error", "network"), Outcome.NETWORK_ERROR, "network_error", Blame.CARRIER),
    (Answer(607, 21, "unwanted", "callee"), Outcome.BLOCKED, "unwanted", Blame.CALLEE),
    (Answer(487, 16, "given_up", "caller"), Outcome.NETWORK_ERROR, "node_lost", Blame.OURS),
    (Answer(200, 16, "hung_up", "callee", "person"), Outcome.COMPLETED, "hung_up", Blame.CALLEE),
    (Answer(200, 16, "hung_up", "caller", "person"), Outcome.COMPLETED, "node_lost", Blame.OURS),
    (Answer(200, 16, "time_limit", "network", "person"), Outcome.COMPLETED, "time_limit", Blame.CALLER),
    (Answer(200, 16, "hung_up", "callee", "machine"), Outcome.VOICEMAIL, "hung_up", Blame.CALLEE),
    (Answer(200, 16, "hung_up", "caller", "machine"), Outcome.VOICEMAIL, "node_lost", Blame.OURS),
    (Answer(499, None, "news", "network"), Outcome.NETWORK_ERROR, "unmapped", Blame.CARRIER),
    (Answer(200, None, "hung_up", "callee"), Outcome.NETWORK_ERROR, "unmapped", Blame.CARRIER),
    (Answer(200, 16, "hung_up", "somebody", "person"), Outcome.COMPLETED, "unmapped", Blame.NOBODY_KNOWS),
]


@pytest.mark.parametrize(("answer", "outcome", "reason", "blame"), ROWS)
def test_every_code_has_its_outcome(answer: Answer, outcome: Outcome, reason: str, blame: Blame) -> None:
    ending = classify(answer)
    assert (ending.outcome, ending.reason, ending.blame) == (outcome, reason, blame)
    assert (ending.sip_code, ending.q850, ending.provider_code) == (answer.code, answer.q850, answer.cause)
    assert not ending.halts_trunk


def test_no_cause_of_the_network_is_without_a_row() -> None:
    rows = {(answer.cause, answer.code, answer.q850, answer.by) for answer, *_ in ROWS}
    assert {(cause.slug, cause.code, cause.q850, cause.by.value) for cause in CAUSES} <= rows


@pytest.mark.parametrize(
    ("status", "reason", "halts"),
    [
        (400, "refused", False),
        (401, "bad_credentials", True),
        (402, "no_balance", True),
        (403, "forbidden", True),
        (404, "not_a_network", True),
        (422, "refused", False),
        (302, "redirected", True),
    ],
)
def test_a_refused_order_says_whether_it_would_hit_everyone(status: int, reason: str, halts: bool) -> None:
    ending = refusal(status, "words")
    assert (ending.outcome, ending.reason, ending.halts_trunk) == (Outcome.PROVIDER_REJECTED, reason, halts)
    assert (ending.provider_code, ending.detail) == (str(status), {"message": "words"})
