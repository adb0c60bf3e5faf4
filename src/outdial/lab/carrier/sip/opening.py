"""The SIP front from its options, opened and closed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from outdial.lab.carrier.network import Network
from outdial.lab.carrier.options import Options
from outdial.lab.carrier.person import Manners
from outdial.lab.carrier.sip.callee import Studio
from outdial.lab.carrier.sip.dialog import Trunk
from outdial.lab.carrier.sip.digest import Digest
from outdial.lab.carrier.sip.front import SipFront
from outdial.lab.carrier.sip.transport import HOST, Doors
from outdial.lab.carrier.voices import prepare
from outdial.lab.carrier.weather import Weather


@asynccontextmanager
async def opened(network: Network, options: Options) -> AsyncIterator[str]:
    """Host and port at which the trunk listens; raises OSError."""
    if options.audio is not None and not options.audio.is_dir():
        raise NotADirectoryError(f"{options.audio} is no folder")
    weather = Weather(options.loss, options.jitter, options.seed)
    front = SipFront(Digest(options.sip_user, options.sip_password) if options.sip_user else None)
    doors = Doors(front.receive, weather)
    manners = Manners(options.talk_secs, options.listen_secs)
    voices = await prepare() if manners.talk_secs > 0 else {}
    front.trunk = Trunk(network, doors, Studio(weather, manners, voices=voices, kept=options.audio))
    try:
        await doors.open(options.sip_port or 0)
        yield f"{HOST}:{doors.port}"
    finally:
        doors.close()
        front.close()
