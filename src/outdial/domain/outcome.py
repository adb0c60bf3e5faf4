"""How an attempt can end, and what each ending means: the only place that says so."""

from dataclasses import dataclass, field
from enum import StrEnum

from outdial.domain.recipient import RecipientStatus


class Outcome(StrEnum):
    """The closed list of endings. Providers translate into it in their own `outcome.py`."""

    COMPLETED = "completed"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    REJECTED = "rejected"
    NETWORK_ERROR = "network_error"
    PROVIDER_REJECTED = "provider_rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    INVALID_NUMBER = "invalid_number"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


class Blame(StrEnum):
    """Whose the ending is."""

    CALLEE = "callee"
    CALLER = "caller"
    CARRIER = "carrier"
    OURS = "ours"
    NOBODY_KNOWS = "nobody_knows"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an outcome means to the rest of the system."""

    status: RecipientStatus
    """The word of the wire for the recipient."""
    retried: bool = False
    """Whether a bare `retry` calls this one again."""
    on_request: bool = False
    """Whether `retry` calls this one again when `include` names it."""
    reached: bool = False
    """Whether somebody or something answered."""
    permanent: bool = False
    """Whether calling this number again can't help."""
    proves: bool = False
    """Whether it is about the one person, so that it shows that the trunk takes calls."""
    why_not: str = ""
    """For people: why a bare retry leaves this one alone ("" when it does not)."""


def _failed(*, permanent: str = "", proves: bool = False) -> Meaning:
    return Meaning(
        RecipientStatus.FAILED, retried=not permanent, permanent=bool(permanent), proves=proves, why_not=permanent
    )


MEANING: dict[Outcome, Meaning] = {
    Outcome.COMPLETED: Meaning(RecipientStatus.COMPLETED, reached=True, proves=True, why_not="was reached"),
    Outcome.VOICEMAIL: Meaning(
        RecipientStatus.VOICEMAIL,
        on_request=True,
        reached=True,
        proves=True,
        why_not='a machine answered; ask with include: ["voicemail"]',
    ),
    Outcome.NO_ANSWER: _failed(proves=True),
    Outcome.BUSY: _failed(proves=True),
    Outcome.UNREACHABLE: _failed(proves=True),
    Outcome.REJECTED: _failed(proves=True),
    Outcome.NETWORK_ERROR: _failed(),
    Outcome.PROVIDER_REJECTED: _failed(),
    Outcome.EXPIRED: _failed(),
    Outcome.UNKNOWN: _failed(),
    Outcome.BLOCKED: _failed(permanent="the network or the person blocks these calls", proves=True),
    Outcome.INVALID_NUMBER: _failed(permanent="the number does not exist", proves=True),
    Outcome.SUPPRESSED: _failed(permanent="the number is on the do-not-call list"),
    Outcome.CANCELLED: Meaning(
        RecipientStatus.CANCELLED, on_request=True, why_not='was cancelled; ask with include: ["cancelled"]'
    ),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How one attempt ended, with everything that the provider said about it."""

    outcome: Outcome
    reason: str = ""
    """A slug such as `node_lost`, `ring_limit`, `given_up`."""
    blame: Blame = Blame.NOBODY_KNOWS
    provider_code: str = ""
    sip_code: int | None = None
    q850: int | None = None
    halts_trunk: bool = False
    """The error would hit every recipient alike (credentials, balance, caller id, media, our own URL)."""
    detail: dict[str, str] = field(default_factory=dict)


def status_of(outcome: Outcome) -> RecipientStatus:
    """The wire's word for a recipient whose last attempt ended so."""
    return MEANING[outcome].status


def proves(ending: Ending) -> bool:
    """Whether a call that ended so shows that its trunk takes calls."""
    return MEANING[ending.outcome].proves and not ending.halts_trunk


def reached(outcome: Outcome) -> bool:
    """Whether somebody or something answered."""
    return MEANING[outcome].reached
