"""Handlers of conversations: every call that was sent is one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import Depends, Query, Request
from starlette.responses import Response, StreamingResponse

from outdial.api import render
from outdial.api.answers import json_answer
from outdial.api.auth import Caller
from outdial.api.context import Context, context_of
from outdial.batches import read
from outdial.domain.errors import Complaint, NotFound, Unprocessable, named
from outdial.ports.store import ConversationRow, ConversationScope

FAR = 2**40
"""Seconds; no instant of ours is further from 1970, either way."""
PIECE = 64 * 1024
"""Bytes of a recording that are sent at once."""
KINDS = ((".mp3", "audio/mpeg"), (".wav", "audio/wav"))

Instant = Annotated[int | None, Query(ge=-FAR, le=FAR)]
Seconds = Annotated[int | None, Query(ge=0, le=FAR)]
Words = Annotated[list[str] | None, Query(max_length=50)]
PageSize = Annotated[int, Query(ge=1, le=100)]
Direction = Literal["asc", "desc"]
Successful = Literal["success", "failure", "unknown", "true", "false"]
_AS_WORD = {"true": "success", "false": "failure"}
"""ThreeTone's client asks by a truth value."""
Status = Literal["initiated", "in-progress", "processing", "done", "failed"]

Fits = Callable[[ConversationRow], bool]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which conversations are listed; those that come together all have to fit."""

    call_successful: Successful | None = None
    call_start_before_unix: Instant = None
    call_start_after_unix: Instant = None
    call_duration_min_secs: Seconds = None
    call_duration_max_secs: Seconds = None
    user_id: str | None = None
    branch_id: str | None = None
    search: Annotated[str | None, Query(max_length=1_000, description="Part of what was said")] = None
    exclude_statuses: Annotated[list[Status] | None, Query()] = None
    termination_reasons: Words = None
    tool_names: Words = None
    phone_number_ids: Words = None
    dynamic_variable_params: Annotated[
        list[str] | None, Query(max_length=50, description="name:op:value; op: eq, neq, gt, gte, lt, lte, in")
    ] = None
    sort_direction: Direction = "desc"
    summary_mode: Literal["exclude", "include"] = "exclude"
    exclude_batch: Annotated[bool, Query(description="Only single calls")] = False

    def fits(self) -> Fits | None:
        """Whether a conversation is meant; None where every one of the scope is."""
        tests = [test for test in (*self._plain(), *self._of_words()) if test is not None]
        return (lambda row: all(test(row) for test in tests)) if tests else None

    def _plain(self) -> list[Fits | None]:
        least, most = self.call_duration_min_secs, self.call_duration_max_secs
        numbers, statuses = frozenset(self.phone_number_ids or ()), frozenset(self.exclude_statuses or ())
        reasons = frozenset(self.termination_reasons or ())
        asked = self.call_successful and _AS_WORD.get(self.call_successful, self.call_successful)
        return [
            None if asked is None else lambda row: render.successful(row) == asked,
            None if least is None else lambda row: render.talked_secs(row) >= least,
            None if most is None else lambda row: render.talked_secs(row) <= most,
            None if self.branch_id is None else lambda row: row.branch_id == self.branch_id,
            (lambda row: row.number_public_id in numbers) if numbers else None,
            (lambda row: render.conversation_status(row) not in statuses) if statuses else None,
            (lambda row: render.termination_reason(row) in reasons) if reasons else None,
            (lambda _row: False) if self.tool_names else None,  # no call has used a tool yet
            (lambda row: row.batch_public_id is None) if self.exclude_batch else None,
        ]

    def _of_words(self) -> list[Fits | None]:
        searched = (self.search or "").casefold()
        return [
            None if self.user_id is None else lambda row: row.client_data.get("user_id") == self.user_id,
            (lambda row: any(searched in said.message.casefold() for said in row.said)) if searched else None,
            *(_variable(index, text) for index, text in enumerate(self.dynamic_variable_params or ())),
        ]


async def listed(
    request: Request,
    caller: Caller,
    filters: Annotated[Filters, Depends()],
    page_size: PageSize = 30,
    cursor: str | None = None,
    agent_id: str | None = None,
    batch_call_id: Annotated[str | None, Query(description="Only of this batch; ours")] = None,
) -> Response:
    """Conversations, newest first. With rare filters a page may be short, or empty, and still have more behind it."""
    desk = context_of(request).desk
    scope = ConversationScope(
        agent_id=agent_id,
        batch_id=batch_call_id,
        from_at=_bound(filters.call_start_after_unix),
        until_at=_bound(filters.call_start_before_unix),
        newest_first=filters.sort_direction == "desc",
    )
    for number_id in filters.phone_number_ids or ():
        with named("phone_number_ids"):
            await desk.store.number(caller.workspace_id, number_id)
    rows, following = await read.conversations(
        desk, caller.workspace_id, scope, limit=page_size, cursor=cursor, fits=filters.fits()
    )
    summaries = [render.conversation_summary(row, summary=filters.summary_mode == "include") for row in rows]
    return json_answer({"conversations": summaries, "next_cursor": following, "has_more": following is not None})


def _bound(at: int | None) -> float | None:
    return None if at is None else float(max(at, 0))


async def get(request: Request, caller: Caller, conversation_id: str) -> Response:
    """What one call became."""
    here = context_of(request)
    row = await read.conversation(here.desk, caller.workspace_id, conversation_id)
    return json_answer(render.conversation(row, has_audio=await asyncio.to_thread(_has_audio, here, row.call_key)))


async def delete(request: Request, caller: Caller, conversation_id: str) -> Response:
    """Erase what was said and known, and the recording. Not while the call is under way."""
    here = context_of(request)
    call_key = await read.erase(here.desk, caller.workspace_id, conversation_id)
    await asyncio.to_thread(_erase_audio, here, call_key)
    return json_answer({})


async def audio(request: Request, caller: Caller, conversation_id: str) -> Response:
    """The recording of a call; 404 where there is none."""
    here = context_of(request)
    row = await read.conversation(here.desk, caller.workspace_id, conversation_id)
    opened, media_type = await asyncio.to_thread(_open_audio, here, row.call_key)
    if opened is None:
        raise NotFound("recording", conversation_id, param="conversation_id")
    return StreamingResponse(_pieces(opened), media_type=media_type)


# --- recordings ----------------------------------------------------------------------------------------------------


def _open_audio(here: Context, call_key: str) -> tuple[BinaryIO | None, str]:
    for ending, media_type in KINDS if here.blobs is not None else ():
        try:
            assert here.blobs is not None  # noqa: S101 - for mypy
            return here.blobs.open(_blob(call_key, ending)), media_type
        except FileNotFoundError:
            continue
    return None, ""


def _has_audio(here: Context, call_key: str) -> bool:
    opened, _ = _open_audio(here, call_key)
    if opened is not None:
        opened.close()
    return opened is not None


def _erase_audio(here: Context, call_key: str) -> None:
    for ending, _ in KINDS if here.blobs is not None else ():
        assert here.blobs is not None  # noqa: S101 - for mypy
        here.blobs.delete(_blob(call_key, ending))


def _blob(call_key: str, ending: str) -> str:
    """As the call workers name them."""
    return call_key.replace("-", "") + ending


async def _pieces(opened: BinaryIO) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(opened.read, PIECE):
            yield piece
    finally:
        await asyncio.to_thread(opened.close)


# --- variables -----------------------------------------------------------------------------------------------------

_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def _variable(index: int, text: str) -> Fits:
    """`name:op:value` as published: an empty value asks whether the variable was set at all."""
    name, colon, rest = text.partition(":")
    op, second, value = rest.partition(":")
    if not colon or not second or op not in {"eq", "neq", "in", *_COMPARED}:
        raise _no_filter(index, "Input should be name:op:value, with op one of eq, neq, gt, gte, lt, lte, in")
    if op in _COMPARED:
        bound = _number(value)
        if bound is None:
            raise _no_filter(index, f"Input should have a number behind {op}")
        return lambda row: (it := _number(_said(row, name))) is not None and _COMPARED[op](it, bound)
    wanted = set(value.split("|")) if op == "in" else {value}
    return lambda row: (_said(row, name) in wanted) is (op != "neq")


def _no_filter(index: int, message: str) -> Unprocessable:
    return Unprocessable([Complaint(("query", "dynamic_variable_params", index), message, "value_error")])


def _said(row: ConversationRow, name: str) -> str:
    """A variable as text; empty where it was not set."""
    value: Any = (row.client_data.get("dynamic_variables") or {}).get(name)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
