"""The first voice: says the agent's first message, listens for keys, says goodbye; or leaves a machine its message."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from outdial.agent.voice import Voice, VoiceGone
from outdial.domain.call import Utterance
from outdial.ports.lines import CallOrder
from outdial.ports.voice import Beep, HungUp, Key, Leg, Mute, Played, Talk, TalkResult
from outdial.runtime.log import get_logger

LIKELY_RATE = 8_000
"""Of telephones."""
LISTEN_SECS = 5.0
"""So long after its last word, or after a key, a key is waited for."""
MOST_KEYS = 1_000
"""Of one call that are kept: a key that is stuck, or a machine, can press fifty in a second."""
GOODBYE = {
    "ar": "مع السلامة.", "de": "Auf Wiederhören.", "en": "Goodbye.", "es": "Adiós.", "fr": "Au revoir.",
    "hi": "नमस्ते।", "it": "Arrivederci.", "nl": "Tot ziens.", "pl": "Do widzenia.", "pt": "Adeus.",
}  # fmt: skip
"""By language; where there is none, the call ends without."""

log = get_logger()


class MachineAnswered(Exception):
    """A beep was heard: from now on it records."""


class FirstVoice:
    """The port `Talker`."""

    def __init__(self, voice: Voice, *, listen_secs: float = LISTEN_SECS) -> None:
        self._voice = voice
        self._listen_secs = listen_secs

    async def open(self) -> None:
        try:
            await self._voice.say(GOODBYE["en"], language="en", rate=LIKELY_RATE)
        except VoiceGone as error:
            log.error("this worker has no voice: whoever answers is hung up", error=str(error))  # noqa: TRY400 - where is known

    def prepare(self, order: CallOrder, rates: Sequence[int]) -> Talk:
        return Greeting(
            self._voice,
            first_message(order.agent),
            language(order.agent),
            for_machines=machine_message(order.agent),
            rates=rates,
            listen_secs=self._listen_secs,
        )

    async def close(self) -> None:
        await self._voice.close()


class Greeting:
    """One call's talk."""

    def __init__(
        self,
        voice: Voice,
        text: str,
        language: str,
        *,
        for_machines: str,
        rates: Sequence[int],
        listen_secs: float = LISTEN_SECS,
    ) -> None:
        """Begin to speak it; `for_machines`: what an answering machine is left, "" for nothing."""
        self._voice = voice
        self._text = text
        self._language = language
        self._for_machines = for_machines
        self._goodbye = GOODBYE.get(language.partition("-")[0], "")
        self._listen_secs = listen_secs
        self._said: list[Utterance] = []
        self._keys = ""
        self._machine = False
        self._began = 0.0
        self._ready = {
            (words, rate): asyncio.create_task(self._speech(words, rate))
            for words in (text, self._goodbye)
            for rate in rates
        }

    async def run(self, leg: Leg) -> None:
        """The message, keys, goodbye; returns early when the person hangs up; raises Mute if it can't say the first."""
        self._began = asyncio.get_running_loop().time()
        try:
            if await self._say(leg, self._text) and await self._listen(leg):
                await self._say(leg, self._goodbye)
        except MachineAnswered:
            # what was said until now went into its greeting: from the start, and nobody is waited for
            self._machine = True
            leg.clear()
            await self._say(leg, self._for_machines)

    def result(self) -> TalkResult:
        return TalkResult(tuple(self._said), self._keys, self._machine)

    def drop(self) -> None:
        for task in self._ready.values():
            task.cancel()

    async def _speech(self, text: str, rate: int) -> bytes | None:
        try:
            return await self._voice.say(text, language=self._language, rate=rate)
        except VoiceGone as error:
            log.error("nothing could be said", error=str(error))  # noqa: TRY400 - where is known
            return None

    async def _say(self, leg: Leg, text: str) -> bool:
        """Play it to its end; False when the person hung up before; raises MachineAnswered and Mute."""
        ready = self._ready.get((text, leg.rate))
        speech = await (self._speech(text, leg.rate) if ready is None else ready)
        if speech is None and not self._said:
            raise Mute  # better no call than one in which nobody speaks
        if speech:
            leg.send(speech)
            self._note("agent", text)
        mark = f"said {len(self._said)}"  # one that was cleared comes back, too
        leg.mark(mark)
        while True:
            match await leg.recv():
                case HungUp():
                    return False
                case Played(name) if name == mark:
                    return True
                case Beep():
                    raise MachineAnswered
                case Key(digit):
                    self._press(digit)

    async def _listen(self, leg: Leg) -> bool:
        """Wait for keys until there is none for a while; False when the person hung up; raises MachineAnswered."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._listen_secs
        try:
            async with asyncio.timeout_at(until) as patience:
                while True:
                    match await leg.recv():
                        case HungUp():
                            return False
                        case Beep():
                            raise MachineAnswered
                        case Key(digit):
                            self._press(digit)
                            patience.reschedule(loop.time() + self._listen_secs)
        except TimeoutError:
            return True

    def _press(self, digit: str) -> None:
        if len(self._keys) < MOST_KEYS:
            self._keys += digit
            self._note("user", f"[{digit}]")

    def _note(self, role: str, text: str) -> None:
        self._said.append(Utterance(role, text, int(asyncio.get_running_loop().time() - self._began)))


def first_message(agent: Mapping[str, Any]) -> str:
    """What the agent says first; its variables were put in when the order was made."""
    text = _agent(agent).get("first_message")
    return text if isinstance(text, str) else ""


def machine_message(agent: Mapping[str, Any]) -> str:
    """What an answering machine is left: the message of the tool `voicemail_detection`, without it the first message.

    A tool without a message hangs up at once, as published.
    """
    tool = _inner(_inner(_inner(_agent(agent), "prompt"), "built_in_tools"), "voicemail_detection")
    if not tool:
        return first_message(agent)
    text = _inner(tool, "params").get("voicemail_message")
    return text if isinstance(text, str) else ""


def language(agent: Mapping[str, Any]) -> str:
    """The agent's, English unless it says so."""
    told = _agent(agent).get("language")
    return told.lower().replace("_", "-") if isinstance(told, str) and told else "en"


def _agent(agent: Mapping[str, Any]) -> Mapping[str, Any]:
    return _inner(_inner(agent, "conversation_config"), "agent")


def _inner(outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = outer.get(name)
    return inner if isinstance(inner, Mapping) else {}
