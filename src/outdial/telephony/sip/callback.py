"""SIP has no callbacks: everything about a call comes over the call itself, to the process that placed it."""

from outdial.domain.call import CallEvent
from outdial.ports.provider import CallbackRefused, CallbackRequest


def read(request: CallbackRequest) -> list[CallEvent]:
    """Nobody has anything to report here."""
    raise CallbackRefused(f"a SIP trunk sends no reports over HTTP, and none about {request.call_key}")
