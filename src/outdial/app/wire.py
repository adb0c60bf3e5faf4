"""The frames between server and call worker: length-prefixed msgpack, one closed union for each direction."""

import struct
from typing import Any

import msgspec

from outdial.domain.call import CallEvent
from outdial.ports.lines import CallOrder, LinesTraits, Sighting

MOST = 64 * 1024 * 1024
"""Bytes of one frame; more is no frame but a broken pipe."""
_LENGTH = struct.Struct(">I")


class BrokenFrame(Exception):
    """The bytes are no frame of ours; whoever sent them can't be talked to any more."""


class _Frame(msgspec.Struct, array_like=True, tag_field="frame"):
    """Travels as an array: its name, then its fields in order."""


# --- server to worker ----------------------------------------------------------------------------------------------


class Setup(_Frame, tag="setup"):
    """The first frame: which network, and how."""

    provider: str
    settings: dict[str, Any]
    """The provider's settings; secrets are in clear here and are never logged."""
    spec: str = ""
    """`module:NAME` of a ProviderSpec that is not in the registry; "" looks `provider` up there."""
    log_style: str = "console"
    log_level: str = "info"


class Start(_Frame, tag="start"):
    """Send this call, once."""

    order: CallOrder


class HangUp(_Frame, tag="hang_up"):
    """Give a call up; answered with `Done`."""

    id: int
    call_key: str
    even_if_answered: bool
    order: CallOrder | None = None


class LookUp(_Frame, tag="look_up"):
    """Ask the network for a call; answered with `Seen`."""

    id: int
    call_key: str
    order: CallOrder | None = None


class Forget(_Frame, tag="forget"):
    """These calls are over: nothing of them needs to be given up any more."""

    call_keys: list[str]


class Ping(_Frame, tag="ping"):
    """Asks for a sign of life."""

    id: int


class Stop(_Frame, tag="stop"):
    """Send nothing new, give up what rings, hang up, report, exit."""


# --- worker to server ----------------------------------------------------------------------------------------------


class Ready(_Frame, tag="ready"):
    """The lines are made; orders may come."""

    traits: LinesTraits


class Broken(_Frame, tag="broken"):
    """The lines can't be made: the last frame of this worker."""

    why: str


class Reported(_Frame, tag="reported"):
    """One event of a started call."""

    event: CallEvent


class Finished(_Frame, tag="finished"):
    """The worker has nothing more to report of this order."""

    call_key: str


class Done(_Frame, tag="done"):
    """The answer to `HangUp`; `error` is "" when all is well."""

    id: int
    error: str = ""


class Seen(_Frame, tag="seen"):
    """The answer to `LookUp`; with `failed` the network could not be asked."""

    id: int
    sighting: Sighting | None
    failed: str = ""


class Pong(_Frame, tag="pong"):
    """The sign of life."""

    id: int


class Draining(_Frame, tag="draining"):
    """No new orders, please: told to end by somebody else."""


ToWorker = Setup | Start | HangUp | LookUp | Forget | Ping | Stop
ToServer = Ready | Broken | Reported | Finished | Done | Seen | Pong | Draining

to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
to_server: msgspec.msgpack.Decoder[ToServer] = msgspec.msgpack.Decoder(ToServer)
_encoder = msgspec.msgpack.Encoder()


def pack(frame: ToWorker | ToServer) -> bytes:
    """One frame as bytes."""
    body = _encoder.encode(frame)
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Cuts a stream of bytes into the bodies of frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete now; raises BrokenFrame."""
        rest = self._rest
        rest += data
        bodies: list[bytes] = []
        at = 0
        while len(rest) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(rest, at)
            if length > MOST:
                raise BrokenFrame(f"a frame of {length} bytes")
            end = at + _LENGTH.size + length
            if len(rest) < end:
                break
            bodies.append(bytes(rest[at + _LENGTH.size : end]))
            at = end
        del rest[:at]
        return bodies
