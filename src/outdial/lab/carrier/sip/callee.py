"""Whoever answers one call: the audio that was agreed, the ear, and the person or machine behind it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from outdial.lab.carrier.course import Call
from outdial.lab.carrier.ear import Ear
from outdial.lab.carrier.g711 import LAWS
from outdial.lab.carrier.person import Manners, Voice, machine, person
from outdial.lab.carrier.rtp import Pacer, Rtp
from outdial.lab.carrier.sip.sdp import Offer
from outdial.lab.carrier.weather import Weather

LEAST_PATIENCE_SECS = 3.0
"""Whoever answers and hears nobody waits at least so long: an ACK may be late."""

log = logging.getLogger(__name__)


@dataclass
class Studio:
    """What all callees have in common."""

    weather: Weather
    manners: Manners
    pacer: Pacer = field(default_factory=Pacer)
    voices: dict[str, Voice] = field(default_factory=dict)
    """By codec; without one nobody says a word."""
    kept: Path | None = None
    """A folder for what callees heard."""


class Callee:
    """One of them; takes a port when made, and raises OSError where there is none."""

    def __init__(self, studio: Studio, call: Call) -> None:
        self._studio = studio
        self._call = call
        self._ear = Ear(keeps=studio.kept is not None)
        self._rtp = Rtp(studio.pacer, studio.weather, self._ear.hear)
        self._talking: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self.agreed: Offer | None = None
        """What the caller wants to hear, and where."""

    @property
    def port(self) -> int:
        """Where the caller's audio is heard."""
        return self._rtp.port

    @property
    def talks(self) -> bool:
        """Whether it was told to."""
        return self._talking is not None

    def agree(self, offer: Offer) -> None:
        """Speak so from now on."""
        self.agreed = offer
        self._rtp.agree(offer.place, offer.type, LAWS[offer.codec].silence, offer.events)
        self._ear.agree(offer.codec, offer.type)

    def ring_aloud(self) -> None:
        """Let the caller hear that it rings."""
        self._rtp.play(self._voice.ringback)
        self._rtp.start()

    def pick_up(self, done: Callable[[], None]) -> None:
        """It rings no longer. If no talk begins, because the caller is gone, the callee hangs up in the end: `done`."""
        self._rtp.hush()
        manners = self._studio.manners
        secs = max(manners.listen_secs + manners.talk_secs, LEAST_PATIENCE_SECS)
        self._patience = asyncio.get_running_loop().call_later(secs, done)

    def talk(self, done: Callable[[], None], *, heard: bool) -> None:
        """Behave; `done` is called when the callee hangs up. Not `heard`: nothing gets to or from the caller."""
        self._stop_waiting()
        behaves = self._behave() if heard and self.agreed is not None else asyncio.sleep(self._studio.manners.talk_secs)
        self._talking = asyncio.get_running_loop().create_task(behaves, name=f"talk {self._call.call_id}")
        self._talking.add_done_callback(lambda task: self._talked(task, done))

    async def _behave(self) -> None:
        self._rtp.start()
        manners = self._studio.manners
        if self._call.machine:
            await machine(self._rtp, self._ear, self._voice, manners)
        else:
            await person(self._rtp, self._ear, self._voice, manners, key=self._call.number[-1])

    @property
    def _voice(self) -> Voice:
        return self._studio.voices.get(self.agreed.codec, Voice()) if self.agreed is not None else Voice()

    def _talked(self, task: "asyncio.Task[None]", done: Callable[[], None]) -> None:
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            # the edge of one talk: the call ends, the others go on
            log.error("a callee failed", exc_info=error)
        done()

    def leave(self) -> None:
        """The call is over; may be called twice."""
        self._stop_waiting()
        self._rtp.close()
        if self._talking is not None and self._studio.kept is not None:
            self._keep(self._studio.kept)
        if self._talking is not None:
            self._talking.cancel()
            self._talking = None

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()

    def _keep(self, folder: Path) -> None:
        path = folder / f"{self._call.number.removeprefix('+')}-{self._call.nth}.wav"
        try:
            self._ear.write(path)
        except OSError:
            log.exception("what a callee heard could not be kept")
