"""What the network in a box answers, in our words: one table for the end of a call, one for a refused order."""

from dataclasses import dataclass

from outdial.domain.outcome import Blame, Ending, Outcome


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a call as the network tells it."""

    code: int
    """SIP's."""
    q850: int | None = None
    cause: str = ""
    """The network's slug; it splits what shares a code (nobody answered: the phone stopped, or our ring limit did)."""
    by: str = ""
    """`callee`, `caller` (that is us) or `network`."""
    answered_by: str | None = None
    """`person` or `machine`; None: nobody answered."""


UNANSWERED: dict[int, tuple[Outcome, str, Blame]] = {
    404: (Outcome.INVALID_NUMBER, "no_such_number", Blame.CALLER),
    408: (Outcome.NO_ANSWER, "no_answer", Blame.CALLEE),
    480: (Outcome.UNREACHABLE, "unreachable", Blame.CALLEE),
    486: (Outcome.BUSY, "busy", Blame.CALLEE),
    # we hung up before anybody answered: a cancel, and then the fold says so, or a worker without its server
    487: (Outcome.NETWORK_ERROR, "node_lost", Blame.OURS),
    503: (Outcome.NETWORK_ERROR, "network_error", Blame.CARRIER),
    603: (Outcome.REJECTED, "declined", Blame.CALLEE),
    607: (Outcome.BLOCKED, "unwanted", Blame.CALLEE),
}
"""Every code the network can send for a call that was not answered."""

UNMAPPED = (Outcome.NETWORK_ERROR, "unmapped", Blame.CARRIER)
"""Codes that it does not send, as far as we know."""

ANSWERED: dict[str, tuple[str, Blame]] = {
    "callee": ("hung_up", Blame.CALLEE),
    "caller": ("node_lost", Blame.OURS),
    "network": ("time_limit", Blame.CALLER),
}
"""Who ended a call that was answered."""

REFUSED: dict[int, tuple[str, bool]] = {
    401: ("bad_credentials", True),
    402: ("no_balance", True),
    403: ("forbidden", True),
    # whoever answers there is no phone network: our URL is wrong, for everyone
    404: ("not_a_network", True),
    405: ("not_a_network", True),
}
"""HTTP status of an order that was not taken: the reason, and whether it would hit every recipient alike."""


def classify(answer: Answer) -> Ending:
    """The ending of a call."""
    if answer.answered_by is not None:
        outcome = Outcome.VOICEMAIL if answer.answered_by == "machine" else Outcome.COMPLETED
        reason, blame = ANSWERED.get(answer.by, ("unmapped", Blame.NOBODY_KNOWS))
    else:
        outcome, reason, blame = UNANSWERED.get(answer.code, UNMAPPED)
        if outcome is Outcome.NO_ANSWER and answer.cause == "ring_limit":
            reason = "ring_limit"
    return Ending(
        outcome, reason=reason, blame=blame, provider_code=answer.cause, sip_code=answer.code, q850=answer.q850
    )


def refusal(status: int, message: str = "") -> Ending:
    """The ending of an order that the network did not take, by the status of its reply (3xx or 4xx, not 429)."""
    redirected = ("redirected", True)  # our URL of the network is wrong, so it is for everyone
    reason, halts_trunk = REFUSED.get(status, redirected if status < 400 else ("refused", False))
    return Ending(
        Outcome.PROVIDER_REJECTED,
        reason=reason,
        blame=Blame.OURS,
        provider_code=str(status),
        halts_trunk=halts_trunk,
        detail={"message": message} if message else {},
    )
