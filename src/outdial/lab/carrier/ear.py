"""What somebody hears: when the other side speaks, and, if it is wanted, all of it."""

import asyncio
import wave
from pathlib import Path

from outdial.lab.carrier.g711 import LAWS, RATE

VOICED = 200.0
"""The loudness from which a packet holds speech."""
PAUSE_SECS = 0.5
"""After so long without speech the other side has come to an end."""
SOON_SECS = 0.001
LONGEST_GAP = 10 * RATE
"""Samples; a timestamp that leaps further begins anew."""


class Ear:
    """Of one callee."""

    def __init__(self, *, keeps: bool = False) -> None:
        self._law = LAWS["PCMU"]
        self._type = 0
        self._kept = bytearray() if keeps else None
        self._next: int | None = None
        self._voice = asyncio.Event()
        self._voiced_at = 0.0

    def agree(self, codec: str, kind: int) -> None:
        """What will be spoken."""
        self._law, self._type = LAWS[codec], kind

    def hear(self, kind: int, timestamp: int, coded: bytes) -> None:
        """One packet of RTP."""
        if kind != self._type:
            return
        if self._law.loudness(coded) >= VOICED:
            self._voiced_at = asyncio.get_running_loop().time()
            self._voice.set()
        if self._kept is not None:
            self._keep(self._kept, timestamp, coded)

    def _keep(self, kept: bytearray, timestamp: int, coded: bytes) -> None:
        """At its place in time: what was lost is silent."""
        gap = 0 if self._next is None else (timestamp - self._next + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        if 0 <= gap <= LONGEST_GAP:
            kept += (self._law.silence[:1] * gap) + coded
            self._next = (timestamp + len(coded)) & 0xFFFF_FFFF
        elif -len(kept) <= gap + len(coded) <= 0:  # it was overtaken, and comes late
            at = len(kept) + gap
            kept[at : at + len(coded)] = coded
        elif abs(gap) > LONGEST_GAP:
            kept += coded
            self._next = (timestamp + len(coded)) & 0xFFFF_FFFF

    def forget(self) -> None:
        """What was said until now does not count as speech."""
        self._voice.clear()

    async def until_spoken(self, *, within: float) -> bool:
        """Wait until the other side has said something and come to an end; False where it did not."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                await self._voice.wait()
                while (rest := self._voiced_at + PAUSE_SECS - loop.time()) > SOON_SECS:  # noqa: ASYNC110 - no event says `nothing`
                    await asyncio.sleep(rest)
        except TimeoutError:
            return False
        return True

    def write(self, path: Path) -> None:
        """What was kept, as WAV."""
        if self._kept is None:
            return
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(self._law.decode(bytes(self._kept)))
