"""Which letters the bytes of a text file are: by its mark, else tried on the whole of it."""

import codecs
import io
from typing import BinaryIO, NamedTuple

from outdial.batches.lists.shape import ListError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 4_096
_CHUNK = 1 << 20


class Encoding(NamedTuple):
    """How to read a file, and what to tell its owner about it."""

    name: str
    told: str = ""


def encoding_of(file: BinaryIO) -> Encoding:
    """Of this file, which is at its beginning before and after; ListError where it is no text at all."""
    head = file.read(_HEAD)
    file.seek(0)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    name = marked or _without_mark(head)
    if name is not None:
        _must_be(file, name)
        return Encoding(name, "" if marked else f"it has no mark and was read as {name}; --encoding says otherwise")
    if b"\0" in head:
        raise ListError("this is no text file: it has zero bytes")
    if _is(file, "utf-8"):
        return Encoding("utf-8")
    if _is(file, "cp1252"):
        strange = _first_strange_word(file)
        example = f", e.g. {strange!r}" if strange else ""
        told = f"it is not UTF-8 and was read as Windows-1252{example}; --encoding says otherwise"
        return Encoding("cp1252", told)
    raise ListError("its letters are neither UTF-8 nor Windows-1252; name them with --encoding")


def check_encoding(file: BinaryIO, name: str) -> None:
    """ListError where the file is not in the encoding that its owner named."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # also refuses what is no encoding of text
    except LookupError:
        raise ListError(f"there is no encoding {name!r}; utf-8, utf-16 and cp1252 are usual") from None
    _must_be(file, name)


def _without_mark(head: bytes) -> str | None:
    """UTF-16 without a mark shows as zeros at every second place."""
    if len(head) < 4:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if odd > half * 0.7 and even < half * 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.7 and odd < half * 0.1 else None


def _must_be(file: BinaryIO, name: str) -> None:
    if not _is(file, name):
        raise ListError(f"some of its bytes are no letters of {name}; name another encoding with --encoding")


def _is(file: BinaryIO, name: str) -> bool:
    """Whether all of it can be decoded so."""
    try:
        decoder = codecs.getincrementaldecoder(name)()
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except (UnicodeError, ValueError):
        return False
    finally:
        file.seek(0)
    return True


def _first_strange_word(file: BinaryIO) -> str:
    """The first word with a letter beyond ASCII, so that its owner can see whether it was read well; or none."""
    try:
        for line in file:
            if not line.isascii():
                words = line.decode("cp1252").replace(";", " ").replace(",", " ").split()
                if strange := next((word for word in words if not word.isascii()), ""):
                    return strange[:40]
        return ""
    finally:
        file.seek(0)
