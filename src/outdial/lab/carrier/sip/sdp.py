"""What is agreed about audio: one stream of G.711 over plain RTP, and keys as events (RFC 3264, 3551, 4733, 8866)."""

import re
from dataclasses import dataclass

CODECS = {0: "PCMU", 8: "PCMA"}
"""By their static payload types."""
EVENTS = 101
"""The payload type of keys, where the choice is ours."""

_AUDIO = re.compile(r"m=audio ([0-9]{1,5})(?:/[0-9]+)? (\S+) ([0-9 ]+)")
_MAP = re.compile(r"a=rtpmap:([0-9]{1,3}) ([A-Za-z0-9-]+)/([0-9]+)")
_PLACE = re.compile(r"c=IN IP4 ([0-9.]{7,15})")


class NotForUs(Exception):
    """An offer without audio that we can speak: 488."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Where the other side wants its audio, and how."""

    place: tuple[str, int]
    codec: str
    """A value of CODECS."""
    type: int
    """Its payload type."""
    events: int | None
    """The payload type of keys, None where there are none."""
    plays: bool
    """It wants to hear us: no `recvonly` turned round, no hold."""


def read(body: bytes) -> Offer:
    """An offer, or the answer to ours; raises NotForUs."""
    session, place, chosen = _sections(body.decode("utf-8", "replace"))
    audio = _AUDIO.match(chosen[0]) if chosen else None
    if audio is None or not place or audio[2] != "RTP/AVP" or not 0 < int(audio[1]) < 65_536:
        raise NotForUs
    maps = {int(found[1]): (found[2].upper(), int(found[3])) for line in chosen if (found := _MAP.match(line))}
    kinds = [int(kind) for kind in audio[3].split()]
    names = {kind: maps.get(kind, (CODECS.get(kind, ""), 8_000)) for kind in kinds}
    ours = [kind for kind in kinds if names[kind] in {("PCMU", 8_000), ("PCMA", 8_000)}]
    if not ours:
        raise NotForUs
    events = next((kind for kind in kinds if names[kind] == ("TELEPHONE-EVENT", 8_000)), None)
    held = any(line in {"a=sendonly", "a=inactive"} for line in (*session, *chosen)) or place == "0.0.0.0"  # noqa: S104 - no bind: hold, as RFC 2543 said it
    return Offer((place, int(audio[1])), names[ours[0]][0], ours[0], events, plays=not held)


def _sections(text: str) -> tuple[list[str], str, list[str]]:
    """The session's lines, where audio goes, and the lines of the first audio that is wanted."""
    before, *media = re.split(r"(?m)^(?=m=)", text.replace("\r\n", "\n"))
    session = before.splitlines()
    for section in media:
        if section.startswith("m=audio ") and not section.startswith("m=audio 0 "):
            found = _PLACE.search(section) or _PLACE.search(before)
            return session, found[1] if found else "", section.splitlines()
    return session, "", []


def write(host: str, port: int, offer: Offer | None, *, version: int = 1) -> bytes:
    """Our answer; None: our offer, with everything that we speak."""
    kinds = CODECS if offer is None else {offer.type: offer.codec}
    events = EVENTS if offer is None else offer.events
    lines = [
        "v=0", f"o=- {port} {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(str(kind) for kind in (*kinds, *(() if events is None else (events,))))}",
        *(f"a=rtpmap:{kind} {name}/8000" for kind, name in kinds.items()),
    ]  # fmt: skip
    if events is not None:
        lines += [f"a=rtpmap:{events} telephone-event/8000", f"a=fmtp:{events} 0-15"]
    lines += ["a=ptime:20", "a=sendrecv" if offer is None or offer.plays else "a=recvonly"]
    return "\r\n".join([*lines, ""]).encode()
