"""The first voice: speech from a process of its own, and the talk that uses it."""

import array
import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("espeakng_loader", reason="the extra `sip` is not installed: no wheel for this machine")

from outdial.agent.greeting import LISTEN_SECS, MOST_KEYS, FirstVoice, first_message, language, machine_message
from outdial.agent.voice import Voice, VoiceGone
from outdial.ports.lines import CallOrder
from outdial.ports.voice import Audio, Beep, Heard, HungUp, Key, Mute, Played


def order(first: str = "Hello, Ann.", tongue: str | None = None) -> CallOrder:
    agent: dict[str, Any] = {"first_message": first} | ({"language": tongue} if tongue else {})
    return CallOrder("k", "+1", "+2", "sip_trunk", {}, {"conversation_config": {"agent": agent}}, {}, 1, 1, 1, "", "")


RATES = (8_000,)


class ScriptedLeg:
    """Plays at once, and hears what the test puts in."""

    rate = 8_000

    def __init__(self, *heard: Heard) -> None:
        self.sent: list[bytes] = []
        self.marks = 0
        self.queue: asyncio.Queue[Heard] = asyncio.Queue()
        for one in heard:
            self.queue.put_nowait(one)

    async def recv(self) -> Heard:
        return await self.queue.get()

    def send(self, pcm: bytes) -> None:
        self.sent.append(pcm)

    def mark(self, name: str) -> None:
        self.marks += 1
        self.queue.put_nowait(Played(name))

    def clear(self) -> None: ...

    async def send_dtmf(self, digits: str) -> None: ...


def loud(pcm: bytes) -> bool:
    return max(map(abs, array.array("h", pcm))) > 5_000


async def test_a_sentence_is_spoken_and_starts_with_its_first_word() -> None:
    voice = Voice()
    try:
        speech = await voice.say("Hello, this is Outdial.", language="en", rate=8_000)
        assert 0.8 < len(speech) / 16_000 < 4
        assert loud(speech)
        assert max(map(abs, array.array("h", speech[:160]))) > 100  # within 10 ms
        wide = await voice.say("Hello, this is Outdial.", language="en", rate=16_000)
        assert abs(len(wide) - 2 * len(speech)) < 100
    finally:
        await voice.close()


async def test_equal_sentences_are_spoken_once_whoever_asks() -> None:
    voice = Voice()
    try:
        many = await asyncio.gather(*(voice.say("Hello.", language="en", rate=8_000) for _ in range(50)))
        assert await voice.say("Hello.", language="en", rate=8_000) == many[0]
        assert (len(set(many)), voice.spoken) == (1, 1)
        await voice.say("Hello.", language="de", rate=8_000)
        assert voice.spoken == 2
    finally:
        await voice.close()


async def test_who_does_not_wait_any_more_disturbs_no_other() -> None:
    voice = Voice()
    try:
        impatient = asyncio.create_task(voice.say("Hello.", language="en", rate=8_000))
        patient = asyncio.create_task(voice.say("Hello.", language="en", rate=8_000))
        await asyncio.sleep(0)
        impatient.cancel()
        assert loud(await patient)
    finally:
        await voice.close()


async def test_what_is_kept_is_bounded() -> None:
    voice = Voice(kept_bytes=100_000)
    try:
        for n in range(20):
            await voice.say(f"This is sentence number {n}.", language="en", rate=8_000)
        assert voice._size <= 100_000
        assert sum(map(len, voice._kept.values())) == voice._size
    finally:
        await voice.close()


async def test_a_voice_that_dies_is_started_again() -> None:
    voice = Voice()
    try:
        await voice.say("One.", language="en", rate=8_000)
        assert voice._process is not None
        voice._process.kill()
        await voice._process.wait()
        voice._started_at = -10.0  # long ago
        assert loud(await voice.say("Two.", language="en", rate=8_000))
    finally:
        await voice.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_voice_speaks_on_when_its_server_is_told_to_stop(number: signal.Signals) -> None:
    voice = Voice()
    try:
        await voice.say("One.", language="en", rate=8_000)
        assert voice._process is not None
        voice._process.send_signal(number)  # as Ctrl-C does, to everybody in the group
        assert loud(await voice.say("Two.", language="en", rate=8_000))
        assert voice._process.returncode is None
    finally:
        await voice.close()


async def test_a_voice_that_cannot_speak_says_so(tmp_path: Path) -> None:
    voice = Voice([sys.executable, "-c", "import sys; sys.exit(3)"])
    with pytest.raises(VoiceGone):
        await voice.say("Hello.", language="en", rate=8_000)
    await voice.close()
    await voice.close()
    with pytest.raises(VoiceGone):
        await voice.say("Hello.", language="en", rate=8_000)


@pytest.mark.parametrize("text", ["", "   "])
async def test_nothing_to_say_needs_no_voice(text: str) -> None:
    voice = Voice()
    assert await voice.say(text, language="en", rate=8_000) == b""
    assert voice._process is None


@pytest.mark.parametrize("tongue", ["de", "pt-br", "hi", "no such language", "zh"])
async def test_any_language_is_spoken_somehow(tongue: str) -> None:
    voice = Voice()
    try:
        assert loud(await voice.say("Hello 123", language=tongue, rate=8_000))
    finally:
        await voice.close()


@pytest.mark.parametrize(
    ("tongue", "same", "text"),
    [("zh", "cmn", "我们明天见。"), ("zh-cn", "cmn", "我们明天见。"), ("no", "nb", "Vi ses i morgen.")],
)
async def test_a_language_is_known_by_the_name_that_the_wires_give_it(tongue: str, same: str, text: str) -> None:
    voice = Voice()
    try:
        took = {name: len(await voice.say(text, language=name, rate=8_000)) for name in (tongue, same, "en")}
    finally:
        await voice.close()
    assert took[tongue] == pytest.approx(took[same], rel=0.03)  # no two sentences of it are quite the same
    assert took[tongue] != pytest.approx(took["en"], rel=0.1)


async def test_it_speaks_listens_says_goodbye_and_ends() -> None:
    talker = FirstVoice(Voice(), listen_secs=0.2)
    try:
        talk, leg = talker.prepare(order(), RATES), ScriptedLeg(Audio(bytes(320)), Key("1"))
        await asyncio.wait_for(talk.run(leg), 10)
    finally:
        await talker.close()
    assert [loud(pcm) for pcm in leg.sent] == [True, True]
    assert talk.result().keys == "1"
    assert [(one.role, one.message) for one in talk.result().said] == [
        ("agent", "Hello, Ann."), ("user", "[1]"), ("agent", "Goodbye."),
    ]  # fmt: skip


async def test_speech_is_ready_at_every_rate_that_the_call_may_have() -> None:
    voice = Voice()
    talker = FirstVoice(voice, listen_secs=0.05)
    try:
        talk = talker.prepare(order(), (8_000, 16_000))
        async with asyncio.timeout(10):
            while voice.spoken < 4:  # noqa: ASYNC110 - message and goodbye, twice
                await asyncio.sleep(0.01)
            leg = ScriptedLeg()
            leg.rate = 16_000
            await talk.run(leg)
        assert leg.sent[0] == await voice.say("Hello, Ann.", language="en", rate=16_000)
        assert voice.spoken == 4
    finally:
        await talker.close()


async def test_a_key_that_is_stuck_fills_no_transcript() -> None:
    talker = FirstVoice(Voice())
    try:
        talk = talker.prepare(order(""), RATES)
        await talk.run(ScriptedLeg(*[Key("5")] * (MOST_KEYS + 10), HungUp()))
        assert talk.result().keys == "5" * MOST_KEYS
        assert len(talk.result().said) == MOST_KEYS
    finally:
        await talker.close()


async def test_a_key_buys_time_for_another() -> None:
    talker = FirstVoice(Voice(), listen_secs=0.3)
    try:
        talk, leg = talker.prepare(order(), RATES), ScriptedLeg()
        running = asyncio.create_task(talk.run(leg))
        while not leg.marks:  # noqa: ASYNC110 - it speaks first
            await asyncio.sleep(0.01)
        for digit in "123":
            await asyncio.sleep(0.2)
            leg.queue.put_nowait(Key(digit))
        await asyncio.wait_for(running, 5)
    finally:
        await talker.close()
    assert talk.result().keys == "123"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_who_hangs_up_is_not_spoken_to_any_more(when: str) -> None:
    talker = FirstVoice(Voice(), listen_secs=5)
    try:
        leg = ScriptedLeg(HungUp()) if when == "before" else ScriptedLeg()
        talk = talker.prepare(order(), RATES)
        running = asyncio.create_task(talk.run(leg))
        if when == "after":
            while not leg.marks:  # noqa: ASYNC110 - it speaks first
                await asyncio.sleep(0.01)
            leg.queue.put_nowait(HungUp())
        await asyncio.wait_for(running, 3)
    finally:
        await talker.close()
    assert len(leg.sent) == 1


def with_tool(agent: CallOrder, params: dict[str, Any]) -> CallOrder:
    tool = {"type": "system", "name": "voicemail_detection", "params": params}
    agent.agent["conversation_config"]["agent"]["prompt"] = {"built_in_tools": {"voicemail_detection": tool}}
    return agent


@pytest.mark.parametrize("when", ["while it speaks", "while it listens"])
@pytest.mark.parametrize(
    ("tool", "left"), [(None, ["Hello, Ann."]), ({"voicemail_message": "Call us back."}, ["Call us back."]), ({}, [])]
)
async def test_a_machine_is_left_a_message_from_its_start_and_no_goodbye(
    when: str, tool: dict[str, Any] | None, left: list[str]
) -> None:
    talker = FirstVoice(Voice(), listen_secs=5)
    try:
        asked = order() if tool is None else with_tool(order(), tool)
        talk, leg = talker.prepare(asked, RATES), ScriptedLeg(*([Beep()] if when == "while it speaks" else []))
        running = asyncio.create_task(talk.run(leg))
        if when == "while it listens":
            while not leg.marks:  # noqa: ASYNC110 - it speaks first
                await asyncio.sleep(0.01)
            leg.queue.put_nowait(Beep())
        await asyncio.wait_for(running, 4)
    finally:
        await talker.close()
    result = talk.result()
    assert result.machine
    assert [one.message for one in result.said] == ["Hello, Ann.", *left]
    assert len(leg.sent) == 1 + len(left)


def test_a_tool_without_a_message_leaves_none() -> None:
    assert machine_message(with_tool(order(), {"voicemail_message": None}).agent) == ""
    assert machine_message(order().agent) == "Hello, Ann."


async def test_a_talk_without_a_voice_says_so_and_one_without_words_needs_none() -> None:
    talker = FirstVoice(Voice(["/nonexistent"]), listen_secs=0.05)
    await talker.open()
    leg = ScriptedLeg(Key("5"))
    with pytest.raises(Mute):
        await asyncio.wait_for(talker.prepare(order(), RATES).run(leg), 3)
    talk = talker.prepare(order(""), RATES)
    await asyncio.wait_for(talk.run(leg), 3)
    assert (leg.sent, talk.result().keys) == ([], "5")


def test_a_talk_waits_five_seconds_for_a_key() -> None:
    assert LISTEN_SECS == 5.0


@pytest.mark.parametrize(
    ("agent", "said", "tongue"),
    [
        ({}, "", "en"),
        ({"conversation_config": None}, "", "en"),
        ({"conversation_config": {"agent": {"first_message": 3, "language": ""}}}, "", "en"),
        ({"conversation_config": {"agent": {"first_message": "Hi", "language": "pt_BR"}}}, "Hi", "pt-br"),
    ],
)
def test_what_an_agent_says_first(agent: dict[str, Any], said: str, tongue: str) -> None:
    assert (first_message(agent), language(agent)) == (said, tongue)
