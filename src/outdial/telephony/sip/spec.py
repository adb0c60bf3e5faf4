"""Any SIP trunk, as a provider."""

from collections.abc import Mapping
from typing import Any

from outdial.ports.lines import Lines
from outdial.ports.provider import ProviderSpec, Reach
from outdial.telephony.sip import callback, config


def _make(settings: Mapping[str, Any]) -> Lines:
    from outdial.telephony.sip.client import SipLines  # the SIP stack: call workers alone load it

    return SipLines(config.read(settings))


async def _probe(settings: Mapping[str, Any], number: str, worker: Mapping[str, Any]) -> Reach:
    from outdial.telephony.sip.options import probe

    return await probe(settings, number, worker)


SPEC = ProviderSpec(
    name=config.NAME,
    traits=config.Config().traits,
    make=_make,
    read_callback=callback.read,
    check_settings=config.check_number,
    needs="baresip",
    probe=_probe,
    reports=False,
)
