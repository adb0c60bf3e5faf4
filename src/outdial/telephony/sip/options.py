"""Asks a trunk whether it is there (OPTIONS, RFC 3261 11), over a socket of its own: no stack, no call, no side effect.

Never sent while calls go over the trunk: by the doctor, and while it is halted.
"""

import asyncio
import ipaddress
import re
import secrets
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from outdial.domain.errors import BadSetting, Invalid
from outdial.ports.provider import Reach
from outdial.telephony.sip.config import PORTS, Config, Trunk, read, read_trunk

ANSWER_SECS = 4.0
"""How long a trunk may take, from looking up its name to its answer."""
AGAIN_SECS = (0.5, 1.0, 2.0)
"""When the packet is sent again over UDP, each after the one before (RFC 3261 17.1.2.1)."""
MOST = 65_536
"""Bytes of an answer that are read."""
UNWELL = frozenset({408})
"""Answers, beside all of 500 to 599, of a trunk that is there and can do nothing."""

_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})")
_CALL_ID = re.compile(rb"^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Question:
    """One OPTIONS."""

    call_id: str
    text: Callable[[str, tuple[str, int]], bytes]
    """The message, for a transport and our own address."""

    def status(self, data: bytes) -> int | None:
        """Of the answer to it among what came; None if there is none."""
        for message in data.split(b"\r\n\r\n"):
            status, call_id = _STATUS.search(message), _CALL_ID.search(message)
            if status is not None and call_id is not None and call_id[1] == self.call_id.encode():
                return int(status[1])
        return None


async def probe(settings: Mapping[str, Any], number: str, worker: Mapping[str, Any]) -> Reach:
    """A `ports.provider.Probe`: any answer says that the trunk is there, also one that refuses the question."""
    began = time.monotonic()
    try:
        trunk, config = read_trunk(settings), read(worker)
    except Invalid as wrong:
        return Reach(there=False, says=f"it can't be asked: {wrong.message}", do="Correct the number's settings.")
    except BadSetting as wrong:
        return Reach(there=False, says=f"it can't be asked: {wrong}", do="Correct the setting.")
    where = f"{trunk.domain} over {trunk.transport.upper()}"
    if config.interface is None and _on_this_machine(trunk.host):
        # we could ask it, but the stack takes no loopback address of itself
        do = "Set OUTDIAL_SIP_INTERFACE=127.0.0.1, for the server and here: it is reached over the loopback alone."
        return Reach(there=False, says=f"{where} is on this machine, and calls have no way there", do=do)
    try:
        async with asyncio.timeout(ANSWER_SECS):
            status = await _WAYS[trunk.transport](trunk, config, _question(trunk, number))
    except (OSError, TimeoutError) as error:  # a bad certificate and a name without an address are OSErrors too
        says, do = _why(error)
        return Reach(there=False, says=f"{where} does not answer OPTIONS: {says}", do=do)
    took_ms = (time.monotonic() - began) * 1000
    if status in UNWELL or 500 <= status < 600:
        do = "It is there and can't work: ask whoever runs it."
        return Reach(there=False, says=f"{where} answers OPTIONS with {status}", took_ms=took_ms, do=do)
    return Reach(there=True, says=f"{where} answers OPTIONS with {status}", took_ms=took_ms)


def _on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _question(trunk: Trunk, number: str) -> _Question:
    call_id, tag, branch = secrets.token_hex(12), secrets.token_hex(6), secrets.token_hex(8)

    def text(transport: str, ours: tuple[str, int]) -> bytes:
        host = f"[{ours[0]}]" if ":" in ours[0] else ours[0]
        lines = (
            f"OPTIONS sip:{trunk.domain} SIP/2.0",
            f"Via: SIP/2.0/{transport} {host}:{ours[1]};branch=z9hG4bK{branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:{number}@{trunk.domain}>;tag={tag}",
            f"To: <sip:{trunk.domain}>",
            f"Call-ID: {call_id}",
            "CSeq: 1 OPTIONS",
            "Accept: application/sdp",
            "Content-Length: 0",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    return _Question(call_id, text)


# --- the three ways --------------------------------------------------------------------------------------------------


async def _over_udp(trunk: Trunk, config: Config, question: _Question) -> int:
    asking = _Asking(question)
    loop = asyncio.get_running_loop()
    family, address = await _address(trunk, socket.SOCK_DGRAM)
    transport, _ = await loop.create_datagram_endpoint(
        lambda: asking, local_addr=_ours(config, family), remote_addr=address, family=family
    )
    try:
        text = question.text("UDP", transport.get_extra_info("sockname")[:2])
        transport.sendto(text)
        for wait in AGAIN_SECS:
            await asyncio.wait({asking.answer}, timeout=wait)
            if asking.answer.done():
                break
            transport.sendto(text)
        return await asking.answer
    finally:
        transport.close()


class _Asking(asyncio.DatagramProtocol):
    """Waits for the answer."""

    def __init__(self, question: _Question) -> None:
        self._question = question
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        status = self._question.status(data)
        if status is not None and not self.answer.done():
            self.answer.set_result(status)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _over_tcp(trunk: Trunk, config: Config, question: _Question) -> int:
    return await _over_stream("TCP", trunk, config, question, None)


async def _over_tls(trunk: Trunk, config: Config, question: _Question) -> int:
    """With the rules of calls: who vouches is set, or the system's; the name is compared."""
    context = ssl.create_default_context(cafile=config.cafile or None)
    return await _over_stream("TLS", trunk, config, question, context)


async def _over_stream(
    name: str, trunk: Trunk, config: Config, question: _Question, context: ssl.SSLContext | None
) -> int:
    family, address = await _address(trunk, socket.SOCK_STREAM)
    reader, writer = await asyncio.open_connection(
        *address[:2],
        family=family,
        local_addr=_ours(config, family),
        ssl=context,
        server_hostname=trunk.host if context is not None else None,
        limit=MOST,
    )
    try:
        writer.write(question.text(name, writer.get_extra_info("sockname")[:2]))
        came = b""
        while len(came) < MOST and (piece := await reader.read(MOST)):
            came += piece
            whole, end, _ = came.rpartition(b"\r\n\r\n")
            if end and (status := question.status(whole)) is not None:
                return status
        raise ConnectionResetError("the connection ended without an answer")
    finally:
        writer.close()


_WAYS: dict[str, Callable[[Trunk, Config, _Question], Awaitable[int]]] = {
    "udp": _over_udp,
    "tcp": _over_tcp,
    "tls": _over_tls,
}


async def _address(trunk: Trunk, kind: socket.SocketKind) -> tuple[int, Any]:
    """Family and address, the first that the name has."""
    port = trunk.port or PORTS[trunk.transport]
    found = await asyncio.get_running_loop().getaddrinfo(trunk.host.strip("[]"), port, type=kind)
    family, _, _, _, address = found[0]
    return family, cast("tuple[Any, ...]", address)


def _ours(config: Config, family: int) -> tuple[str, int] | None:
    """The address to send from, where the interface is named by it."""
    try:
        ours = ipaddress.ip_address(config.interface or "")
    except ValueError:
        return None
    fits = (ours.version == 6) == (family == socket.AF_INET6)
    return (str(ours), 0) if fits else None


def _why(error: Exception) -> tuple[str, str]:
    """What went wrong, and what to do about it."""
    match error:
        case TimeoutError():
            says = f"nothing came within {ANSWER_SECS:g} s"
            return says, "Does a firewall keep it back, and does the trunk know this machine's address? Try TCP."
        case ConnectionRefusedError():
            return "nobody listens there", "Look at address, port and transport; ask whoever runs it."
        case socket.gaierror():
            return "its name has no address", "Look at the address, and at this machine's name servers."
        case ssl.SSLCertVerificationError():
            says = f"its certificate is not accepted ({error.verify_message})"
            return says, "Name the trunk as its certificate does, or who vouches for it (OUTDIAL_SIP_CAFILE)."
        case ssl.SSLError():
            return f"no TLS there ({error.reason})", "Look at port and transport."
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error), "Look at the network."
