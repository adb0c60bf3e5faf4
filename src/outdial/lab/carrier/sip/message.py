"""SIP messages: read as far as an answer needs it, and written; the grammar is the library `sipmessage`'s."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sipmessage import Address, CSeq, Message, Request, Response, Via

NEEDED = ("Via", "From", "To", "Call-ID", "CSeq")
"""What every message has, and every answer repeats (RFC 3261 8.2.6.2)."""
MAGIC = "z9hG4bK"
"""How the branch of a caller begins who speaks RFC 3261."""

Headers = Iterable[tuple[str, str]]
Address_ = tuple[str, int]

_FOLD = re.compile(rb"\r\n[ \t]+")
_NAME_SPACE = re.compile(rb"(?m)^([^\s:]+)[ \t]+:")
_RPORT = re.compile(r";[ \t]*rport(?=[ \t]*(?:;|,|$))", re.IGNORECASE)


class Malformed(Exception):
    """No message that makes sense; `request` is what there is of it, where it can be answered."""

    def __init__(self, why: str, request: Request | None = None) -> None:
        super().__init__(why)
        self.request = request


@dataclass(slots=True)
class Asked:
    """A request, and what is looked at again and again."""

    message: Request
    via: Via
    cseq: CSeq
    call_id: str
    from_tag: str
    to_tag: str

    @property
    def method(self) -> str:
        """In capitals, as it came."""
        return self.message.method

    @property
    def transaction(self) -> tuple[object, ...]:
        """What its retransmissions, its ACK and its CANCEL have in common (RFC 3261 17.2.3), beside the method."""
        branch = self.via.parameters.get("branch") or ""
        if branch.startswith(MAGIC):
            return branch, self.via.host, self.via.port
        return self.call_id, self.cseq.sequence, self.from_tag, str(self.via)

    def header(self, name: str) -> str:
        """The first of that name, "" for none."""
        return self.message.headers.get(name) or ""

    def number(self, name: str) -> int | None:
        """A header that is a whole number, None where there is none or it is something else."""
        told = self.header(name).partition(";")[0].strip()
        return int(told) if told.isascii() and told.isdigit() and len(told) < 10 else None


def read(data: bytes) -> Asked | Response:
    """A message; raises Malformed."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        raise Malformed("no end of the headers")
    head = _NAME_SPACE.sub(rb"\1:", _FOLD.sub(b" ", head))
    try:
        message = Message.parse(head + blank + body)
    except (ValueError, TypeError) as wrong:  # TypeError: a parameter that is called `self`
        raise Malformed(str(wrong)) from None
    if isinstance(message, Response):
        return message
    if any(message.headers.get(name) is None for name in NEEDED):
        raise Malformed("a header that is needed is missing")
    try:
        return _asked(message)
    except (ValueError, TypeError, IndexError) as wrong:
        raise Malformed(str(wrong), message) from None


def _asked(message: Request) -> Asked:
    length = message.content_length
    if length is not None:
        if not 0 <= length <= len(message.body):
            raise ValueError("Content-Length is more than there is")
        message.body = message.body[:length]  # RFC 3261 18.3: what follows is no part of it
    cseq = message.cseq
    if cseq.method != message.method:
        raise ValueError("CSeq is of another method")
    return Asked(
        message=message,
        via=Via.parse_many(message.headers["Via"])[0],
        cseq=cseq,
        call_id=message.call_id,
        from_tag=message.from_address.parameters.get("tag") or "",
        to_tag=message.to_address.parameters.get("tag") or "",
    )


def answer(
    request: Request, code: int, phrase: str, *, tag: str = "", headers: Headers = (), body: bytes = b""
) -> bytes:
    """A response as it leaves; `tag` is put to To where it has none."""
    response = Response(code, phrase, body)
    for name in NEEDED:
        response.headers.setlist(name, list(request.headers.getlist(name)))
    if tag and ";tag=" not in (to := request.headers["To"]).lower():
        response.headers.set("To", f"{to};tag={tag}")
    return _written(response, headers)


def request(method: str, uri: str, *, via: str, headers: Headers) -> bytes:
    """A request of ours as it leaves; `uri` as its owner wrote it."""
    lines = [f"{method} {uri} SIP/2.0", f"Via: {via}", "Max-Forwards: 70"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()


def _written(message: Response, headers: Headers) -> bytes:
    for name, value in headers:
        message.headers.add(name, value)
    message.headers.set("Content-Length", str(len(message.body)))
    return bytes(message)


def note_source(asked: Asked, source: Address_) -> None:
    """Write into its Via where it really came from (RFC 3261 18.2.1, RFC 3581)."""
    host, port = source
    values = asked.message.headers.getlist("Via")
    first, comma, others = values[0].partition(",")
    if asked.via.host != host or "rport" in asked.via.parameters:
        first = _RPORT.sub(f";rport={port}", first) + f";received={host}"
    values[0] = first + comma + others


def way_back(asked: Asked, source: Address_) -> Address_:
    """Where a response over UDP goes (RFC 3261 18.2.2, RFC 3581 4)."""
    host, port = source
    return (host, port) if "rport" in asked.via.parameters else (host, asked.via.port or 5060)


def contact_of(asked: Asked) -> str:
    """The URI at which the other side wants its requests in the dialog; "" for none."""
    try:
        contacts = asked.message.contact
    except (ValueError, TypeError):
        return ""
    return str(contacts[0].uri) if contacts else ""


def routes_of(asked: Asked) -> list[str]:
    """The way of our requests in the dialog, as it was recorded (RFC 3261 12.1.1)."""
    return list(asked.message.headers.getlist("Record-Route"))


def host_and_port(address: str) -> Address_ | None:
    """Where a message to this URI, or by this route, goes; None where that is not to be seen without DNS."""
    try:
        uri = Address.parse(address.partition(",")[0]).uri
    except (ValueError, TypeError):
        return None
    host = uri.host.strip("[]")
    return (host, uri.port or 5060) if re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]+", host) else None


def new_tag() -> str:
    """For To, and for branches."""
    return secrets.token_hex(6)
