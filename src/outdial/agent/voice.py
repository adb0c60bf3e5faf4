"""An offline voice: texts in, speech out. Equal sentences are spoken once, whoever asks, and kept for the next call."""

import asyncio
import contextlib
import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from outdial.agent.espeak import LENGTH, Speech, Wish
from outdial.runtime.log import get_logger

COMMAND = (sys.executable, "-m", "outdial.agent.espeak")
LONGEST_TEXT = 5_000
"""Characters; six minutes of speech."""
SPEAK_SECS = 10.0
"""How long the voice may take for one text."""
KEPT_BYTES = 64 * 1024 * 1024
RESTART_SECS = 1.0
"""A voice process that died is started again, but not more often than this."""

log = get_logger()
_speech = msgspec.msgpack.Decoder(Speech)


class VoiceGone(Exception):
    """The voice can't speak now."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    language: str
    rate: int


class Voice:
    """The voice process and what it said."""

    def __init__(self, command: Sequence[str] = COMMAND, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._command = tuple(command)
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[_Sentence, bytes] = OrderedDict()
        self._size = 0
        self._under_way: dict[_Sentence, asyncio.Task[bytes]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._started_at = -RESTART_SECS
        self._turn = asyncio.Lock()
        self._closed = False
        self.spoken = 0
        """Texts that were really spoken, not taken from what is kept."""

    async def say(self, text: str, *, language: str, rate: int) -> bytes:
        """The speech, 16-bit mono at `rate`; raises VoiceGone. Cancelling one who waits disturbs no other."""
        sentence = _Sentence(text[:LONGEST_TEXT], language, rate)
        if not text.strip():
            return b""
        if (kept := self._kept.get(sentence)) is not None:
            self._kept.move_to_end(sentence)
            return kept
        task = self._under_way.get(sentence)
        if task is None:
            task = self._under_way[sentence] = asyncio.create_task(self._speak(sentence), name="voice")
            task.add_done_callback(lambda done: self._keep(sentence, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End the process; may be called twice."""
        self._closed = True
        for task in list(self._under_way.values()):
            task.cancel()
        await self._end()

    def _keep(self, sentence: _Sentence, done: asyncio.Task[bytes]) -> None:
        self._under_way.pop(sentence, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._kept[sentence] = done.result()
        self._size += len(done.result())
        while self._size > self._kept_bytes and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest)

    async def _speak(self, sentence: _Sentence) -> bytes:
        async with self._turn:
            try:
                async with asyncio.timeout(SPEAK_SECS):
                    speech = await self._ask(Wish(sentence.text, sentence.language, sentence.rate))
            except (TimeoutError, OSError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
                log.warning("voice process failed and is started again", error=type(error).__name__)
                await self._end()
                raise VoiceGone("the voice process failed") from error
            except asyncio.CancelledError:
                await self._end()  # an answer may be on its way, and would be taken for the next one's
                raise
        if speech.error:
            raise VoiceGone(speech.error)
        self.spoken += 1
        return speech.pcm

    async def _ask(self, wish: Wish) -> Speech:
        process = await self._running()
        if process.stdin is None or process.stdout is None:
            raise VoiceGone("the voice process has no pipes")
        request = msgspec.msgpack.encode(wish)
        process.stdin.write(LENGTH.pack(len(request)) + request)
        await process.stdin.drain()
        (size,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        return _speech.decode(await process.stdout.readexactly(size))

    async def _running(self) -> asyncio.subprocess.Process:
        if self._closed:
            raise VoiceGone("the voice is closed")
        if self._process is None or self._process.returncode is not None:
            loop = asyncio.get_running_loop()
            if loop.time() - self._started_at < RESTART_SECS:
                raise VoiceGone("the voice process has just died")
            self._started_at = loop.time()
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
