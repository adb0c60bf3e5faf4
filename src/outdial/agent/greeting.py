"""The first voice: says the agent's first message, listens for keys, says goodbye."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from outdial.agent.voice import Voice, VoiceGone
from outdial.domain.call import Utterance
from outdial.ports.lines import CallOrder
from outdial.ports.voice import HungUp, Key, Leg, Played, Talk, TalkResult
from outdial.runtime.log import get_logger

LIKELY_RATE = 8_000
"""Of telephones."""
LISTEN_SECS = 5.0
"""So long after its last word, or after a key, a key is waited for."""
GOODBYE = {
    "ar": "مع السلامة.", "de": "Auf Wiederhören.", "en": "Goodbye.", "es": "Adiós.", "fr": "Au revoir.",
    "hi": "नमस्ते।", "it": "Arrivederci.", "nl": "Tot ziens.", "pl": "Do widzenia.", "pt": "Adeus.",
}  # fmt: skip
"""By language; where there is none, the call ends without."""

log = get_logger()


class FirstVoice:
    """The port `Talker`."""

    def __init__(self, voice: Voice, *, listen_secs: float = LISTEN_SECS) -> None:
        self._voice = voice
        self._listen_secs = listen_secs

    async def open(self) -> None:
        try:
            await self._voice.say(GOODBYE["en"], language="en", rate=LIKELY_RATE)
        except VoiceGone as error:
            log.error("this worker has no voice: calls will be silent", error=str(error))  # noqa: TRY400 - where is known

    def prepare(self, order: CallOrder, rates: Sequence[int]) -> Talk:
        return Greeting(
            self._voice, first_message(order.agent), language(order.agent), rates=rates, listen_secs=self._listen_secs
        )

    async def close(self) -> None:
        await self._voice.close()


class Greeting:
    """One call's talk."""

    def __init__(
        self, voice: Voice, text: str, language: str, *, rates: Sequence[int], listen_secs: float = LISTEN_SECS
    ) -> None:
        self._voice = voice
        self._text = text
        self._language = language
        self._goodbye = GOODBYE.get(language.partition("-")[0], "")
        self._listen_secs = listen_secs
        self._said: list[Utterance] = []
        self._keys = ""
        self._began = 0.0
        self._ready = {
            (words, rate): asyncio.create_task(self._speech(words, rate))
            for words in (text, self._goodbye)
            for rate in rates
        }

    async def run(self, leg: Leg) -> None:
        """The message, keys, goodbye; returns early when the person hangs up."""
        self._began = asyncio.get_running_loop().time()
        if await self._say(leg, self._text) and await self._listen(leg):
            await self._say(leg, self._goodbye)

    def result(self) -> TalkResult:
        return TalkResult(tuple(self._said), self._keys)

    def drop(self) -> None:
        for task in self._ready.values():
            task.cancel()

    async def _speech(self, text: str, rate: int) -> bytes:
        try:
            return await self._voice.say(text, language=self._language, rate=rate)
        except VoiceGone as error:
            log.error("nothing could be said", error=str(error))  # noqa: TRY400 - where is known
            return b""

    async def _say(self, leg: Leg, text: str) -> bool:
        """Play it to its end; False when the person hung up before."""
        ready = self._ready.get((text, leg.rate))
        speech = await (self._speech(text, leg.rate) if ready is None else ready)
        if speech:
            leg.send(speech)
            self._note("agent", text)
        leg.mark("said")
        while True:
            match await leg.recv():
                case HungUp():
                    return False
                case Played():
                    return True
                case Key(digit):
                    self._press(digit)

    async def _listen(self, leg: Leg) -> bool:
        """Wait for keys until there is none for a while; False when the person hung up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._listen_secs
        try:
            async with asyncio.timeout_at(until) as patience:
                while True:
                    match await leg.recv():
                        case HungUp():
                            return False
                        case Key(digit):
                            self._press(digit)
                            patience.reschedule(loop.time() + self._listen_secs)
        except TimeoutError:
            return True

    def _press(self, digit: str) -> None:
        self._keys += digit
        self._note("user", f"[{digit}]")

    def _note(self, role: str, text: str) -> None:
        self._said.append(Utterance(role, text, int(asyncio.get_running_loop().time() - self._began)))


def first_message(agent: Mapping[str, Any]) -> str:
    """What the agent says first; its variables were put in when the order was made."""
    text = _agent(agent).get("first_message")
    return text if isinstance(text, str) else ""


def language(agent: Mapping[str, Any]) -> str:
    """The agent's, English unless it says so."""
    told = _agent(agent).get("language")
    return told.lower().replace("_", "-") if isinstance(told, str) and told else "en"


def _agent(agent: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("conversation_config", "agent"):
        inner = agent.get(name)
        agent = inner if isinstance(inner, Mapping) else {}
    return agent
