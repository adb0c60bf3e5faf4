"""The leg of a call whose network plays audio at its own pace: queues, marks, keys and the recording."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from outdial.media.clock import FrameClock
from outdial.media.recording import Recording, Track
from outdial.media.tones import BeepDetector, KeyDetector
from outdial.ports.voice import FRAME_SECS, Audio, Beep, Heard, HungUp, Key, Played

AHEAD_FRAMES = 3
"""How much is with the network before it is played: as little as its clock and ours allow."""
HEARD_FRAMES = 250
"""Frames that wait to be received; a talk that does not listen for 5 s hears the newest only."""
CATCH_UP_FRAMES = 5
"""More than so many frames waiting at the network are taken at once."""
BEEP_FRAMES = 60 * 50
"""A minute after the answer a tone is no machine's beep any more: greetings are shorter."""
SAME_KEY_SECS = 0.5
"""A key in band and the same as an event within this time are one."""


class AudioLine(Protocol):
    """The raw audio of one call, as its network offers it: signed 16-bit mono, never blocking."""

    @property
    def rate(self) -> int:
        """Samples a second, both ways."""
        ...

    def read(self, size: int) -> bytes:
        """Up to so many bytes of what came, b"" for nothing."""
        ...

    def write(self, pcm: bytes) -> None:
        """Queue for the person."""
        ...

    def queued(self) -> int:
        """Bytes written and not yet played."""
        ...

    def flush(self) -> None:
        """Forget what is queued, as far as that can be; `queued` tells what can't."""
        ...

    def idle(self) -> None:
        """Every 20 ms while there is nothing to say: a network may want silence."""
        ...


class QueuedLeg:
    """The port `Leg` over an `AudioLine`."""

    def __init__(
        self, line: AudioLine, clock: FrameClock, *, press: Callable[[str], Awaitable[None]], keys_in_band: bool = True
    ) -> None:
        """Make it; `press` sends keys to the far end. It moves once it is started."""
        self._line = line
        self._clock = clock
        self._press = press
        self._recording: Recording | None = None
        self.rate = line.rate
        self.frame = int(line.rate * FRAME_SECS) * 2
        """Bytes of one frame."""
        self._ears = KeyDetector(line.rate) if keys_in_band else None
        self._beep: BeepDetector | None = None
        """Listens from the answer on, until it has heard one: a ringing tone before it is as steady."""
        self._listened = 0
        """Frames that it has listened to."""
        self._in_band_at: dict[str, float] = {}
        self._out: deque[bytes | str] = deque()
        """Pieces to play, and the names of marks between them."""
        self._offset = 0
        """Bytes of the first piece that are written already."""
        self._written = 0
        self._played = 0
        self._with_line = bytearray()
        """What the network has and has not played: for the recording."""
        self._marks: deque[tuple[int, str]] = deque()
        """Marks whose turn has come, each with how much must be played before it."""
        self._partial = b""
        self._heard: deque[Heard] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._over = False
        self.missed_frames = 0
        """Frames that a talk did not listen to in time."""

    # --- the port

    async def recv(self) -> Heard:
        while not self._heard:
            if self._over:
                return HungUp()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._heard.popleft()

    def send(self, pcm: bytes) -> None:
        if pcm and not self._over:
            self._out.append(pcm)
            self._feed()

    def clear(self) -> None:
        names = [name for _, name in self._marks] + [piece for piece in self._out if isinstance(piece, str)]
        self._out.clear()
        self._marks.clear()
        self._offset = 0
        before = self._line.queued()
        self._line.flush()
        if forgotten := before - self._line.queued():
            self._written -= forgotten
            del self._with_line[-forgotten:]
        for name in names:
            self._hear(Played(name))

    def mark(self, name: str) -> None:
        self._out.append(name)
        self._feed()

    async def send_dtmf(self, digits: str) -> None:
        await self._press(digits)

    # --- for who owns the call

    def start(self) -> None:
        """The call is answered: audio runs."""
        self._clock.join(self, self.tick)
        self._feed()

    def answered(self) -> None:
        """Somebody, or something, has answered: from now on a beep is a machine's."""
        self._beep = BeepDetector(self.rate)

    def record(self, recording: Recording | None) -> None:
        """From now on, both sides are recorded; None: they are not."""
        self._recording = recording

    def stop(self) -> None:
        """The call is over; may be called twice."""
        if self._over:
            return
        self._over = True
        self._clock.leave(self)
        self._out.clear()
        self._wake()
        if self._recording is not None:
            self._recording.close()

    def pressed(self, digit: str) -> None:
        """The network reports a key: from now on keys in band are not listened for."""
        now = asyncio.get_running_loop().time()
        self._ears = None
        if now - self._in_band_at.get(digit, -1e9) > SAME_KEY_SECS:
            self._hear(Key(digit))
        self._in_band_at.clear()

    def tick(self) -> None:
        """Every 20 ms: take what came, note what was played, give what is next."""
        self._listen()
        self._settle_played()
        self._feed()
        if not self._out:
            self._line.idle()

    # --- inwards

    def _listen(self) -> None:
        for _ in range(CATCH_UP_FRAMES):
            got = self._line.read(self.frame - len(self._partial))
            if not got:
                return
            self._partial += got
            if len(self._partial) < self.frame:
                return
            frame, self._partial = self._partial, b""
            if self._recording is not None:
                self._recording.put(Track.PERSON, frame)
            if self._ears is not None and (digit := self._ears.feed(frame)) is not None:
                self._in_band_at[digit] = asyncio.get_running_loop().time()
                self._hear(Key(digit))
            self._listen_for_beep(frame)
            self._hear(Audio(frame))

    def _listen_for_beep(self, frame: bytes) -> None:
        if self._beep is None:
            return
        self._listened += 1
        if heard := self._beep.feed(frame):
            self._hear(Beep())
        if heard or self._listened >= BEEP_FRAMES:
            self._beep = None

    def _hear(self, heard: Heard) -> None:
        if len(self._heard) >= HEARD_FRAMES and isinstance(heard, Audio):
            oldest = next((n for n, one in enumerate(self._heard) if isinstance(one, Audio)), None)
            if oldest is not None:
                del self._heard[oldest]
                self.missed_frames += 1
        self._heard.append(heard)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- outwards

    def _settle_played(self) -> None:
        played = self._written - self._line.queued()
        if played > self._played:
            fresh = bytes(self._with_line[: played - self._played])
            del self._with_line[: len(fresh)]
            self._played = played
            if self._recording is not None:
                self._recording.put(Track.AGENT, fresh)
        while self._marks and self._marks[0][0] <= self._played:
            self._hear(Played(self._marks.popleft()[1]))

    def _feed(self) -> None:
        if self._over or not self._out:
            return
        room = (AHEAD_FRAMES * self.frame - self._line.queued()) // 2 * 2  # whole samples
        while self._out:
            piece = self._out[0]
            if isinstance(piece, str):
                self._out.popleft()
                self._marks.append((self._written, piece))
                continue
            if room <= 0:
                return
            part = piece[self._offset : self._offset + min(self.frame, room)]
            self._line.write(part)
            self._with_line += part
            self._written += len(part)
            room -= len(part)
            self._offset += len(part)
            if self._offset >= len(piece):
                self._out.popleft()
                self._offset = 0
