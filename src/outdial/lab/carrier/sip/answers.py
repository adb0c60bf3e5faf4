"""What an ending is over SIP: the final code, and the Q.850 cause in its Reason (RFC 3326)."""

from outdial.lab.carrier.course import Report

IN_WORDS = {
    1: "Unallocated number",
    16: "Normal call clearing",
    17: "User busy",
    19: "No answer from user",
    20: "Subscriber absent",
    21: "Call rejected",
    38: "Network out of order",
}
"""Q.850 causes."""

OTHERWISE = {
    # nobody answered: a phone that stops by itself is not reached just now, one whose INVITE has expired is given up
    # (RFC 3261 13.3.1); 408 is what a proxy says that waited for somebody else
    "no_answer": (480, "Temporarily Unavailable"),
    "ring_limit": (487, "Request Terminated"),
}
"""By the cause's slug: where SIP itself has another word than a report over HTTP."""


def final(ended: Report) -> tuple[int, str]:
    """Code and phrase for a call that nobody answered."""
    return OTHERWISE.get(ended.cause or "", (ended.code or 500, ended.reason or "Server Error"))


def reason(ended: Report) -> tuple[str, str]:
    """The header."""
    cause = ended.q850 or 31
    return "Reason", f'Q.850;cause={cause};text="{IN_WORDS.get(cause, "Normal, unspecified")}"'
