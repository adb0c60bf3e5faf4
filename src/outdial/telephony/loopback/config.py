"""Settings of the network in a box: where it is, and how patient we are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outdial.domain.errors import BadSetting, Invalid
from outdial.ports.lines import LinesTraits

NAME = "loopback"
HORIZON_SECS = 5.0
PLACE_TIMEOUT_SECS = 10.0


@dataclass(frozen=True, slots=True)
class Config:
    """What a call worker needs to know; there are no secrets, the network has no accounts."""

    carrier_url: str
    """Its base URL, without a slash at the end."""
    horizon_secs: float = HORIZON_SECS
    place_timeout_secs: float = PLACE_TIMEOUT_SECS

    @property
    def traits(self) -> LinesTraits:
        """As the dialler wants to know it."""
        return LinesTraits(
            NAME, can_look_up=True, horizon_secs=self.horizon_secs, place_timeout_secs=self.place_timeout_secs
        )


def read(settings: Mapping[str, Any]) -> Config:
    """A worker's settings, keys `carrier_url`, `horizon_secs`, `place_timeout_secs`; raises BadSetting."""
    url = settings.get("carrier_url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise BadSetting(f"carrier_url={url!r}: the http URL of the network in a box, as `outdial carrier` prints it")
    return Config(
        url.rstrip("/"),
        _secs(settings, "horizon_secs", HORIZON_SECS, least=0.0),
        _secs(settings, "place_timeout_secs", PLACE_TIMEOUT_SECS, least=0.01),
    )


def check_number(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A phone number's settings: this provider has none; raises Invalid for any."""
    for name in settings:
        raise Invalid(f"a {NAME} number has no setting {name!r}", code="unknown_setting", param=name)
    return {}


def _secs(settings: Mapping[str, Any], name: str, default: float, *, least: float) -> float:
    told = settings.get(name)
    try:
        secs = default if told is None else float(told)
    except (TypeError, ValueError):
        secs = math.nan
    if not (math.isfinite(secs) and secs >= least):
        raise BadSetting(f"{name}={told!r}: seconds, at least {least:g}")
    return secs
