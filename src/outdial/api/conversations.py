"""Handlers of conversations: every call that was sent is one."""

import asyncio
import wave
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import Depends, Query, Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from outdial.api import conversation_table, render
from outdial.api.answers import csv_answer, json_answer
from outdial.api.auth import Caller
from outdial.api.context import Context, context_of
from outdial.api.conversation_filters import Filters
from outdial.batches import read
from outdial.domain.errors import Invalid, NotFound, named
from outdial.media.mp3 import encoded
from outdial.ports.store import ConversationScope, KeyOwner
from outdial.runtime.log import get_logger

PIECE = 64 * 1024
"""Bytes of a recording that are sent at once."""
NO_MESSAGES: dict[str, Any] = {"sip_messages": [], "next_cursor": None, "has_more": False}
ENDINGS = (".mp3", ".wav")

log = get_logger()

PageSize = Annotated[int, Query(ge=1, le=100)]
OfBatch = Annotated[str | None, Query(description="Only of this batch; ours")]


async def listed(
    request: Request,
    caller: Caller,
    filters: Annotated[Filters, Depends()],
    page_size: PageSize = 30,
    cursor: str | None = None,
    agent_id: str | None = None,
    batch_call_id: OfBatch = None,
) -> Response:
    """Conversations, newest first. With rare filters a page may be short, or empty, and still have more behind it."""
    desk = context_of(request).desk
    scope = await _scope(request, caller, filters, agent_id, batch_call_id)
    rows, following = await read.conversations(
        desk, caller.workspace_id, scope, limit=page_size, cursor=cursor, fits=filters.fits(request.query_params)
    )
    summaries = [render.conversation_summary(row, summary=filters.summary_mode == "include") for row in rows]
    return json_answer({"conversations": summaries, "next_cursor": following, "has_more": following is not None})


async def export(
    request: Request,
    caller: Caller,
    filters: Annotated[Filters, Depends()],
    limit: Annotated[int, Query(ge=1, le=5_000, description="At most so many conversations")] = 1_000,
    agent_id: str | None = None,
    batch_call_id: OfBatch = None,
) -> Response:
    """Conversations as CSV, a row each, in the order of the list."""
    desk = context_of(request).desk
    scope = await _scope(request, caller, filters, agent_id, batch_call_id)
    pages = read.conversation_pages(
        desk, caller.workspace_id, scope, most=limit, fits=filters.fits(request.query_params)
    )
    return await csv_answer(conversation_table.table(pages), name="conversations")


async def token(
    request: Request,
    caller: Caller,
    agent_id: str,
    participant_name: str | None = None,  # noqa: ARG001 - published
) -> Response:
    """Refused: a token lets a browser talk to an agent, and there are only phone calls here."""
    with named("agent_id"):
        await context_of(request).desk.store.agent(caller.workspace_id, agent_id)
    raise Invalid("this server places phone calls; browsers can't talk to its agents", code="browser_not_available")


async def sip_messages(request: Request, caller: Caller, conversation_id: str) -> Response:
    """None: no log of them is kept."""
    await read.conversation(context_of(request).desk, caller.workspace_id, conversation_id)
    return json_answer(NO_MESSAGES)


async def _scope(
    request: Request, caller: KeyOwner, filters: Filters, agent_id: str | None, batch_call_id: str | None
) -> ConversationScope:
    """Where they are looked for; NotFound for numbers of somebody else."""
    for number_id in filters.phone_number_ids or ():
        with named("phone_number_ids"):
            await context_of(request).desk.store.number(caller.workspace_id, number_id)
    return ConversationScope(
        agent_id=agent_id,
        batch_id=batch_call_id,
        from_at=_bound(filters.call_start_after_unix),
        until_at=_bound(filters.call_start_before_unix),
        newest_first=filters.sort_direction == "desc",
    )


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


async def audio(
    request: Request,
    caller: Caller,
    conversation_id: str,
    form: Annotated[
        Literal["mp3", "wav"], Query(alias="format", description="`wav`: as it was recorded; ours")
    ] = "mp3",
) -> Response:
    """The recording of a call, the person left, the agent right; 404 where there is none."""
    here = context_of(request)
    row = await read.conversation(here.desk, caller.workspace_id, conversation_id)
    pieces, media_type = await asyncio.to_thread(_audio, here, row.call_key, form)
    if pieces is None:
        raise NotFound("recording", conversation_id, param="conversation_id")
    return StreamingResponse(iterate_in_threadpool(pieces), media_type=media_type)


# --- recordings ----------------------------------------------------------------------------------------------------


def _audio(here: Context, call_key: str, form: str) -> tuple[Iterator[bytes] | None, str]:
    """The recording in this form, and its media type; None where there is none, or none that can be read."""
    kept = _open(here, call_key, f".{form}")
    if kept is not None:
        return _pieces(kept), f"audio/{'mpeg' if form == 'mp3' else form}"
    recorded = _open(here, call_key, ".wav")
    if recorded is None:
        return None, ""
    if find_spec("lameenc") is None:  # the extra `sip` is not installed here: better than nothing
        return _pieces(recorded), "audio/wav"
    return _mp3(recorded, call_key), "audio/mpeg"


def _mp3(recorded: BinaryIO, call_key: str) -> Iterator[bytes] | None:
    """Encoded while it is sent, 1,400 times as fast as it was said."""
    pieces = encoded(recorded)
    try:
        first = next(pieces, b"")
    except (EOFError, wave.Error) as error:
        recorded.close()
        log.error("recording can't be read", call=call_key, error=str(error))  # noqa: TRY400 - where is known
        return None
    return _closing(recorded, chain((first,), pieces))


def _pieces(opened: BinaryIO) -> Iterator[bytes]:
    return _closing(opened, iter(lambda: opened.read(PIECE), b""))


def _closing(opened: BinaryIO, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    finally:
        opened.close()


def _has_audio(here: Context, call_key: str) -> bool:
    for ending in ENDINGS:
        if (opened := _open(here, call_key, ending)) is not None:
            opened.close()
            return True
    return False


def _open(here: Context, call_key: str, ending: str) -> BinaryIO | None:
    try:
        return None if here.blobs is None else here.blobs.open(_blob(call_key, ending))
    except FileNotFoundError:
        return None


def _erase_audio(here: Context, call_key: str) -> None:
    for ending in ENDINGS if here.blobs is not None else ():
        assert here.blobs is not None  # noqa: S101 - for mypy
        here.blobs.delete(_blob(call_key, ending))


def _blob(call_key: str, ending: str) -> str:
    """As the call workers name them."""
    return call_key.replace("-", "") + ending
