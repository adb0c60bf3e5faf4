"""Answers as bytes: one JSON encoder for all of them."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

_ENCODE = msgspec.json.Encoder().encode


def json_answer(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:  # noqa: ANN401 - JSON
    """A JSON answer with the content."""
    return Response(_ENCODE(content), status_code=status, headers=headers, media_type="application/json")


async def csv_answer(chunks: AsyncIterator[bytes], *, name: str) -> Response:
    """A table, as it comes. What goes wrong before its first chunk is still an answer of its own."""
    first = await anext(chunks)
    return StreamingResponse(
        _all(first, chunks),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def json_bytes(content: Any) -> bytes:  # noqa: ANN401 - JSON
    """The content as JSON."""
    return _ENCODE(content)
