"""What the last four digits of a number do: the one table of the network in a box."""

from dataclasses import dataclass
from enum import StrEnum


class By(StrEnum):
    """Who ended the call."""

    CALLEE = "callee"
    CALLER = "caller"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a call ended, as a slug and in the words of SIP (RFC 3261, 8197) and Q.850."""

    slug: str
    code: int
    reason: str
    q850: int
    by: By


BUSY = Cause("busy", 486, "Busy Here", 17, By.CALLEE)
NO_ANSWER = Cause("no_answer", 408, "Request Timeout", 19, By.NETWORK)
RING_LIMIT = Cause("ring_limit", 408, "Request Timeout", 19, By.NETWORK)
UNREACHABLE = Cause("unreachable", 480, "Temporarily Unavailable", 20, By.NETWORK)
DECLINED = Cause("declined", 603, "Decline", 21, By.CALLEE)
NO_SUCH_NUMBER = Cause("no_such_number", 404, "Not Found", 1, By.NETWORK)
NETWORK_ERROR = Cause("network_error", 503, "Service Unavailable", 38, By.NETWORK)
UNWANTED = Cause("unwanted", 607, "Unwanted", 21, By.CALLEE)
GIVEN_UP = Cause("given_up", 487, "Request Terminated", 16, By.CALLER)
HUNG_UP = Cause("hung_up", 200, "OK", 16, By.CALLEE)
HUNG_UP_BY_CALLER = Cause("hung_up", 200, "OK", 16, By.CALLER)
TIME_LIMIT = Cause("time_limit", 200, "OK", 16, By.NETWORK)

CAUSES = (
    BUSY,
    NO_ANSWER,
    RING_LIMIT,
    UNREACHABLE,
    DECLINED,
    NO_SUCH_NUMBER,
    NETWORK_ERROR,
    UNWANTED,
    GIVEN_UP,
    HUNG_UP,
    HUNG_UP_BY_CALLER,
    TIME_LIMIT,
)
"""All of them; a place in this tuple stands for the cause in a finished call's record."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a phone behaves when it is called."""

    cause: Cause
    """How the call ends if nobody interferes."""
    rings: bool
    answers: bool = False
    machine: bool = False


ANSWERED = Ending(HUNG_UP, rings=True, answers=True)
MACHINE = Ending(HUNG_UP, rings=True, answers=True, machine=True)

ENDINGS = {
    "0486": Ending(BUSY, rings=False),
    "0408": Ending(NO_ANSWER, rings=True),
    "0480": Ending(UNREACHABLE, rings=False),
    "0603": Ending(DECLINED, rings=True),
    "0404": Ending(NO_SUCH_NUMBER, rings=False),
    "0503": Ending(NETWORK_ERROR, rings=False),
    "0607": Ending(UNWANTED, rings=True),
    "0301": MACHINE,
}
"""Each time; any other number is answered."""

AT_FIRST = {
    "1486": ("0486", 1),
    "1408": ("0408", 1),
    "1503": ("0503", 1),
    "1301": ("0301", 1),
    "2486": ("0486", 2),
    "2408": ("0408", 2),
}
"""As the other number for the first so many times it is dialled, answered from then on."""


class Quirk(StrEnum):
    """What else the network does around a call that is answered: over HTTP · over SIP."""

    NONE = ""
    NO_REPLY = "0900"
    """The reply to `place` never comes · every reply is lost."""
    ERROR_REPLY = "0901"
    """The reply to `place` is an error 500 · the first two 200s are lost."""
    REVERSED = "0902"
    """All reports are held until the end, then each is sent twice, the last one first · every response comes twice, and
    the 180 after the 200."""
    SILENT = "0903"
    """No report after the answer · no RTP and no BYE after it, and the caller's is not answered."""
    THROTTLED = "0904"
    """The first `THROTTLES` times the reply to `place` is 429 · 503 with Retry-After."""
    EARLY = "0183"
    """– · 183 with early media: the ringing is heard."""


THROTTLES = 3
RETRY_AFTER_SECS = 0.2

_QUIRKS = {quirk.value: quirk for quirk in Quirk}


def ending(number: str, nth: int) -> Ending:
    """How the phone behaves on the nth call (from 1) to it."""
    digits = number[-4:]
    as_number, times = AT_FIRST.get(digits, (digits, nth))
    return ENDINGS.get(as_number, ANSWERED) if nth <= times else ANSWERED


def quirk(number: str) -> Quirk:
    """What the network does besides."""
    return _QUIRKS.get(number[-4:], Quirk.NONE)
