"""How a phone provider presents itself: a name, its settings, and how to make its lines and read its callbacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outdial.domain.call import CallEvent
from outdial.ports.lines import Lines, LinesTraits


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A provider's HTTP request to us, as it came."""

    call_key: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    secret: str
    """The key that this call's reports are signed with."""
    url: str
    """The public URL that was called."""


class CallbackRefused(Exception):
    """The signature is missing or wrong, or the body is not what this provider sends."""


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """One provider."""

    name: str
    """As on the wire: `loopback`, `sip_trunk`, `twilio`, `vobiz`."""
    traits: LinesTraits
    make: Callable[[Mapping[str, Any]], Lines]
    """Builds the lines inside a call worker; heavy imports happen here. The mapping holds the worker's settings."""
    read_callback: Callable[[CallbackRequest], list[CallEvent]]
    """Verifies and parses one report; raises CallbackRefused. Pure."""
    check_settings: Callable[[Mapping[str, Any]], dict[str, Any]]
    """A phone number's settings as given, validated and completed; raises domain.errors.Invalid."""
    needs: str = ""
    """A module that must be installed before calls can be placed, from an extra of ours; "" if there is none."""
