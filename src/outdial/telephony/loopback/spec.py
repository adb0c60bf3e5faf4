"""The network in a box, as a provider."""

from collections.abc import Mapping
from typing import Any

from outdial.domain.call import CallEvent
from outdial.ports.lines import Lines
from outdial.ports.provider import CallbackRequest, ProviderSpec
from outdial.runtime.clock import SystemClock
from outdial.telephony.loopback import callback, config

_clock = SystemClock()


def _make(settings: Mapping[str, Any]) -> Lines:
    from outdial.telephony.loopback.client import LoopbackLines  # aiohttp: call workers alone pay for it

    return LoopbackLines(config.read(settings))


def _read_callback(request: CallbackRequest) -> list[CallEvent]:
    return callback.read(request, now=_clock.now())


SPEC = ProviderSpec(
    name=config.NAME,
    traits=config.Config(carrier_url="").traits,
    make=_make,
    read_callback=_read_callback,
    check_settings=config.check_number,
)
"""Its traits are the defaults; the lines know those of their settings."""
