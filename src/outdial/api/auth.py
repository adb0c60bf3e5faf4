"""Who asks: an API key in any of the three headers that the official clients use, on every route."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from outdial.api.context import context_of
from outdial.domain.errors import Complaint, NotAllowed, NotFound, Unprocessable
from outdial.ports.store import KeyOwner

_XI = APIKeyHeader(name="xi-api-key", scheme_name="xi-api-key", auto_error=False)
_X = APIKeyHeader(name="x-api-key", scheme_name="x-api-key", auto_error=False)
_BEARER = HTTPBearer(scheme_name="bearer", auto_error=False)
LONGEST_KEY = 512


async def who_asks(
    request: Request,
    xi: Annotated[str | None, Security(_XI)],
    x: Annotated[str | None, Security(_X)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> KeyOwner:
    """The key's owner. Where several keys come, the first that is known counts: a proxy may add a header of its own."""
    given = dict.fromkeys(key for key in (xi, x, bearer and bearer.credentials) if key)
    if not given:
        raise NotAllowed("an API key is needed: header xi-api-key, x-api-key or Authorization", code="missing_api_key")
    for key in given:
        if len(key) <= LONGEST_KEY and (owner := await context_of(request).keys.owner(key)) is not None:
            _check_text(request)
            return owner
    raise NotAllowed("this API key is not known here", code="invalid_api_key")


def _check_text(request: Request) -> None:
    """PostgreSQL's text can't hold a NUL: nothing is named with one, and nothing is found by one."""
    for name, value in request.path_params.items():
        if "\x00" in str(value):
            raise NotFound(name.removesuffix("_id").replace("_", " "), "\\0", param=name)
    for name, value in request.query_params.multi_items():
        if "\x00" in name + value:
            raise Unprocessable(
                [Complaint(("query", name.replace("\x00", "")), "NUL is not a character of text", "text")]
            )


Caller = Annotated[KeyOwner, Depends(who_asks)]
"""For handlers: the owner of the key that came with the request."""
