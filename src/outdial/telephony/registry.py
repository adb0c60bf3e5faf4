"""Every phone provider that is built in, by its name on the wire."""

from importlib.util import find_spec

from outdial.domain.errors import OutdialError
from outdial.ports.provider import ProviderSpec
from outdial.telephony.loopback.spec import SPEC as LOOPBACK
from outdial.telephony.sip.spec import SPEC as SIP


class UnknownProvider(OutdialError):
    """No provider of that name is built in."""

    def __init__(self, name: str, *, known: list[str]) -> None:
        super().__init__(f"there is no phone provider {name!r}; there are: {', '.join(known)}")
        self.name = name
        self.known = known


PROVIDERS: dict[str, ProviderSpec] = {spec.name: spec for spec in (LOOPBACK, SIP)}


def installed() -> dict[str, ProviderSpec]:
    """Those whose calls this machine can place."""
    return {name: spec for name, spec in PROVIDERS.items() if not spec.needs or find_spec(spec.needs) is not None}


def provider(name: str) -> ProviderSpec:
    """The provider of that name; raises UnknownProvider."""
    try:
        return PROVIDERS[name]
    except KeyError:
        raise UnknownProvider(name, known=sorted(PROVIDERS)) from None
