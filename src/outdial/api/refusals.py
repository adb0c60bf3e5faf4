"""Every error as an answer: the one place where they become HTTP.

A refusal that is final is 400, 401, 403, 404, 413 or 422: the official clients send a 409, 429 or 5xx again, all by
themselves. Only "not now" is 503, with the seconds after which to come back: nothing was done then. A 503 without them
is a write of which nobody can say whether it was done.
"""

import math

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from outdial.api.answers import json_answer
from outdial.domain.errors import Complaint, Doubtful, NotAllowed, NotFound, Refused, Unavailable, Unprocessable
from outdial.runtime.log import get_logger

MOST_COMPLAINTS = 100

log = get_logger()


class TooLarge(Refused):
    """413: the body is larger than this address takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a body here has at most {limit} bytes", code="request_too_large")


class TooSlow(Refused):
    """400: the body came so slowly that it was given up."""

    def __init__(self) -> None:
        super().__init__("the body came too slowly", code="request_too_slow")


def install(app: FastAPI) -> None:
    """Let the application answer every error in our shape."""
    app.exception_handler(Refused)(_refused)
    app.exception_handler(Unprocessable)(_unprocessable)
    app.exception_handler(Unavailable)(_unavailable)
    app.exception_handler(RequestValidationError)(_not_valid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(Exception)(_broken)


def status_of(error: Refused) -> int:
    """The HTTP status of a refusal."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, NotAllowed):
        return 403 if error.kind == "authorization_error" else 401
    return 413 if isinstance(error, TooLarge) else 400


def refusal(request: Request, status: int, *, kind: str, code: str, message: str, param: str | None = None) -> Response:
    """The one shape of an error."""
    detail = {"type": kind, "code": code, "message": message, "status": code}
    detail["request_id"] = request.scope.get("state", {}).get("request_id", "")
    if param is not None:
        detail["param"] = param
    return json_answer({"detail": detail}, status=status)


async def _refused(request: Request, error: Refused) -> Response:
    answer = refusal(
        request, status_of(error), kind=error.kind, code=error.code, message=error.message, param=error.param
    )
    if isinstance(error, TooSlow):
        answer.headers["connection"] = "close"  # or the rest would trickle on
    return answer


async def _unprocessable(_request: Request, error: Unprocessable) -> Response:
    return _complained(error.complaints)


async def _not_valid(_request: Request, error: RequestValidationError) -> Response:
    """A path or query that FastAPI refused; what was sent is not repeated, since it may be secret."""
    return _complained([Complaint(tuple(e["loc"]), e["msg"], e["type"]) for e in error.errors()])


def _complained(complaints: list[Complaint]) -> Response:
    shown = [{"loc": list(c.loc), "msg": c.msg, "type": c.type} for c in complaints[:MOST_COMPLAINTS]]
    return json_answer({"detail": shown}, status=422)


async def _unavailable(request: Request, error: Unavailable) -> Response:
    if isinstance(error, Doubtful):
        message = f"{error}; look before you do it again"
        return refusal(request, 503, kind="service_unavailable", code="outcome_unknown", message=message)
    answer = refusal(request, 503, kind="service_unavailable", code="unavailable", message=str(error))
    answer.headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    return answer


async def _http(request: Request, error: HTTPException) -> Response:
    """An unknown address or method."""
    kind = "not_found" if error.status_code == 404 else "invalid_request"
    code = {404: "route_not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    answer = refusal(request, error.status_code, kind=kind, code=code, message=str(error.detail))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _broken(request: Request, error: Exception) -> Response:
    """A fault of ours: the log has what happened, the answer the id to find it by."""
    log.error(
        "request failed",
        request=request.scope.get("state", {}).get("request_id", ""),
        method=request.method,
        route=getattr(request.scope.get("route"), "path", ""),
        exc_info=error,
    )
    return refusal(request, 500, kind="internal_error", code="internal_error", message="this is a fault of the server")
