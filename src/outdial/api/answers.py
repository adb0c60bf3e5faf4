"""Answers as bytes: one JSON encoder for all of them."""

from typing import Any

import msgspec
from starlette.responses import Response

_ENCODE = msgspec.json.Encoder().encode


def json_answer(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:  # noqa: ANN401 - JSON
    """A JSON answer with the content."""
    return Response(_ENCODE(content), status_code=status, headers=headers, media_type="application/json")


def json_bytes(content: Any) -> bytes:  # noqa: ANN401 - JSON
    """The content as JSON."""
    return _ENCODE(content)
