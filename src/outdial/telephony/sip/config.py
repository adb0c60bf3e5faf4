"""Settings of SIP trunks: a phone number's, as on the wire, and a call worker's."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from outdial.domain.errors import BadSetting, Invalid
from outdial.ports.lines import LinesTraits

NAME = "sip_trunk"
KEY_HEADER = "X-Outdial-Call-Key"
"""Carries the call_key, so that a call can be found in the logs of both ends."""
DEFAULT_CODECS = ("PCMU/8000", "PCMA/8000")
PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
MOST_HEADERS = 20
"""Of both kinds together."""
LONGEST_VALUE = 256
"""Bytes. Each event of a call repeats our own headers; if they don't fit in its 16 KiB, it tells of no call at all."""

Transport = Literal["udp", "tcp", "tls"]

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
_ADDRESS = re.compile(rf"(?:(sips?):)?({_HOST})(?::([0-9]{{1,5}}))?(?:;transport=(udp|tcp|tls))?", re.IGNORECASE)
_IP = re.compile(r"\[.*\]|[0-9.]+")
_USER = re.compile(r"[^\s\x00-\x1f\x7f\"\\;<>]{1,128}")  # what the stack's account line can carry
_PASSWORD = re.compile(r"[^\x00-\x1f\x7f\"\\]{1,128}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,63}")
_HEADER_VALUE = re.compile(r"[^\x00-\x1f\x7f]*")
# what the stack and we say ourselves; a second one would make the INVITE ambiguous
_OURS = frozenset(
    "via from to contact call-id cseq max-forwards route record-route content-type content-length authorization "
    f"proxy-authorization p-asserted-identity expires supported require allow user-agent {KEY_HEADER.lower()}".split()
)
RATES = {"PCMU/8000": 8_000, "PCMA/8000": 8_000, "G722/8000": 16_000, "opus/48000": 16_000}
"""What a leg runs at, samples a second (G.722's name tells half of what it has, RFC 3551 4.5.2)."""
_CODECS = {"pcmu": "PCMU/8000", "pcma": "PCMA/8000", "g722": "G722/8000", "opus": "opus/48000"}


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that shows itself to nobody."""

    reveal: str = field(repr=False)

    def __str__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Trunk:
    """Where calls of one phone number go, and as whom."""

    host: str
    port: int | None
    """None: found by DNS, or the usual one."""
    transport: Transport
    media_encryption: Literal["disabled", "allowed", "required"]
    headers: tuple[tuple[str, str], ...]
    variable_headers: tuple[tuple[str, str], ...]
    """Names of dynamic variables and the headers that carry them."""
    username: str | None
    password: Secret | None
    codecs: tuple[str, ...]

    @property
    def domain(self) -> str:
        """As it stands in addresses."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def rates(self) -> tuple[int, ...]:
        """What the legs of its calls may run at."""
        return tuple(dict.fromkeys(RATES[name] for name in self.codecs))


class _Credentials(msgspec.Struct):
    username: str
    password: str | None = None


class _Outbound(msgspec.Struct):
    address: str
    transport: Literal["auto", "udp", "tcp", "tls"] | None = None
    media_encryption: Literal["disabled", "allowed", "required"] | None = None
    headers: dict[str, str] | None = None
    attributes_to_headers: dict[str, str] | None = None
    credentials: _Credentials | None = None
    enabled_codecs: list[str] | None = None


def check_number(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A phone number's settings: `outbound_trunk_config`; raises Invalid, without telling a secret.

    `inbound_trunk_config` is kept for whoever reads the number back, and does nothing: no call ever comes in.
    """
    for name in settings:
        if name not in {"outbound_trunk_config", "inbound_trunk_config"}:
            raise Invalid(f"a {NAME} number has no setting {name!r}", code="unknown_setting", param=name)
    if settings.get("outbound_trunk_config") is not None:  # without, it is kept, and its calls are refused
        read_trunk(settings)
    return {name: value for name, value in settings.items() if value is not None}


def read_trunk(settings: Mapping[str, Any]) -> Trunk:
    """The trunk of one number; raises Invalid."""
    if settings.get("outbound_trunk_config") is None:
        raise _invalid("outbound_trunk_config is missing: calls need the address of a trunk", "")
    try:
        given = msgspec.convert(settings.get("outbound_trunk_config"), _Outbound)
    except msgspec.ValidationError as wrong:
        # it names types and places, never values
        raise _invalid(str(wrong).replace("`$", "`outbound_trunk_config"), "") from None
    scheme, host, port, address_transport = _address(given.address)
    transport = _transport(given.transport or "auto", scheme, port, address_transport)
    if transport == "tls" and _IP.fullmatch(host):
        # the stack compares names only: at a bare address anybody's certificate would do
        raise _invalid("over TLS a trunk is addressed by its name: a certificate is compared with it", "address")
    headers, variable_headers = _headers(given.headers or {}), _variable_headers(given.attributes_to_headers or {})
    if len(headers) + len(variable_headers) > MOST_HEADERS:
        raise _invalid(f"more than {MOST_HEADERS} headers", "headers" if headers else "attributes_to_headers")
    return Trunk(
        host=host,
        port=port,
        transport=transport,
        media_encryption=given.media_encryption or "allowed",
        headers=headers,
        variable_headers=variable_headers,
        username=_username(given.credentials),
        password=_password(given.credentials),
        codecs=_codecs(given.enabled_codecs or list(DEFAULT_CODECS)),
    )


def _address(text: str) -> tuple[str, str, int | None, str]:
    found = _ADDRESS.fullmatch(text.strip())
    port = int(found[3]) if found and found[3] else None
    if found is None or port == 0 or (port or 0) > 65_535:
        raise _invalid("the trunk's address is a host name or an IP address, and a port if need be", "address")
    return (found[1] or "sip").lower(), found[2].lower(), port, (found[4] or "").lower()


def _transport(given: str, scheme: str, port: int | None, in_address: str) -> Transport:
    """`auto`: what the address says, TLS at its usual port, else UDP, which every trunk speaks."""
    wanted = given if given != "auto" else in_address
    if not wanted:
        wanted = "tls" if scheme == "sips" or port == PORTS["tls"] else "udp"
    match wanted:
        case "udp" | "tcp" | "tls":
            return wanted
    raise _invalid(f"there is no transport {wanted!r}", "transport")


def _headers(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for name, value in given.items():
        _header_name(name, "headers")
        if not _HEADER_VALUE.fullmatch(value) or len(value.encode()) > LONGEST_VALUE:
            raise _invalid(
                f"the value of the header {name} is longer than {LONGEST_VALUE} bytes or no plain line", "headers"
            )
    return tuple(given.items())


def _variable_headers(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for name in given.values():
        _header_name(name, "attributes_to_headers")
    return tuple(given.items())


def _header_name(name: str, param: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise _invalid(f"{name[:64]!r} is no name of a header", param)
    if name.lower() in _OURS:
        raise _invalid(f"the header {name} is ours to set", param)


def header_value(value: object) -> str:
    """A variable as a header may carry it: one plain line."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    line = re.sub(r"[\x00-\x1f\x7f]+", " ", text)
    return line.encode(errors="ignore")[:LONGEST_VALUE].decode(errors="ignore")  # no half character at its end


def _username(given: _Credentials | None) -> str | None:
    if given is None:
        return None
    if not _USER.fullmatch(given.username):
        raise _invalid('a user name has no spaces and none of " \\ ; < >', "credentials.username")
    return given.username


def _password(given: _Credentials | None) -> Secret | None:
    if given is None or not given.password:
        return None
    if not _PASSWORD.fullmatch(given.password):
        raise _invalid('a password has up to 128 characters, and neither " nor \\', "credentials.password")
    return Secret(given.password)


def _codecs(given: list[str]) -> tuple[str, ...]:
    names = [_CODECS.get(name.partition("/")[0].lower()) for name in given]
    if None in names:
        unknown = given[names.index(None)]
        raise _invalid(
            f"there is no codec {unknown[:32]!r}; there are: {', '.join(_CODECS.values())}", "enabled_codecs"
        )
    return tuple(dict.fromkeys(name for name in names if name))


def _invalid(message: str, param: str) -> Invalid:
    where = f"outbound_trunk_config.{param}" if param else "outbound_trunk_config"
    return Invalid(message, code="invalid_trunk", param=where)


# --- a call worker's settings ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Config:
    """What a call worker needs to know."""

    interface: str | None = None
    """Name or address of the network interface; None: whichever leads to the trunk (never the loopback)."""
    reply_secs: float = 10.0
    """A trunk that says nothing at all for so long leaves the call in doubt."""
    media_lost_secs: int = 20
    """A far end of which no audio comes for so long is gone; 0: never."""
    teardowns_per_sec: float = 20.0
    """Answered calls that are hung up in a second: each stops the stack for some milliseconds."""
    cafile: str = ""
    """PEM with the certificates that vouch for trunks; "": the system's."""
    rtp_ports: str = ""
    """From-to, as a firewall has it; "": any."""
    horizon_secs: float = 5.0

    @property
    def traits(self) -> LinesTraits:
        """As the dialler wants to know it: SIP can't be asked about a call."""
        return LinesTraits(
            NAME,
            can_look_up=False,
            horizon_secs=self.horizon_secs,
            place_timeout_secs=self.reply_secs,
            tried_first=True,  # 100 Trying comes before 401, 403 and 488
        )


def read(settings: Mapping[str, Any]) -> Config:
    """A worker's settings, named as Config's; raises BadSetting."""
    interface, cafile = settings.get("interface") or None, str(settings.get("cafile") or "")
    if interface is not None and not re.fullmatch(r"[A-Za-z0-9.:_-]{1,45}", str(interface)):
        raise BadSetting(f"interface={interface!r}: the name of a network interface, or its address")
    if re.search(r"[\s\x00-\x1f]", cafile):
        raise BadSetting(f"cafile={cafile!r}: a path without spaces")
    ports = str(settings.get("rtp_ports") or "")
    if ports and not is_range(ports):
        raise BadSetting(f"rtp_ports={ports!r}: two ports, the lower first, as in 10000-20000")
    return Config(
        interface=None if interface is None else str(interface),
        reply_secs=_number(settings, "reply_secs", 10.0, least=0.1),
        media_lost_secs=int(_number(settings, "media_lost_secs", 20.0, least=0)),
        teardowns_per_sec=_number(settings, "teardowns_per_sec", 20.0, least=0.1),
        cafile=cafile,
        rtp_ports=ports,
        horizon_secs=_number(settings, "horizon_secs", 5.0, least=0.0),
    )


def is_range(ports: str) -> bool:
    """Whether it names ports as a firewall has them; from others the stack takes none, and sends nothing."""
    found = re.fullmatch(r"([0-9]{4,5})-([0-9]{4,5})", ports)
    return found is not None and 1_024 <= int(found[1]) < int(found[2]) <= 65_535


def _number(settings: Mapping[str, Any], name: str, default: float, *, least: float) -> float:
    told = settings.get(name)
    try:
        number = default if told is None else float(told)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= least):
        raise BadSetting(f"{name}={told!r}: a number, at least {least:g}")
    return number
