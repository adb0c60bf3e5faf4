"""Reports of the network in a box: is it really from there, and what does it say."""

import hashlib
import hmac
import re

import msgspec

from outdial.domain.call import CallEvent, EventKind, Utterance
from outdial.ports.provider import CallbackRefused, CallbackRequest
from outdial.telephony.loopback.outcome import Answer, classify

HEADER = "x-carrier-signature"
TOLERANCE_SECS = 300
"""How far the signature's time may be from ours, both ways."""

_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
_KINDS = {"ringing": EventKind.RINGING, "answered": EventKind.ANSWERED, "ended": EventKind.ENDED}


class Said(msgspec.Struct):
    """A line of the transcript."""

    role: str
    text: str
    at_secs: int = 0


class Report(msgspec.Struct):
    """One report, as the network sends it and as its look-up tells it."""

    id: str
    event: str
    at: float
    call_id: str
    call_key: str
    nth: int = 0
    answered_by: str | None = None
    code: int = 0
    reason: str = ""
    q850: int | None = None
    cause: str = ""
    by: str = ""
    rang_at: float | None = None
    answered_at: float | None = None
    transcript: list[Said] = []


_REPORT = msgspec.json.Decoder(Report)


def read(request: CallbackRequest, *, now: float) -> list[CallEvent]:
    """Verify, then parse; `now` is Unix seconds. Raises CallbackRefused."""
    verify(request, now=now)
    return parse(request)


def verify(request: CallbackRequest, *, now: float) -> None:
    """Whether it was signed with this call's key, and lately; raises CallbackRefused."""
    signature = _SIGNATURE.fullmatch(request.headers.get(HEADER, ""))
    if signature is None:
        raise CallbackRefused("signature missing or malformed")
    at, given = signature.groups()
    if abs(now - int(at)) > TOLERANCE_SECS:
        raise CallbackRefused(f"signed at {at}, more than {TOLERANCE_SECS} s from now")
    ours = hmac.digest(request.secret.encode(), at.encode() + b"." + request.body, hashlib.sha256).hex()
    if not hmac.compare_digest(ours, given):
        raise CallbackRefused("signature wrong")


def parse(request: CallbackRequest) -> list[CallEvent]:
    """What the report says; kinds that we don't know say nothing. Raises CallbackRefused."""
    try:
        report = _REPORT.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise CallbackRefused(f"no report: {wrong}") from wrong
    if report.call_key != request.call_key:
        raise CallbackRefused("the report is about another call")
    return events(report)


def events(report: Report) -> list[CallEvent]:
    """One report as we tell it; also used for what a look-up found."""
    kind = _KINDS.get(report.event)
    if kind is None:
        return []
    ended = kind is EventKind.ENDED
    return [
        CallEvent(
            report.call_key,
            kind,
            report.at,
            event_id=report.id,
            provider_call_id=report.call_id,
            ending=classify(_answer(report)) if ended else None,
            said=tuple(Utterance(line.role, line.text, line.at_secs) for line in report.transcript),
            answered_at=report.answered_at if ended else None,
            rang=ended and report.rang_at is not None,
        )
    ]


def _answer(report: Report) -> Answer:
    answered_by = report.answered_by or ("person" if report.answered_at is not None else None)
    return Answer(report.code, q850=report.q850, cause=report.cause, by=report.by, answered_by=answered_by)
