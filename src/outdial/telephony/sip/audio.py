"""The audio of one SIP call as an `AudioLine`: whatever the codec, it is mono at one of LEG_RATES."""

import asyncio
import audioop
from collections.abc import Callable

from baresip._native import ffi, lib

from outdial.media.resample import Resampler
from outdial.ports.voice import FRAME_SECS
from outdial.telephony.sip.config import RATES
from outdial.telephony.sip.device import Source

LEG_RATES = sorted(set(RATES.values()))
"""Everything else is brought to the higher one."""
IDLE_SECS = 0.04
"""More silence is given when less than this is left, while nobody speaks: as little as our clock allows."""
FIRST_IDLE_SECS = 0.005
"""The same before anything was said: the first word should wait behind as little as can be."""
LOOK_AGAIN_SECS = 0.005
"""A little more than what passes between two looks of a sender that has nothing yet."""
FIRST_SENT_SECS = 0.2
"""A sender that was given its first frame so long ago sends nothing at all."""
MOST_READ = 16_384


class StackAudio:
    """What comes waits in a buffer of the stack, what goes out is handed to its sender."""

    def __init__(self, handle: int, source: Source, newest: Callable[[], Source | None]) -> None:
        """Make it; a renegotiation in mid-call makes a new source, which is the `newest` then."""
        self.rate = leg_rate(source.rate)
        self._newest = newest
        self._out = _Out(source, self.rate)
        self._handle = handle
        self._info = ffi.new("struct bp_audio_info *")
        self._epoch: int | None = None
        """The number of the stream that is read; None: it must be asked for."""
        self._buffer = ffi.new("uint8_t[]", MOST_READ)
        # the first word may be on its way: silence would go before it
        self._silent_until = asyncio.get_running_loop().time() + FRAME_SECS

    def read(self, size: int) -> bytes:
        if self._epoch is None and not self._bind():
            return b""
        got = lib.bp_audio_read(self._handle, self._epoch, self._buffer, min(size * self._in_scale, MOST_READ))
        if got < 0:
            self._epoch = None
        if got <= 0:
            return b""
        pcm = bytes(ffi.buffer(self._buffer, got))
        return self._in.feed(audioop.tomono(pcm, 2, 0.5, 0.5) if self._info.rx_ch == 2 else pcm)

    def write(self, pcm: bytes) -> None:
        if (out := self._current()) is not None:
            out.write(pcm)

    def queued(self) -> int:
        return self._out.queued() if self._out.open else 0  # what a stream had when it was closed is lost

    def flush(self) -> None:
        self._out.flush()

    def idle(self) -> None:
        if (out := self._current()) is not None and asyncio.get_running_loop().time() >= self._silent_until:
            out.idle()

    def _bind(self) -> bool:
        """To the stream that is: a renegotiation in mid-call makes a new one."""
        if lib.bp_audio_probe(self._handle, self._info) != 0 or not self._info.rx_ready:
            return False
        self._epoch = int(self._info.epoch)
        self._in = Resampler(self._info.rx_srate, self.rate)
        self._in_scale = max(1, self._info.rx_ch * self._info.rx_srate // self.rate)
        return True

    def _current(self) -> "_Out | None":
        """Where speech goes now; None while nothing goes out."""
        if not self._out.open and (source := self._newest()) is not None:
            self._out = _Out(source, self.rate)
        return self._out if self._out.open else None


class _Out:
    """Hands frames to the stack's sender. It takes one every 20 ms from its first on: the clock knows what is left."""

    def __init__(self, source: Source, leg_rate: int) -> None:
        self._source = source
        self._leg_rate = leg_rate
        self._resampler = Resampler(leg_rate, source.rate)
        self._speech = bytearray()
        """What the sender has not been given."""
        self._loop = asyncio.get_running_loop()
        self._first_at: float | None = None
        """When the sender was given its first frame."""
        self._begun = False
        self._looking = False
        self._until = 0.0
        """When the sender will have sent everything it has."""
        self._speech_until = 0.0
        """The same of the last speech."""
        self._spoke = False

    @property
    def open(self) -> bool:
        return self._source.open

    def write(self, pcm: bytes) -> None:
        pcm = self._resampler.feed(pcm)
        self._speech += audioop.tostereo(pcm, 2, 1, 1) if self._source.channels == 2 else pcm
        self._hand_over()

    def queued(self) -> int:
        """Bytes of the leg: whole samples."""
        source = self._source
        waiting = len(self._speech) / (2 * source.channels * source.rate)
        return 2 * int((waiting + max(0.0, self._speech_until - self._loop.time())) * self._leg_rate)

    def flush(self) -> None:
        """What the sender has can't be called back."""
        self._speech.clear()

    def idle(self) -> None:
        """Nothing more is to be said for now: end with a whole frame, then go on with silence."""
        frame = self._source.frame
        if self._speech and not self._looking:
            self._speech += bytes(-len(self._speech) % frame)
            self._hand_over()
        elif not self._speech and self._left() < (IDLE_SECS if self._spoke else FIRST_IDLE_SECS) and self._may_give():
            self._give(bytes(frame))

    def _left(self) -> float:
        """Seconds until the sender has nothing more."""
        return self._until - self._loop.time()

    def _hand_over(self) -> None:
        """Give the sender all whole frames that it may have."""
        frame = self._source.frame
        while len(self._speech) >= frame and self._may_give():
            self._give(bytes(self._speech[:frame]))
            del self._speech[:frame]
            self._spoke = True
            self._speech_until = self._until

    def _may_give(self) -> bool:
        """A sender drops what it has when it begins, but for one frame: the second waits until the first was sent."""
        if self._begun or self._first_at is None:
            return True
        now = self._loop.time()
        if self._source.begun or now > self._first_at + FIRST_SENT_SECS:
            self._begun = True
            self._until = min(now, self._first_at + LOOK_AGAIN_SECS) + self._source.frame_secs
            if self._spoke:
                self._speech_until = self._until
            return True
        if not self._looking:
            self._looking = True
            self._loop.call_later(LOOK_AGAIN_SECS, self._look)
        return False

    def _look(self) -> None:
        self._looking = False
        if self._source.open:
            self._hand_over()

    def _give(self, frame: bytes) -> None:
        now = self._loop.time()
        if self._first_at is None:
            self._first_at = now
        self._until = max(self._until, now) + self._source.frame_secs
        self._source.feed(frame)


def leg_rate(rate: int) -> int:
    """What a leg runs at whose codec runs at `rate`."""
    return rate if rate in LEG_RATES else LEG_RATES[-1]
