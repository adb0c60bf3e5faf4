"""Lists as JSON lines: an object a line, flat as a CSV's row or as the wire has a recipient."""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import msgspec

from outdial.batches.lists.encoding import Encoding
from outdial.batches.lists.shape import ListError

CLIENT_DATA = "conversation_initiation_client_data"


class Line(NamedTuple):
    """One line that is not empty."""

    place: int
    text: str
    found: dict[str, Any] | None
    """None: it is no JSON object."""
    why: str = ""


def lines(file: BinaryIO, encoding: Encoding) -> Iterator[Line]:
    """Its lines; ListError where the file is one JSON array."""
    text = io.TextIOWrapper(file, encoding=encoding.name, newline=None)
    decode = msgspec.json.Decoder().decode
    try:
        for place, line in enumerate(text, 1):
            bare = line.strip()
            if not bare:
                continue
            if place == 1 and bare.startswith("["):
                raise ListError("it is one JSON array; JSON lines have an object on each line (jq -c '.[]' makes them)")
            yield _line(place, bare, decode)
    except UnicodeDecodeError as error:
        raise ListError(f"it can't be read as {encoding.name}: {error.reason}") from None
    finally:
        text.detach()


def _line(place: int, bare: str, decode: Any) -> Line:  # noqa: ANN401 - a bound method
    try:
        found = decode(bare)
    except (msgspec.DecodeError, RecursionError) as error:
        return Line(place, bare, None, f"this line is no JSON: {error}")
    if not isinstance(found, dict):
        return Line(place, bare, None, f"this line is JSON, but no object: {bare[:40]}")
    return Line(place, bare, found)
