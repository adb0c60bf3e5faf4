"""The network's SIP side: requests, and what is done about each."""

import logging
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from sipmessage import Response

from outdial.lab.carrier.endings import quirk
from outdial.lab.carrier.network import Order
from outdial.lab.carrier.sip import sdp
from outdial.lab.carrier.sip.dialog import ALLOW, Dialog, Trunk
from outdial.lab.carrier.sip.digest import Digest, Verdict
from outdial.lab.carrier.sip.message import NEEDED, Asked, Malformed, answer, new_tag, note_source, read, way_back
from outdial.lab.carrier.sip.quirks import bent
from outdial.lab.carrier.sip.transaction import Asking, Transaction
from outdial.lab.carrier.sip.transport import DatagramPath, Path

KEY_HEADER = "X-Outdial-Call-Key"
RETRY_AFTER = "1"
"""Seconds; SIP knows no part of one."""
METHODS = frozenset({"INVITE", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE"})

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER = re.compile(r"\+?([1-9][0-9]{3,14})")
_UNIQUE = tuple[object, ...]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an INVITE is no call; nothing is dialled."""

    code: int
    phrase: str
    headers: tuple[tuple[str, str], ...] = ()


class SipFront:
    """What comes in at the doors is taken here."""

    def __init__(self, digest: Digest | None = None) -> None:
        self.trunk: Trunk
        """Given before the doors open."""
        self._digest = digest
        self._transactions: dict[_UNIQUE, Transaction] = {}
        self._asking: dict[str, Asking] = {}
        """By branch."""
        self._dialogs: dict[tuple[str, str], Dialog] = {}
        """By Call-ID and our tag."""
        self._invites: dict[_UNIQUE, Dialog] = {}
        """By the transaction of their INVITE, for CANCEL."""

    def receive(self, data: bytes, path: Path) -> None:
        """One message, from anybody, whatever it is."""
        try:
            self._take(data, path)
        except Exception:
            # the edge of one message: the others go on
            log.exception("a message could not be handled")

    def close(self) -> None:
        """Stop every timer and every call; may be called twice."""
        for dialog in self._dialogs.values():
            dialog.close()
        for transaction in self._transactions.values():
            transaction.close()
        for asking in self._asking.values():
            asking.close()

    def _take(self, data: bytes, path: Path) -> None:
        try:
            message = read(data)
        except Malformed as wrong:
            self._complain(wrong, path)
            return
        if isinstance(message, Response):
            self._answered(message)
            return
        if isinstance(path, DatagramPath):
            source, path = path.place, path.to(way_back(message, path.place))
        else:
            source = path.place
        note_source(message, source)
        if message.method == "ACK":
            self._acknowledged(message)
        elif (known := self._transactions.get((*message.transaction, message.method))) is not None:
            known.repeat()
        else:
            self._begin(message, path)

    def _complain(self, wrong: Malformed, path: Path) -> None:
        """400, where it can be told to somebody."""
        request = wrong.request
        if request is not None and request.method != "ACK" and all(request.headers.get(name) for name in NEEDED):
            path.send(answer(request, 400, "Bad Request", tag=new_tag()))

    def _answered(self, response: Response) -> None:
        try:
            branch = response.via[0].parameters.get("branch") or ""
        except (ValueError, TypeError, IndexError):
            return
        asking = self._asking.get(branch)
        if asking is not None:
            asking.answered(response.code)

    def _acknowledged(self, ack: Asked) -> None:
        transaction = self._transactions.get((*ack.transaction, "INVITE"))
        if transaction is not None:
            transaction.acknowledged()
        dialog = self._dialogs.get((ack.call_id, ack.to_tag))
        if dialog is not None:
            dialog.acknowledged(ack)

    def _begin(self, asked: Asked, path: Path) -> None:
        """A request that was not seen before."""
        dialog = self._dialogs.get((asked.call_id, asked.to_tag)) if asked.to_tag else None
        unique = (*asked.transaction, asked.method)
        invited = self._invites.get(asked.transaction) if asked.method == "CANCEL" else None
        for known in (dialog, invited):
            path = path if known is None else known.way(path)
        transaction = self._transactions[unique] = Transaction(
            path, self.trunk.timers, invite=asked.method == "INVITE", over=lambda: self._forget(unique)
        )
        if invited is not None:
            transaction.reply(200, answer(asked.message, 200, "OK", tag=invited.tag))
            invited.cancelled()
        elif dialog is not None and asked.method in METHODS | {"PRACK", "REFER", "NOTIFY", "MESSAGE"}:
            dialog.asked(asked, transaction)
        elif asked.method == "INVITE" and not asked.to_tag:
            self._invite(asked, transaction)
        elif asked.method == "OPTIONS" and not asked.to_tag:
            self._refuse(asked, transaction, Refusal(200, "OK", (ALLOW, ("Accept", "application/sdp"))))
        elif asked.method in METHODS:
            self._refuse(asked, transaction, Refusal(481, "Call/Transaction Does Not Exist"))
        else:
            self._refuse(asked, transaction, Refusal(405, "Method Not Allowed", (ALLOW,)))

    def _forget(self, unique: _UNIQUE) -> None:
        self._transactions.pop(unique, None)
        if unique[-1] == "INVITE":
            self._invites.pop(unique[:-1], None)

    # --- a new call

    def _invite(self, asked: Asked, transaction: Transaction) -> None:
        refusal = self._may_not(asked)
        number = _NUMBER.fullmatch((asked.message.uri.user or "").partition(";")[0])
        try:
            offer = sdp.read(asked.message.body) if asked.message.body else None
        except sdp.NotForUs:
            offer, refusal = None, refusal or Refusal(488, "Not Acceptable Here")
        if number is None:
            refusal = refusal or Refusal(484, "Address Incomplete", (("Reason", "Q.850;cause=28"),))
        if refusal is not None or number is None:
            self._refuse(asked, transaction, refusal or Refusal(484, "Address Incomplete"))
            return
        self._place(asked, transaction, "+" + number[1], offer)

    def _place(self, asked: Asked, transaction: Transaction, number: str, offer: sdp.Offer | None) -> None:
        what_else = quirk(number)
        dialog = Dialog(self.trunk, asked, transaction, offer, number=number, quirk=what_else)
        key = asked.header(KEY_HEADER)
        expires = asked.number("Expires")
        order = Order(
            call_key=key if _KEY.fullmatch(key) else asked.call_id,
            number=number,
            ring_secs=math.inf if expires is None else expires,
            talk_secs=None,
        )
        live = self.trunk.network.place(order, dialog)
        if live is None:
            self._refuse(asked, transaction, Refusal(503, "Service Unavailable", (("Retry-After", RETRY_AFTER),)))
            return
        transaction.path = bent(transaction.path, what_else)
        transaction.reply(100, answer(asked.message, 100, "Trying"))
        dialog.live, dialog.ask = live, self._ask
        dialog.forget = lambda: self._over(asked, dialog)
        self._dialogs[asked.call_id, dialog.tag] = self._invites[asked.transaction] = dialog

    def _over(self, asked: Asked, dialog: Dialog) -> None:
        self._dialogs.pop((asked.call_id, dialog.tag), None)

    def _may_not(self, asked: Asked) -> Refusal | None:
        """What is wrong with an INVITE before anybody looks at whom it calls."""
        wanted = [
            option for line in asked.message.headers.getlist("Require") for option in line.split(",") if option.strip()
        ]
        if wanted:
            return Refusal(420, "Bad Extension", (("Unsupported", ", ".join(option.strip() for option in wanted)),))
        if asked.message.body and not asked.header("Content-Type").lower().startswith("application/sdp"):
            return Refusal(415, "Unsupported Media Type", (("Accept", "application/sdp"),))
        return self._unknown(self._digest, asked) if self._digest is not None else None

    def _unknown(self, digest: Digest, asked: Asked) -> Refusal | None:
        """Whoever calls must say who it is."""
        try:
            verdict = digest.judge(asked.method, asked.header("Authorization"))
        except ValueError:
            return Refusal(400, "Bad Request")
        match verdict:
            case Verdict.NONE | Verdict.STALE:
                challenge = digest.challenge(stale=verdict is Verdict.STALE)
                return Refusal(401, "Unauthorized", (("WWW-Authenticate", challenge),))
            case Verdict.WRONG:
                return Refusal(403, "Forbidden")
            case Verdict.RIGHT:
                return None

    def _refuse(self, asked: Asked, transaction: Transaction, refusal: Refusal) -> None:
        response = answer(asked.message, refusal.code, refusal.phrase, tag=new_tag(), headers=refusal.headers)
        transaction.reply(refusal.code, response)

    def _ask(self, branch: str, request: bytes, path: Path, over: Callable[[], None]) -> None:
        """Send a request of ours; `over` is called when it was answered, or nobody will."""

        def done() -> None:
            del self._asking[branch]
            over()

        self._asking[branch] = Asking(request, path, self.trunk.timers, done)
