"""How a phone provider presents itself: a name, its settings, and how to make its lines and read its callbacks."""

from collections.abc import Callable, Coroutine, Mapping
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What became of asking a network whether it is there."""

    there: bool
    says: str
    """For people, with its name: what it answers, or why it does not."""
    took_ms: float | None = None
    do: str = ""
    """What people can do about it."""


Probe = Callable[[Mapping[str, Any], str, Mapping[str, Any]], Coroutine[Any, Any, Reach]]
"""Asks the network of a phone number whether it is there, and calls nobody: given the number's settings, the number,
and the settings of a call worker. Raises nothing, and takes a few seconds at most."""


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
    probe: Probe | None = None
    """None: it can't be asked."""
    reports: bool = True
    """Whether it reports how calls go to our public URL."""
