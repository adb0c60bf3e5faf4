"""Every phone provider that is built in, by its name on the wire."""

from outdial.domain.errors import OutdialError
from outdial.ports.provider import ProviderSpec
from outdial.telephony.loopback.spec import SPEC as LOOPBACK


class UnknownProvider(OutdialError):
    """No provider of that name is built in."""

    def __init__(self, name: str, *, known: list[str]) -> None:
        super().__init__(f"there is no phone provider {name!r}; there are: {', '.join(known)}")
        self.name = name
        self.known = known


PROVIDERS: dict[str, ProviderSpec] = {spec.name: spec for spec in (LOOPBACK,)}


def provider(name: str) -> ProviderSpec:
    """The provider of that name; raises UnknownProvider."""
    try:
        return PROVIDERS[name]
    except KeyError:
        raise UnknownProvider(name, known=sorted(PROVIDERS)) from None
