"""What people and machines say: prepared once, in every codec, before the first call."""

import asyncio
import importlib.util
import math
import struct

from outdial.lab.carrier.course import MACHINE_SAYS, PERSON_SAYS
from outdial.lab.carrier.g711 import LAWS, RATE
from outdial.lab.carrier.person import Voice

LOUD = 9_000
"""Of tones: the peak of a sample."""
BEEP = (1_000, 0.4)
"""Hertz and seconds: after it a machine records."""
HUM = (220, 1.0)
"""Instead of a voice, where there is none."""
RINGBACK = (425, 1.0)
"""As it is heard before the answer, in most of Europe (ITU-T E.180)."""
PREPARED_WITHIN_SECS = 15.0


async def prepare() -> dict[str, Voice]:
    """By codec."""
    person, machine = await _spoken(PERSON_SAYS, MACHINE_SAYS)
    machine += bytes(RATE // 5 * 2) + tone(*BEEP)
    ringback = tone(*RINGBACK)
    return {name: Voice(*(law.encode(pcm) for pcm in (person, machine, ringback))) for name, law in LAWS.items()}


async def _spoken(*texts: str) -> list[bytes]:
    """Each as 16-bit mono at RATE; a hum where this machine has no voice."""
    if importlib.util.find_spec("espeakng_loader") is None:
        return [tone(*HUM)] * len(texts)
    # the one thing that is borrowed from the rest: a voice is no network
    from outdial.agent.voice import Voice as Speaker
    from outdial.agent.voice import VoiceGone
    from outdial.runtime.log import configure

    configure()
    speaker = Speaker()
    try:
        async with asyncio.timeout(PREPARED_WITHIN_SECS):
            return [await speaker.say(text, language="en", rate=RATE) for text in texts]
    except (TimeoutError, VoiceGone):
        return [tone(*HUM)] * len(texts)
    finally:
        await speaker.close()


def tone(hertz: float, seconds: float) -> bytes:
    """A sine as 16-bit mono."""
    step = 2 * math.pi * hertz / RATE
    return b"".join(struct.pack("<h", round(LOUD * math.sin(step * n))) for n in range(int(RATE * seconds)))
