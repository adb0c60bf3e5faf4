"""How a request is named, so that a twin of it gets the same answer instead of a second batch or round."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from outdial.api.context import context_of
from outdial.domain.errors import Invalid
from outdial.ports.store import Answered, KeyOwner, RequestKey

HEADER = "idempotency-key"
KEPT_SECS = 24 * 3600.0
"""An Idempotency-Key of the caller's own names one act for a day."""
UNHEARD_SECS = 120.0
"""How long a twin gets the answer of an act at least, where nobody noted that the first one was answered: the database
went away in its commit, or the server died. Longer than a client tries again."""
LONGEST = 256


def request_key(request: Request, caller: KeyOwner, body: bytes) -> RequestKey | None:
    """The name of this act: the caller's own Idempotency-Key, else what they sent; None where replay is off."""
    own = request.headers.get(HEADER)
    if own is not None:
        if not 1 <= len(own) <= LONGEST:
            raise Invalid(f"an Idempotency-Key has 1 to {LONGEST} characters", code="invalid_parameters", param=HEADER)
        name = _digest(request, caller, b"key", own.encode("latin-1"))
        return RequestKey(caller.workspace_id, name, KEPT_SECS, hashlib.sha256(body).hexdigest())
    replay_secs = context_of(request).replay_secs
    if replay_secs <= 0:
        return None
    name = _digest(request, caller, b"body", body)
    return RequestKey(caller.workspace_id, name, replay_secs, unheard_secs=UNHEARD_SECS)


def marked(answer: Response, answered: Answered) -> Response:
    """The answer, saying so if it is a repeated one."""
    if answered.replayed:
        answer.headers["idempotent-replayed"] = "true"
    return answer


def _digest(request: Request, caller: KeyOwner, kind: bytes, content: bytes) -> str:
    named = f"{caller.key_id}\n{request.method}\n{request.url.path}\n".encode()
    return hashlib.sha256(named + kind + b"\n" + hashlib.sha256(content).digest()).hexdigest()
