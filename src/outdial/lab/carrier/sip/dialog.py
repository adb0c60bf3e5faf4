"""One call over SIP: a dialog (RFC 3261 12), the network's call behind it, and who answers it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path as File

from outdial.lab.carrier.course import Report
from outdial.lab.carrier.ear import Ear
from outdial.lab.carrier.endings import GIVEN_UP, HUNG_UP_BY_CALLER, NETWORK_ERROR, TIME_LIMIT, Quirk
from outdial.lab.carrier.g711 import LAWS
from outdial.lab.carrier.network import Live, Network
from outdial.lab.carrier.person import Manners, Voice, machine, person
from outdial.lab.carrier.rtp import Pacer, Rtp
from outdial.lab.carrier.sip import sdp
from outdial.lab.carrier.sip.answers import final, reason
from outdial.lab.carrier.sip.message import (
    MAGIC,
    Asked,
    Headers,
    answer,
    contact_of,
    host_and_port,
    new_tag,
    request,
    routes_of,
)
from outdial.lab.carrier.sip.quirks import Void, bent
from outdial.lab.carrier.sip.transaction import Repeated, Timers, Transaction
from outdial.lab.carrier.sip.transport import HOST, Doors, Path
from outdial.lab.carrier.weather import Weather

ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE")
AUDIO = ("Content-Type", "application/sdp")

log = logging.getLogger(__name__)


@dataclass
class Trunk:
    """What all calls of the trunk have in common."""

    network: Network
    doors: Doors
    weather: Weather
    manners: Manners
    timers: Timers = field(default_factory=Timers)
    pacer: Pacer = field(default_factory=Pacer)
    voices: dict[str, Voice] = field(default_factory=dict)
    """By codec; without one nobody says a word."""
    audio: File | None = None
    """A folder for what callees heard."""


class Dialog:
    """A `Caller` of the network."""

    live: Live

    def __init__(
        self,
        trunk: Trunk,
        asked: Asked,
        transaction: Transaction,
        offer: sdp.Offer | None,
        *,
        number: str,
        quirk: Quirk,
    ) -> None:
        self._trunk = trunk
        self._invite = asked
        self._transaction = transaction
        self._path = transaction.path
        self._offer = offer
        self._number = number
        self._quirk = quirk
        self.tag = new_tag()
        self._cseq = asked.cseq.sequence
        self._target = contact_of(asked)
        self._unacknowledged: dict[int, Repeated] = {}
        """By CSeq: our 200s to INVITEs."""
        self._ear = Ear(keeps=trunk.audio is not None)
        self._rtp: Rtp | None = None
        self._talking: asyncio.Task[None] | None = None
        self._farewell: Report | None = None
        """How it ended, where a BYE is to tell: that waits until our answer was acknowledged (RFC 3261 15)."""
        self._left = False
        """The caller said BYE."""
        self._silent = False
        """Nothing is said or heard any more (0903)."""
        self.ask: Callable[[str, bytes, Path, Callable[[], None]], None]
        """Sends a request of ours; given by the front."""
        self.forget: Callable[[], None]
        """Nothing follows in this dialog; given by the front."""

    # --- told by the network

    def tell(self, report: Report) -> None:
        match report.event:
            case "ringing":
                self._ring()
            case "answered":
                self._answer()
            case _:
                self._end(report)

    def _ring(self) -> None:
        if self.live.ending.answers:
            try:
                self._rtp = Rtp(self._trunk.pacer, self._trunk.weather, self._ear.hear)
            except OSError:
                log.exception("a call has no port for its audio")
                self._trunk.network.end(self.live, NETWORK_ERROR)
                return
            self._agree(self._offer)
        if self._quirk is Quirk.EARLY and self._rtp is not None and self._offer is not None:
            self._ring_aloud(self._rtp, self._offer)
        else:
            self._reply(180, "Ringing")

    def _ring_aloud(self, rtp: Rtp, offer: sdp.Offer) -> None:
        self._reply(183, "Session Progress", AUDIO, body=sdp.write(HOST, rtp.port, offer))
        rtp.play(self._voice(offer).ringback)
        rtp.start()

    def _answer(self) -> None:
        if self._rtp is not None:
            self._rtp.hush()
        self._accept(self._invite, self._transaction, self._offer)
        if self._quirk is Quirk.NO_REPLY:
            self._start_talk()

    def _end(self, report: Report) -> None:
        self._hush()
        if report.answered_at is None:
            code, phrase = final(report)
            self._reply(code, phrase, reason(report))
        elif self._silent and not self._left:
            return  # whoever calls may still say BYE, and is not answered
        elif not self._left and self._quirk is not Quirk.NO_REPLY:
            self._farewell = report
            if not self._unacknowledged:
                self._say_goodbye(report)
            return
        self._stop_waiting()
        self.forget()

    # --- told by the caller

    def acknowledged(self, ack: Asked) -> None:
        """Our answer was heard."""
        waiting = self._unacknowledged.pop(ack.cseq.sequence, None)
        if waiting is None:
            return
        waiting.stop()
        if self._offer is None and ack.message.body:
            try:
                self._agree(sdp.read(ack.message.body))
            except sdp.NotForUs:
                self._trunk.network.end(self.live, NETWORK_ERROR)
        if self._farewell is not None:
            self._say_goodbye(self._farewell)
        elif self._talking is None:
            self._start_talk()

    def cancelled(self) -> None:
        """The caller gives up; where somebody has answered it is too late for that (RFC 3261 9.2)."""
        if self.live.call.answered_at is None:
            self._trunk.network.end(self.live, GIVEN_UP)

    def asked(self, asked: Asked, transaction: Transaction) -> None:
        """A request within the dialog."""
        if asked.cseq.sequence < self._cseq:
            transaction.reply(500, self._words(asked, 500, "Server Internal Error"))  # RFC 3261 12.2.2
            return
        self._cseq = asked.cseq.sequence
        match asked.method:
            case "BYE":
                self._leave()
                transaction.reply(200, self._words(asked, 200, "OK"))
            case "INVITE" | "UPDATE" if asked.message.body:
                self._change(asked, transaction)
            case "INVITE":
                self._accept(asked, transaction, None)
            case "UPDATE" | "OPTIONS" | "INFO":
                transaction.reply(200, self._words(asked, 200, "OK", ALLOW))
            case _:
                transaction.reply(405, self._words(asked, 405, "Method Not Allowed", ALLOW))

    def way(self, path: Path) -> Path:
        """How answers leave in this dialog."""
        return Void(path) if self._silent else bent(path, self._quirk)

    def _leave(self) -> None:
        self._left = True
        answered = self.live.call.answered_at is not None
        self._trunk.network.end(self.live, HUNG_UP_BY_CALLER if answered else GIVEN_UP)
        if self._silent:
            self.forget()

    def _change(self, asked: Asked, transaction: Transaction) -> None:
        try:
            offer = sdp.read(asked.message.body)
        except sdp.NotForUs:
            transaction.reply(488, self._words(asked, 488, "Not Acceptable Here"))
            return
        if self._rtp is None:  # it rings still
            transaction.reply(500, self._words(asked, 500, "Server Internal Error", ("Retry-After", "1")))
            return
        self._target = contact_of(asked) or self._target
        self._agree(offer)
        self._accept(asked, transaction, offer)

    # --- speaking SIP

    def _reply(self, code: int, phrase: str, *headers: tuple[str, str], body: bytes = b"") -> None:
        told = [*headers, ("Contact", self._contact)] if code < 300 else headers
        self._transaction.reply(code, self._words(self._invite, code, phrase, *told, body=body))

    def _accept(self, asked: Asked, transaction: Transaction, offer: sdp.Offer | None) -> None:
        """200, with our side of the audio, until it is acknowledged."""
        body = sdp.write(HOST, self._rtp.port if self._rtp else 9, offer)
        told: Headers = [("Contact", self._contact), ALLOW, AUDIO]
        response = self._words(asked, 200, "OK", *told, body=body)
        transaction.reply(200, response)
        if asked.method == "INVITE":
            path = transaction.path
            again = Repeated(lambda: path.send(response), self._trunk.timers, self._never_acknowledged)
            self._unacknowledged[asked.cseq.sequence] = again

    def _never_acknowledged(self) -> None:
        """Whoever called is gone (RFC 3261 13.3.1.4)."""
        self._unacknowledged.clear()
        if self._farewell is not None:
            self._say_goodbye(self._farewell)
        else:
            self._trunk.network.end(self.live, TIME_LIMIT)

    def _say_goodbye(self, report: Report) -> None:
        invite, branch = self._invite, MAGIC + new_tag()
        routes = routes_of(invite)
        target = self._target or str(invite.message.from_address.uri)
        path = self._trunk.doors.path(self._path, host_and_port(routes[0] if routes else f"<{target}>"))
        via = f"SIP/2.0/{path.name} {HOST}:{self._trunk.doors.port};branch={branch};rport"
        headers = [
            *(("Route", route) for route in routes),
            ("From", f"{invite.header('To')};tag={self.tag}"),
            ("To", invite.header("From")),
            ("Call-ID", invite.call_id),
            ("CSeq", "1 BYE"),
            reason(report),
        ]
        self.ask(branch, request("BYE", target, via=via, headers=headers), path, self.forget)

    def _words(self, asked: Asked, code: int, phrase: str, *headers: tuple[str, str], body: bytes = b"") -> bytes:
        recorded = [("Record-Route", route) for route in routes_of(asked)] if 100 < code < 300 else []
        return answer(asked.message, code, phrase, tag=self.tag, headers=[*recorded, *headers], body=body)

    @property
    def _contact(self) -> str:
        transport = ";transport=tcp" if self._transaction.path.reliable else ""
        return f"<sip:{self._number}@{HOST}:{self._trunk.doors.port}{transport}>"

    # --- audio

    def _agree(self, offer: sdp.Offer | None) -> None:
        if offer is not None and self._rtp is not None:
            self._offer = offer
            self._rtp.agree(offer.place, offer.type, LAWS[offer.codec].silence, offer.events)
            self._ear.agree(offer.codec, offer.type)

    def _start_talk(self) -> None:
        self._silent = self._quirk is Quirk.SILENT
        self._talking = asyncio.get_running_loop().create_task(self._behave(), name=f"talk {self.live.call.call_id}")
        self._talking.add_done_callback(self._talked)

    async def _behave(self) -> None:
        manners, rtp = self._trunk.manners, self._rtp
        if rtp is None or self._offer is None or self._quirk in {Quirk.NO_REPLY, Quirk.SILENT}:
            await asyncio.sleep(manners.talk_secs)
            return
        rtp.start()
        voice = self._voice(self._offer)
        behaves: Awaitable[None] = (
            machine(rtp, self._ear, voice, manners)
            if self.live.call.machine
            else person(rtp, self._ear, voice, manners, key=self._number[-1])
        )
        await behaves

    def _voice(self, offer: sdp.Offer) -> Voice:
        return self._trunk.voices.get(offer.codec, Voice())

    def _talked(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            # the edge of one talk: the call ends, the others go on
            log.error("a callee failed", exc_info=error)
        self._trunk.network.end(self.live, self.live.ending.cause)

    def _hush(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
        if self._rtp is not None:
            self._rtp.close()
        if self._trunk.audio is not None and self._rtp is not None and self._talking is not None:
            call = self.live.call
            try:
                self._ear.write(self._trunk.audio / f"{call.number.removeprefix('+')}-{call.nth}.wav")
            except OSError:
                log.exception("what a callee heard could not be kept")

    def _stop_waiting(self) -> None:
        for waiting in self._unacknowledged.values():
            waiting.stop()
        self._unacknowledged.clear()

    def close(self) -> None:
        """The network ends: without a word."""
        self._hush()
        self._stop_waiting()
