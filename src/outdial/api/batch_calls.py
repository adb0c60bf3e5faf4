"""Handlers of batch calling that both dialects share: read, call one use case, render."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import Path, Query, Request
from starlette.responses import Response, StreamingResponse

from outdial.api import render
from outdial.api.answers import csv_answer, json_answer, json_bytes
from outdial.api.auth import Caller
from outdial.api.body import SUBMIT_LIMIT, as_model, body_of
from outdial.api.context import context_of
from outdial.api.schema import RetryBatch
from outdial.api.twins import marked, request_key
from outdial.batches import cancel as ending
from outdial.batches import export as exporting
from outdial.batches import read
from outdial.batches import retry as retrying
from outdial.batches.submit import submit as submitting
from outdial.domain.errors import Complaint, Unprocessable
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientStatus
from outdial.ports.store import BatchRow, RecipientRow

BatchId = Annotated[str, Path(description="As given by submit")]
PageSize = Annotated[int, Query(ge=1, le=read.LONGEST_PAGE)]
Include = Annotated[list[str] | None, Query(description="voicemail, cancelled: whom to take too")]


async def submit(request: Request, caller: Caller) -> Response:
    """Call everyone on this list once."""
    here = context_of(request)
    body = await body_of(request, limit=SUBMIT_LIMIT)
    key = request_key(request, caller, body)
    answered = await submitting(here.desk, caller.workspace_id, lambda: here.reader.read(body), key)
    return marked(json_answer(render.batch(answered.batch)), answered)


async def listed(request: Request, caller: Caller, *, limit: int, cursor: str | None, agent_id: str | None) -> Response:
    """The workspace's batches, newest first."""
    page = await read.listed(
        context_of(request).desk, caller.workspace_id, limit=limit, cursor=cursor, agent_id=agent_id
    )
    rows = [render.batch(row) for row in page.rows]
    return json_answer({"batch_calls": rows, "next_doc": page.cursor, "has_more": page.cursor is not None})


async def get(
    request: Request,
    caller: Caller,
    batch_id: BatchId,
    recipients: Annotated[int | None, Query(ge=0, description="0 leaves the people out; else at most so many")] = None,
) -> Response:
    """One batch and its people."""
    desk = context_of(request).desk
    row = await read.one(desk, caller.workspace_id, batch_id)
    most = read.LONGEST_PAGE if read.long(row) else read.COMPLETE_UP_TO
    shown = most if recipients is None else min(recipients, most)
    pages = [_bare(rows) async for rows in read.pages(desk, row, most=shown)]
    return _detailed(row, pages, truncated=row.counters.scheduled > shown)


async def cancel(
    request: Request,
    caller: Caller,
    batch_id: BatchId,
    hang_up: Annotated[bool, Query(description="End the conversations too")] = False,  # noqa: FBT002 - a query
) -> Response:
    """Call nobody new; on a batch that is over: unchanged."""
    answered = await ending.cancel(context_of(request).desk, caller.workspace_id, batch_id, hang_up=hang_up)
    return json_answer(render.batch(answered.batch))


async def retry(request: Request, caller: Caller, batch_id: BatchId) -> Response:
    """Call again exactly those who were not reached; nobody to call: unchanged."""
    body = await body_of(request)
    asked = as_model(body, RetryBatch)
    include = [RecipientStatus(word) for word in asked.include or ()]
    key = request_key(request, caller, body)
    answered = await retrying.retry(context_of(request).desk, caller.workspace_id, batch_id, include, key)
    return marked(json_answer(render.batch(answered.batch)), answered)


async def retry_preview(request: Request, caller: Caller, batch_id: BatchId, include: Include = None) -> Response:
    """Whom a retry would call now and whom not."""
    asked = _included(include or [])
    seen = await retrying.preview(context_of(request).desk, caller.workspace_id, batch_id, asked)
    return json_answer(render.preview(seen))


async def pause(request: Request, caller: Caller, batch_id: BatchId) -> Response:
    """Call nobody until `resume`; calls under way go on."""
    return json_answer(render.batch(await ending.pause(context_of(request).desk, caller.workspace_id, batch_id)))


async def resume(request: Request, caller: Caller, batch_id: BatchId) -> Response:
    """Go on."""
    return json_answer(render.batch(await ending.resume(context_of(request).desk, caller.workspace_id, batch_id)))


async def delete(request: Request, caller: Caller, batch_id: BatchId) -> Response:
    """Cancel, and erase the people; conversations stay."""
    await ending.delete(context_of(request).desk, caller.workspace_id, batch_id)
    return Response(status_code=204)


async def export(
    request: Request,
    caller: Caller,
    batch_id: BatchId,
    limit: Annotated[int | None, Query(ge=1, description="Only the first so many people")] = None,
) -> Response:
    """The batch as CSV, a row a person."""
    desk = context_of(request).desk
    row = await read.one(desk, caller.workspace_id, batch_id)
    return await csv_answer(exporting.export(desk, row, most=limit), name=row.public_id)


async def recipients(
    request: Request,
    caller: Caller,
    batch_id: BatchId,
    status: RecipientStatus | None = None,
    outcome: Outcome | None = None,
    cursor: str | None = None,
    page_size: PageSize = 100,
) -> Response:
    """The batch's people, page by page."""
    desk = context_of(request).desk
    row = await read.one(desk, caller.workspace_id, batch_id)
    page = await read.recipients(desk, row, limit=page_size, cursor=cursor, status=status, outcome=outcome)
    following = None if page.next_ord is None else read.ord_cursor(page.next_ord)
    rows = [render.recipient(one) for one in page.rows]
    return json_answer({"recipients": rows, "next_cursor": following, "has_more": following is not None})


def _bare(rows: Sequence[RecipientRow]) -> bytes:
    """A page of people as JSON, without the brackets around it."""
    return json_bytes([render.recipient(row) for row in rows])[1:-1]


def _detailed(row: BatchRow, pages: list[bytes], *, truncated: bool) -> Response:
    """The batch with its people: encoded and sent page by page, so that nobody else has to wait for five megabytes."""
    rendered: dict[str, Any] = {**render.batch(row), "recipients_truncated": truncated}
    head = json_bytes(rendered)[:-1] + b',"recipients":['
    parts = [head, *(part for page in pages for part in (b",", page))]
    parts[1:2] = []  # no comma before the first page
    parts.append(b"]}")
    size = {"content-length": str(sum(map(len, parts)))}
    return StreamingResponse(_each(parts), media_type="application/json", headers=size)


async def _each(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def _included(words: list[str]) -> list[RecipientStatus]:
    """Also `include=voicemail,cancelled`."""
    asked = [word.strip() for one in words for word in one.split(",")]
    for index, word in enumerate(asked):
        if word not in retrying.ON_REQUEST:
            known = " or ".join(f"'{status}'" for status in sorted(retrying.ON_REQUEST))
            raise Unprocessable([Complaint(("query", "include", index), f"Input should be {known}", "enum")])
    return [RecipientStatus(word) for word in asked]
