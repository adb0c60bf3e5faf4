"""Handlers of the do-not-call list, the same on both prefixes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Path, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from outdial.api.answers import json_answer
from outdial.api.auth import Caller
from outdial.api.body import as_model, body_of
from outdial.api.context import context_of
from outdial.api.refusals import TooLarge, TooSlow
from outdial.api.suppression_schema import AddDoNotCall, DoNotCallNumber, SomeNumbers
from outdial.domain.errors import Complaint, Invalid, Unavailable, Unprocessable
from outdial.ports.store import SuppressionRow
from outdial.workspace import suppression

LIST_LIMIT = 4 * 1024 * 1024
"""Bytes: ten thousand numbers with a reason each."""
FILE_LIMIT = 256 * 1024 * 1024
"""Bytes: ten million numbers."""
FILE_WITHIN_SECS = 900.0

ListedNumber = Annotated[str, Path(description="E.164", max_length=64)]
PageSize = Annotated[int, Query(ge=1, le=suppression.LONGEST_PAGE)]
Reason = Annotated[str, Query(max_length=1_000, description="For rows that have none")]


async def listed(request: Request, caller: Caller, cursor: str | None = None, page_size: PageSize = 100) -> Response:
    """The do-not-call list, page by page, by number."""
    store = context_of(request).desk.store
    page = await suppression.listed(store, caller.workspace_id, limit=page_size, cursor=cursor)
    rows = [_entry(row) for row in page.rows]
    return json_answer({"do_not_call": rows, "next_cursor": page.cursor, "has_more": page.cursor is not None})


async def add(request: Request, caller: Caller) -> Response:
    """Put one number or many on the list. After the answer none of them is dialled any more."""
    asked = as_model(await body_of(request, limit=LIST_LIMIT), AddDoNotCall)
    added = await suppression.add(_keeper(request), caller.workspace_id, _entries(asked), source=asked.source or "api")
    return json_answer({"added": added.added, "already_listed": added.known})


async def get(request: Request, caller: Caller, phone_number: ListedNumber) -> Response:
    """One entry; 404 where the number is not on the list."""
    return json_answer(
        _entry(await suppression.entry(context_of(request).desk.store, caller.workspace_id, phone_number))
    )


async def check(request: Request, caller: Caller) -> Response:
    """Which of these numbers are on the list."""
    asked = as_model(await body_of(request, limit=LIST_LIMIT), SomeNumbers)
    rows = await suppression.check(context_of(request).desk.store, caller.workspace_id, asked.phone_numbers)
    return json_answer(
        {
            "checked": len(asked.phone_numbers),
            "suppressed_count": len(rows),
            "suppressed": [_entry(row) for row in rows],
        }
    )


async def remove(request: Request, caller: Caller) -> Response:
    """Take numbers off the list; those that are not on it are passed over."""
    asked = as_model(await body_of(request, limit=LIST_LIMIT), SomeNumbers)
    removed = await suppression.remove(context_of(request).desk.store, caller.workspace_id, asked.phone_numbers)
    return json_answer({"removed": removed})


async def delete(request: Request, caller: Caller, phone_number: ListedNumber) -> Response:
    """Take one number off the list."""
    await suppression.remove_one(context_of(request).desk.store, caller.workspace_id, phone_number)
    return Response(status_code=204)


async def import_file(request: Request, caller: Caller, reason: Reason = "") -> Response:
    """Put every number of a CSV file (the body itself) on the list; lines that can't be used are told."""
    if request.headers.get("content-type", "").startswith(("multipart/", "application/json")):
        raise Invalid(
            "the body is the CSV file itself: send it with content-type text/csv",
            code="invalid_file",
            param="content-type",
        )
    keeper = _keeper(request)
    try:
        async with asyncio.timeout(FILE_WITHIN_SECS):
            told = await suppression.import_file(
                keeper, caller.workspace_id, _chunks(request), reason=reason, source="import"
            )
    except TimeoutError:
        raise TooSlow from None
    except ClientDisconnect:
        raise Unavailable("the client went away") from None
    return json_answer(
        {
            "rows": told.rows,
            "added": told.added,
            "already_listed": told.known,
            "rejected": told.rejected,
            "errors": [{"line": row.line, "message": row.problem} for row in told.errors],
        }
    )


def _keeper(request: Request) -> suppression.Keeper:
    desk = context_of(request).desk
    return suppression.Keeper(desk.store, desk.signal, desk.clock)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > FILE_LIMIT:
            raise TooLarge(FILE_LIMIT)
        yield chunk


def _entries(asked: AddDoNotCall) -> list[tuple[str, str]]:
    """(number, reason) of each; Unprocessable where there is none."""
    given: list[str | DoNotCallNumber] = [*([asked.phone_number] if asked.phone_number else ())]
    given += asked.phone_numbers or ()
    if not given:
        why = "Field required: phone_number, or a list of phone_numbers"
        raise Unprocessable([Complaint(("body", "phone_numbers"), why, "missing")])
    reason = asked.reason or ""
    return [(one, reason) if isinstance(one, str) else (one.phone_number, one.reason or reason) for one in given]


def _entry(row: SuppressionRow) -> dict[str, Any]:
    return {
        "phone_number": row.number,
        "reason": row.reason,
        "source": row.source,
        "created_at_unix": int(row.created_at),
    }
