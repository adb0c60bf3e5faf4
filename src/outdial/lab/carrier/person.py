"""Who answers: people, who let the agent speak first, and machines, which do not."""

import asyncio
import contextlib
from dataclasses import dataclass

from outdial.lab.carrier.ear import Ear
from outdial.lab.carrier.rtp import Rtp


@dataclass(frozen=True, slots=True)
class Manners:
    """How long people take."""

    talk_secs: float
    """How long they talk, once it is their turn; 0: they hang up as soon as they have answered."""
    listen_secs: float
    """How long, at most, they wait for the agent to begin and come to an end."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What is said, in the codec of the call."""

    person: bytes = b""
    machine: bytes = b""
    """The greeting, and the beep behind it."""
    ringback: bytes = b""
    """What is heard while it rings, where anything is."""


async def person(rtp: Rtp, ear: Ear, voice: Voice, manners: Manners, *, key: str) -> None:
    """Listen, press a key, speak; returns when they hang up."""
    if manners.talk_secs == 0:
        return
    await ear.until_spoken(within=manners.listen_secs)
    loop = asyncio.get_running_loop()
    over_at = loop.time() + manners.talk_secs
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(over_at):
            await rtp.press(key)
            await rtp.say(voice.person)
    await asyncio.sleep(over_at - loop.time())


async def machine(rtp: Rtp, ear: Ear, voice: Voice, manners: Manners) -> None:
    """Greet, beep, listen; returns when it hangs up."""
    if manners.talk_secs == 0:
        return
    await rtp.say(voice.machine)
    ear.forget()
    await ear.until_spoken(within=manners.listen_secs)
    await asyncio.sleep(manners.talk_secs)
