"""The networks of phone numbers as our settings have them, and asking whether they are there."""

from collections.abc import Mapping
from typing import Any

from outdial.app.settings import Settings
from outdial.dispatch.prober import Ask
from outdial.ports.provider import Probe, Reach
from outdial.ports.store import NumberRow
from outdial.telephony.registry import PROVIDERS


def sip_settings(given: Settings) -> dict[str, Any]:
    """What a call worker for SIP trunks is told."""
    return {
        "interface": given.sip_interface,
        "rtp_ports": given.sip_rtp_ports,
        "cafile": given.sip_cafile,
        "media_lost_secs": given.sip_media_lost_secs,
        "reply_secs": given.sip_reply_secs,
        "horizon_secs": given.sip_horizon_secs,
        "teardowns_per_sec": given.sip_teardowns_per_sec,
        "recordings": str(given.recordings_path),
    }


def asks(given: Settings) -> dict[str, Ask]:
    """By provider, how the network of a number is asked whether it is there; those that can't be asked are left out."""
    workers: Mapping[str, Mapping[str, Any]] = {"sip_trunk": sip_settings(given)}
    probes = {name: spec.probe for name, spec in PROVIDERS.items() if spec.probe is not None}
    return {name: _asking(probe, workers.get(name, {})) for name, probe in probes.items()}


def _asking(probe: Probe, worker: Mapping[str, Any]) -> Ask:
    async def ask(number: NumberRow) -> Reach:
        return await probe(number.settings, number.phone_number, worker)

    return ask
