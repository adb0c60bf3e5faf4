"""One call over SIP: a dialog (RFC 3261 12), the network's call behind it, and the callee."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from outdial.lab.carrier.course import Report
from outdial.lab.carrier.endings import GIVEN_UP, HUNG_UP_BY_CALLER, NETWORK_ERROR, TIME_LIMIT, Quirk
from outdial.lab.carrier.network import Live, Network
from outdial.lab.carrier.sip import sdp
from outdial.lab.carrier.sip.answers import final, reason
from outdial.lab.carrier.sip.callee import Callee, Studio
from outdial.lab.carrier.sip.message import MAGIC, Asked, answer, contact_of, host_and_port, new_tag, request, routes_of
from outdial.lab.carrier.sip.quirks import Void, bent
from outdial.lab.carrier.sip.transaction import Repeated, Timers, Transaction
from outdial.lab.carrier.sip.transport import HOST, Doors, Path

ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE")
AUDIO = ("Content-Type", "application/sdp")
NO_PORT = 9
"""Discard: nobody listens there."""

log = logging.getLogger(__name__)


@dataclass
class Trunk:
    """What all calls of the trunk have in common."""

    network: Network
    doors: Doors
    studio: Studio
    timers: Timers = field(default_factory=Timers)


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
        self._callee: Callee | None = None
        """Somebody who will answer."""
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
                self._callee = Callee(self._trunk.studio, self.live.call)
            except OSError:
                log.exception("a call has no port for its audio")
                self._trunk.network.end(self.live, NETWORK_ERROR)
                return
            if self._offer is not None:
                self._callee.agree(self._offer)
        if self._quirk is Quirk.EARLY and self._callee is not None and self._offer is not None:
            self._reply(183, "Session Progress", AUDIO, body=sdp.write(HOST, self._callee.port, self._offer))
            self._callee.ring_aloud()
        else:
            self._reply(180, "Ringing")

    def _answer(self) -> None:
        if self._callee is not None:
            self._callee.pick_up(self._hang_up)
        self._accept(self._invite, self._transaction, self._offer)
        if self._quirk is Quirk.NO_REPLY:
            self._talk()

    def _talk(self) -> None:
        self._silent = self._quirk is Quirk.SILENT
        if self._callee is not None:
            heard = self._quirk not in {Quirk.NO_REPLY, Quirk.SILENT}
            self._callee.talk(self._hang_up, heard=heard)

    def _hang_up(self) -> None:
        """The callee does."""
        self._trunk.network.end(self.live, self.live.ending.cause)

    def _end(self, report: Report) -> None:
        if self._callee is not None:
            self._callee.leave()
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
        if self._callee is not None and self._callee.agreed is None:
            self._take_answer(self._callee, ack)
        if self._farewell is not None:
            self._say_goodbye(self._farewell)
        elif self._callee is not None and not self._callee.talks:
            self._talk()

    def _take_answer(self, callee: Callee, ack: Asked) -> None:
        """The offer was ours, in the 200 (RFC 3261 13.2.1)."""
        try:
            callee.agree(sdp.read(ack.message.body))
        except sdp.NotForUs:
            self._trunk.network.end(self.live, NETWORK_ERROR)

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
        call = self.live.call
        match asked.method:
            case "BYE":
                self._leave()
                transaction.reply(200, self._words(asked, 200, "OK"))
            case _ if call.ended_at is not None:
                transaction.reply(481, self._words(asked, 481, "Call/Transaction Does Not Exist"))
            case "INVITE" | "UPDATE" if call.answered_at is None:  # RFC 3261 14.2
                transaction.reply(500, self._words(asked, 500, "Server Internal Error", ("Retry-After", "1")))
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
        if self._silent or self._unacknowledged:  # it was over before, and nobody would say so any more
            self._stop_waiting()
            self.forget()

    def _change(self, asked: Asked, transaction: Transaction) -> None:
        try:
            offer = sdp.read(asked.message.body)
        except sdp.NotForUs:
            transaction.reply(488, self._words(asked, 488, "Not Acceptable Here"))
            return
        self._target = contact_of(asked) or self._target
        if self._callee is not None:
            self._callee.agree(offer)
        self._accept(asked, transaction, offer)

    # --- speaking SIP

    def _reply(self, code: int, phrase: str, *headers: tuple[str, str], body: bytes = b"") -> None:
        told = [*headers, ("Contact", self._contact)] if code < 300 else headers
        self._transaction.reply(code, self._words(self._invite, code, phrase, *told, body=body))

    def _accept(self, asked: Asked, transaction: Transaction, offer: sdp.Offer | None) -> None:
        """200, with our side of the audio, until it is acknowledged."""
        body = sdp.write(HOST, self._callee.port if self._callee else NO_PORT, offer)
        response = self._words(asked, 200, "OK", ("Contact", self._contact), ALLOW, AUDIO, body=body)
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

    def _stop_waiting(self) -> None:
        for waiting in self._unacknowledged.values():
            waiting.stop()
        self._unacknowledged.clear()

    def close(self) -> None:
        """The network ends: without a word."""
        if self._callee is not None:
            self._callee.leave()
        self._stop_waiting()
