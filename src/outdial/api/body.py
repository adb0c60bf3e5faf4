"""Reading a request's body: bounded in size and in time."""

import asyncio
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from outdial.api.refusals import TooLarge, TooSlow
from outdial.api.submission import complaints_of
from outdial.domain.errors import Complaint, Unavailable, Unprocessable

USUAL_LIMIT = 1 * 1024 * 1024
"""Bytes."""
SUBMIT_LIMIT = 64 * 1024 * 1024
"""Bytes: ten thousand people with 6 KiB each."""
WITHIN_SECS = 300.0
"""For the whole of it."""
GRACE_SECS = 20.0
PACE = 16 * 1024
"""Bytes a second: after the grace a body that comes slower is given up, so that a trickle holds nothing for long."""

M = TypeVar("M", bound=BaseModel)


async def body_of(request: Request, *, limit: int = USUAL_LIMIT) -> bytes:
    """The whole body; TooLarge beyond the limit, once the rest was read and dropped: so the client hears it."""
    try:
        async with asyncio.timeout(GRACE_SECS) as bound:
            return await _read(request, limit, bound)
    except TimeoutError:
        raise TooSlow from None
    except ClientDisconnect:
        raise Unavailable("the client went away") from None


def as_model(body: bytes, model: type[M]) -> M:
    """The body as this model; an empty one is an empty object."""
    try:
        read = model.model_validate_json(body if body.strip() not in {b"", b"null"} else b"{}")
    except ValidationError as error:
        raise Unprocessable(complaints_of(error)) from None
    if not _storable(given(read)):
        raise Unprocessable([Complaint(("body",), "Input should have no NaN and no integers beyond 64 bits", "finite")])
    return read


def given(model: BaseModel | None) -> dict[str, Any]:
    """What was sent of it, without defaults: unknown keys and nulls included."""
    return {} if model is None else model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _storable(value: object) -> bool:
    """Whether it can be told again: JSON from outside may hold NaN, and integers beyond 64 bits."""
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(value)) == value)
    except (ValueError, OverflowError, TypeError, RecursionError):
        return False


async def _read(request: Request, limit: int, bound: asyncio.Timeout) -> bytes:
    parts: list[bytes] = []
    size = 0
    began = asyncio.get_running_loop().time()
    async for part in request.stream():
        size += len(part)
        bound.reschedule(began + min(GRACE_SECS + size / PACE, WITHIN_SECS))
        if size <= limit:
            parts.append(part)
        elif size <= 4 * limit:
            parts.clear()
        else:
            break  # whoever sends four times the limit need not hear politely
    if size > limit:
        raise TooLarge(limit)
    return b"".join(parts)
