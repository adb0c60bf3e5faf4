"""What both sides of a call said, as stereo WAV: the person left, the agent right, in step with the clock."""

import asyncio
import audioop
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from typing import BinaryIO

from outdial.ports.blobs import Blobs
from outdial.runtime.log import get_logger

WRITE_SECS = 1.0
"""Audio is written in pieces of this length."""
SLACK_SECS = 0.1
"""A side that is further behind the clock than this was silent."""
HEADER = 44

log = get_logger()


class Track(IntEnum):
    """Who is heard on which side."""

    PERSON = 0
    AGENT = 1


def wav_header(rate: int, channels: int, size: int) -> bytes:
    """The head of a WAV file with 16-bit samples; `size` is the bytes of audio."""
    block = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", HEADER - 8 + size, b"WAVE", b"fmt ", 16, 1, channels, rate, rate * block, block, 16, b"data", size,
    )  # fmt: skip


def stereo(left: bytes, right: bytes) -> bytes:
    """Two mono pieces of the same length as one."""
    return audioop.add(audioop.tostereo(left, 2, 1, 0), audioop.tostereo(right, 2, 0, 1), 2)


class Recorder:
    """Writes the recordings of one call worker in a thread of its own: a slow disk never holds up the audio."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder")

    def begin(self, name: str, rate: int) -> "Recording":
        """The recording of one call, from now on."""
        return Recording(rate, _File(self._blobs, name, rate), self._thread.submit)

    async def close(self) -> None:
        """Let out what is left."""
        await asyncio.to_thread(self._thread.shutdown)


class _File:
    """The WAV file of one call; every method runs in the recorder's thread."""

    def __init__(self, blobs: Blobs, name: str, rate: int) -> None:
        self._blobs = blobs
        self._name = name
        self._rate = rate
        self._file: BinaryIO | None = None
        self._size = 0
        self._broken = False

    def write(self, data: bytes) -> None:
        if self._broken:
            return
        try:
            if self._file is None:
                self._file = self._blobs.create(self._name)
                self._file.write(wav_header(self._rate, 2, 0))
            self._file.write(data)
            self._size += len(data)
        except OSError:
            self._broken = True
            log.exception("recording could not be written", recording=self._name)

    def close(self) -> None:
        if self._file is None or self._broken:
            return
        try:
            self._file.seek(0)
            self._file.write(wav_header(self._rate, 2, self._size))
            self._file.close()
            self._blobs.keep(self._name)
        except OSError:
            log.exception("recording could not be finished", recording=self._name)


class Recording:
    """The two sides of one call; called by its leg."""

    def __init__(self, rate: int, file: "_File", do: Callable[..., object]) -> None:
        self._rate = rate
        self._file = file
        self._do = do
        self._time = asyncio.get_running_loop().time
        self._began = self._time()
        self._tracks = (bytearray(), bytearray())
        self._done = 0
        """Bytes of each side that are written."""
        self._closed = False

    def put(self, track: Track, pcm: bytes) -> None:
        """Something that was just heard or played on one side."""
        side = self._tracks[track]
        self._silence(side, self._elapsed() - len(pcm) - self._bytes(SLACK_SECS), self._elapsed() - len(pcm))
        side += pcm
        if max(map(len, self._tracks)) >= self._bytes(WRITE_SECS + 2 * SLACK_SECS):
            self._flush(self._bytes(WRITE_SECS))

    def close(self) -> None:
        """The call is over; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._flush(max(self._elapsed() - self._done, *map(len, self._tracks)))
        self._do(self._file.close)

    def _elapsed(self) -> int:
        return self._bytes(self._time() - self._began)

    def _bytes(self, seconds: float) -> int:
        return int(seconds * self._rate) * 2

    def _silence(self, side: bytearray, behind: int, upto: int) -> None:
        """Fill up to where the clock is, if the side is behind that."""
        if self._done + len(side) < behind:
            side += bytes(upto - self._done - len(side))

    def _flush(self, size: int) -> None:
        if size <= 0:
            return
        parts = []
        for side in self._tracks:
            part = bytes(side[:size])
            del side[:size]
            parts.append(part.ljust(size, b"\0"))
        self._done += size
        self._do(self._file.write, stereo(*parts))
