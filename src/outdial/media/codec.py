"""G.711 and L16: between the bytes of a network and signed 16-bit samples in the machine's order."""

import audioop
import sys
from collections.abc import Callable
from dataclasses import dataclass

Convert = Callable[[bytes], bytes]


def _swapped(pcm: bytes) -> bytes:
    """L16 is big-endian on the wire (RFC 3551 4.5.11)."""
    return audioop.byteswap(pcm, 2) if sys.byteorder == "little" else pcm


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding at 8 kHz."""

    name: str
    """As in SDP."""
    decode: Convert
    encode: Convert


CODECS = {
    codec.name: codec
    for codec in (
        Codec("PCMU", lambda data: audioop.ulaw2lin(data, 2), lambda pcm: audioop.lin2ulaw(pcm, 2)),
        Codec("PCMA", lambda data: audioop.alaw2lin(data, 2), lambda pcm: audioop.lin2alaw(pcm, 2)),
        Codec("L16", _swapped, _swapped),
    )
}
"""G.722 and Opus are the business of the stack that carries them."""
