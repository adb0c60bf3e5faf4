"""What SIP answers, in our words: one table for final codes, one for Q.850 causes, one for what has no code."""

import re
from dataclasses import dataclass

from outdial.domain.call import CONNECTION_REFUSED
from outdial.domain.outcome import Blame, Ending, Outcome

LIMIT_WORDS = re.compile(r"\b(limit|limits|exceeded|too many|cps|capacity|channels?|concurrent)\b", re.IGNORECASE)
"""Reason texts of a trunk that wants us to be slower (Twilio: 503 Trunk CPS limit exceeded; Telnyx: 403 D1, D2, …)."""
_TELNYX_LIMITS = re.compile(r"\bD(1|2|3|22)\b")
_BALANCE_WORDS = re.compile(r"\b(balance|credit|funds|payment|spend|spending)\b", re.IGNORECASE)
"""A 403 for want of money: no limit that is gone in a moment, also where it says `limit` (Credit limit exceeded)."""
_CALLER_WORDS = re.compile(r"\b(D35|D36|caller|origination|from|ani|cli)\b", re.IGNORECASE)
_NUMBER_WORDS = re.compile(r"\b(destination|dialed|called) number\b|\binvalid number\b", re.IGNORECASE)
RETRY_AFTER_SECS = 1.0
"""Where the trunk does not say."""
TERMINATED = 487
"""What a CANCEL brings about."""
SAYS_NOTHING = frozenset({16, 31, 127})
"""Q.850 causes that leave the word to the SIP code."""


@dataclass(frozen=True, slots=True)
class End:
    """How a call ended, as far as signalling tells."""

    text: str = ""
    """The stack's: `486 Busy Here`, with the Reason header behind a comma; or an error without a code."""
    status: int | None = None
    """The final code, None where there was none."""
    q850: int | None = None
    retry_after: float | None = None
    """Seconds, of the answer's Retry-After."""
    heard: bool = False
    """Any answer came, 100 Trying included."""
    heard_late: bool = False
    """The first one only after we had given up."""
    rang: bool = False
    """180 or 183 came."""
    accepted: bool = False
    """A 2xx came."""
    answered: bool = False
    ours: str = ""
    """Why we ended it, "" if we did not.

    ring_limit, time_limit, given_up, late, talked, agent_failed, no_reply, no_audio, no_voice.
    """


@dataclass(frozen=True, slots=True)
class Throttled:
    """Not now; nothing rang."""

    retry_after: float


@dataclass(frozen=True, slots=True)
class Unsent:
    """Provably not placed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Perhaps placed: nobody can say."""

    reason: str


Verdict = Ending | Throttled | Unsent | Doubtful


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tables."""

    outcome: Outcome
    reason: str
    blame: Blame = Blame.CALLEE
    halts: bool = False


def _ours(reason: str, *, halts: bool = False) -> Row:
    return Row(Outcome.PROVIDER_REJECTED, reason, Blame.OURS, halts=halts)


def _network(reason: str = "network_error") -> Row:
    return Row(Outcome.NETWORK_ERROR, reason, Blame.CARRIER)


_NO_SUCH = Row(Outcome.INVALID_NUMBER, "no_such_number", Blame.CALLER)

FINAL: dict[int, Row] = {
    400: _ours("bad_request"),
    401: _ours("bad_credentials", halts=True),
    402: _ours("no_balance", halts=True),
    403: _ours("forbidden"),
    404: _NO_SUCH,
    405: _ours("method_not_allowed"),
    406: _ours("not_acceptable"),
    407: _ours("bad_credentials", halts=True),
    408: _network("no_reply"),
    410: Row(Outcome.INVALID_NUMBER, "number_gone", Blame.CALLER),
    413: _ours("too_large"),
    414: _ours("too_large"),
    415: _ours("unsupported_media"),
    416: _ours("bad_scheme"),
    420: _ours("bad_extension"),
    421: _ours("extension_required"),
    422: _ours("session_timer"),
    423: _ours("interval_too_brief"),
    428: _ours("identity_required", halts=True),
    433: _ours("anonymity_refused", halts=True),
    436: _ours("bad_identity", halts=True),
    437: _ours("bad_certificate", halts=True),
    438: _ours("bad_identity", halts=True),
    480: Row(Outcome.UNREACHABLE, "unreachable"),
    481: _network("no_dialog"),
    482: _network("loop"),
    483: _network("too_many_hops"),
    484: _NO_SUCH,
    485: _NO_SUCH,
    486: Row(Outcome.BUSY, "busy"),
    487: Row(Outcome.NO_ANSWER, "no_answer"),
    488: _ours("media_refused", halts=True),
    491: _network("request_pending"),
    500: _network(),
    501: _ours("not_implemented"),
    502: _network("bad_gateway"),
    503: _network("unavailable"),
    504: _network("gateway_timeout"),
    505: _ours("bad_version"),
    513: _ours("too_large"),
    580: _network("precondition"),
    600: Row(Outcome.BUSY, "busy"),
    603: Row(Outcome.REJECTED, "declined"),
    604: _NO_SUCH,
    606: _ours("media_refused", halts=True),
    607: Row(Outcome.BLOCKED, "unwanted"),
    608: Row(Outcome.BLOCKED, "analytics", Blame.CARRIER),
}
"""Every final code that has a meaning of its own (RFC 3261, 3329, 4028, 5079, 8197, 8224, 8688)."""

REDIRECTED = _network("redirected")
"""3xx: we don't follow."""
CLIENT_ERROR = _ours("refused")
"""A 4xx of which we know nothing."""
SERVER_ERROR = _network("unmapped")
"""A 5xx or anything else of which we know nothing."""
REJECTED = Row(Outcome.REJECTED, "declined")
"""A 6xx of which we know nothing: everywhere and for good."""

CAUSES: dict[int, Row] = {
    **dict.fromkeys((1, 22, 28), _NO_SUCH),
    **dict.fromkeys((2, 3), _network("no_route")),
    **dict.fromkeys((25, 38, 41, 43, 44, 47, 63, 88, 102, 111), _network()),
    17: Row(Outcome.BUSY, "busy"),
    18: Row(Outcome.NO_ANSWER, "no_answer"),
    19: Row(Outcome.NO_ANSWER, "no_answer"),
    20: Row(Outcome.UNREACHABLE, "unreachable"),
    27: Row(Outcome.UNREACHABLE, "out_of_order"),
    21: Row(Outcome.REJECTED, "declined"),
    **dict.fromkeys((34, 42), _network("congestion")),
    **dict.fromkeys((29, 50, 52, 55, 57, 58, 65, 79), _ours("refused")),
}
"""Q.850 causes in a Reason header: they win over the SIP code."""

ENDED: dict[str, tuple[str, Blame]] = {
    "": ("hung_up", Blame.CALLEE),
    "talked": ("talked", Blame.CALLER),
    "time_limit": ("time_limit", Blame.CALLER),
    "media_lost": ("media_lost", Blame.CARRIER),
    "agent_failed": ("agent_failed", Blame.OURS),
}
"""How a call that was answered ended; whatever else we did ourselves is `node_lost` (of a cancel the fold knows)."""

NO_AUDIO = _ours("no_audio", halts=True)
"""Somebody answered, and the far end's audio can't be used: not encrypted as required, no codec of ours, held."""

NO_VOICE = _ours("no_voice", halts=True)
"""Somebody answered, and the agent could not say its first word: nobody else would hear it either."""

NOBODY_THERE = (
    "connection refused",
    "no local address",
    "destination address required",  # the name leads nowhere
    "cannot assign requested address",  # the name server knows no such name, or does not answer
    "no route to host",
    "network is unreachable",
)
"""Errors of the transport in which no INVITE can have left; three in a row, and the trunk is probed."""
BAD_CERTIFICATE = ("protocol error", "certificate")
"""The far end can't show who it is: no INVITE has left, and it would hit everybody."""


def classify(end: End) -> Verdict:
    """What became of the call."""
    if end.answered:
        return _answered(end)
    if end.ours and end.status in {None, TERMINATED}:
        return _given_up(end)
    if end.status is None:
        return _without_code(end)
    if not end.rang and _limited(end):
        return Throttled(RETRY_AFTER_SECS if end.retry_after is None else end.retry_after)
    return _ending(_row(end), end)


def _answered(end: End) -> Ending:
    if end.ours == "no_audio":
        return _ending(NO_AUDIO, end)
    if end.ours == "no_voice":
        return _ending(NO_VOICE, end)
    lost = not end.ours and "rtp stream error" in end.text
    reason, blame = ENDED.get("media_lost" if lost else end.ours, ("node_lost", Blame.OURS))
    return Ending(Outcome.COMPLETED, reason, blame, provider_code=end.text[:80])


def _given_up(end: End) -> Verdict:
    """We ended it before anybody answered, and before the far end did."""
    match end.ours:
        case "ring_limit" if end.heard_late:
            return Ending(Outcome.NETWORK_ERROR, "late_reply", Blame.CARRIER, sip_code=end.status)
        case "ring_limit" if end.heard:
            return Ending(Outcome.NO_ANSWER, "ring_limit", Blame.CALLEE, sip_code=end.status)
        case "no_reply" | "ring_limit":
            return Doubtful("no_reply")
    reason = "late" if end.ours == "late" else "node_lost"
    return Ending(Outcome.NETWORK_ERROR, reason, Blame.OURS, sip_code=end.status)


def _without_code(end: End) -> Verdict:
    """Errors of transport: what can't have left is unsent, the rest is doubt."""
    text = end.text.lower()
    if end.accepted:  # the stack could not read what the far end says of its audio, and has hung up
        return _ending(NO_AUDIO, end)
    if not end.heard and any(words in text for words in NOBODY_THERE):
        return Unsent(CONNECTION_REFUSED)
    if not end.heard and any(words in text for words in BAD_CERTIFICATE):
        return _ending(_ours("bad_certificate", halts=True), end)
    if "timed out" in text and not end.rang:
        return Doubtful("no_reply")
    return Doubtful("connection_broken")


def _limited(end: End) -> bool:
    if end.status == 503:
        return end.retry_after is not None or bool(LIMIT_WORDS.search(end.text))
    if end.status != 403 or _BALANCE_WORDS.search(end.text):
        return False
    return bool(LIMIT_WORDS.search(end.text) or _TELNYX_LIMITS.search(end.text))


def _row(end: End) -> Row:
    status, text = end.status or 0, end.text.lower()
    if status == 603 and ("network blocked" in text or "v=analytics1" in text):  # 603+, ATIS-1000099
        return Row(Outcome.BLOCKED, "analytics", Blame.CARRIER)
    if status not in {607, 608} and (row := _by_cause(end)) is not None:
        return row
    if status == 403:
        return _forbidden(end.text)
    if status == 408 and end.rang:
        return Row(Outcome.NO_ANSWER, "no_answer")
    return FINAL.get(status) or _by_class(status)


def _by_cause(end: End) -> Row | None:
    if end.q850 is None or end.q850 in SAYS_NOTHING:
        return None
    if end.q850 == 21 and end.status == 403:
        return Row(Outcome.BLOCKED, "network_blocked", Blame.CARRIER)
    return CAUSES.get(end.q850)


def _forbidden(text: str) -> Row:
    """403 says why in words, if at all."""
    if _BALANCE_WORDS.search(text):
        return FINAL[402]
    if _NUMBER_WORDS.search(text):
        return _NO_SUCH
    if _CALLER_WORDS.search(text):
        return _ours("caller_id_refused", halts=True)
    return _ours("forbidden", halts=True)


def _by_class(status: int) -> Row:
    match status // 100:
        case 3:
            return REDIRECTED
        case 4:
            return CLIENT_ERROR
        case 6:
            return REJECTED
    return SERVER_ERROR


def _ending(row: Row, end: End) -> Ending:
    return Ending(
        row.outcome,
        reason=row.reason,
        blame=row.blame,
        provider_code=end.text[:80],
        sip_code=end.status,
        q850=end.q850,
        halts_trunk=row.halts,
    )


_STATUS = re.compile(r"([1-6][0-9]{2}) ?")
_QUOTED = re.compile(r'"[^"]*"')
_CAUSE = re.compile(r"cause[ \t]*=[ \t]*([0-9]{1,3})(?![0-9])", re.IGNORECASE)


def read_text(text: str) -> tuple[int | None, int | None]:
    """The final code and the Q.850 cause in the stack's words for an ending."""
    status = _STATUS.match(text)
    return (int(status[1]) if status else None), cause_in(text)


def cause_in(reason: str) -> int | None:
    """The Q.850 cause in a Reason header (RFC 3326), which may have several; read in one pass, whoever wrote it."""
    for value in _QUOTED.sub("", reason).split(","):
        protocol, *params = (part.strip() for part in value.split(";"))
        if protocol.upper() == "Q.850":
            for param in params:
                if found := _CAUSE.match(param):
                    return int(found[1])
    return None
