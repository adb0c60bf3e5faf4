"""Calls through Kamailio, as through the proxy of a rented trunk: digest, three transports, and SRTP by rtpengine."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outdial.domain.call import CallEvent, EventKind
from outdial.domain.outcome import Ending, Outcome
from outdial.ports.lines import CallOrder
from outdial.ports.voice import Leg
from tests.media.test_codec import sine
from tests.support.baresip import NUMBER, TONE_HERTZ, phone
from tests.support.certificates import Authority
from tests.support.kamailio import CAME_OVER, MEDIA, NEXT_HOP, PASSWORD, USER, Kamailio, kamailio
from tests.support.peers import needs
from tests.support.phones import NotingTalker, clearest, course, order, saying_nothing_for, sip_lines
from tests.support.rtpengine import rtpengine
from tests.support.sipp import ANSWERS, BYE, CANCEL, HANGS_UP, TAKE_CSEQ, TAKE_WAY_BACK, Sipp, invite, reply, sipp, wait

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")
pytestmark = [pytest.mark.sip, needs("sipp", "baresip", "kamailio", "rtpengine")]

SPEECH_HERTZ = 1_000
REFS = '  <Reference variables="from,to,contact"/>\n'


@dataclass(frozen=True)
class Trunk:
    """The trunk, and who vouches for its name."""

    proxy: Kamailio
    cafile: Path

    def order(self, behind: str, transport: str = "udp", *, password: str = PASSWORD, **more: Any) -> CallOrder:
        """A call over it to who is there behind it."""
        headers = {NEXT_HOP: behind, **more.pop("headers", {})}
        credentials = {"username": USER, "password": password}
        address = self.proxy.address(transport)
        return order(address, transport=transport, headers=headers, credentials=credentials, **more)

    def lines(self, talker: NotingTalker | None = None) -> Any:
        return sip_lines(talker, cafile=str(self.cafile))


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trunk]:
    folder = tmp_path_factory.mktemp("trunk")
    authority = Authority(folder)
    with (
        rtpengine(folder) as media,
        kamailio(folder, authority.certificate("localhost"), rtpengine=media.control) as proxy,
    ):
        yield Trunk(proxy, authority.cafile)


def ending(events: list[CallEvent]) -> Ending:
    last = events[-1]
    assert last.kind is EventKind.ENDED, events
    assert last.ending is not None
    return last.ending


def invited(far: Sipp) -> str:
    (came,) = far.came()
    return came


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_call_with_a_digest_over_each_transport(tmp_path: Path, trunk: Trunk, transport: str) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE) as far:
        given = trunk.order(far.address, transport)
        async with trunk.lines(saying_nothing_for(0.1)) as lines:
            events = await course(lines, given)
        assert far.done(), far.said()
    assert [event.kind for event in events] == [
        EventKind.SENT, EventKind.RINGING, EventKind.ANSWERED, EventKind.ENDED,
    ]  # fmt: skip
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "talked")
    came = invited(far)
    assert f"{CAME_OVER}: {transport}" in came
    assert f"X-Outdial-Call-Key: {given.call_key}" in came
    assert "Proxy-Authorization" not in came


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_who_hangs_up_behind_the_trunk_is_heard(tmp_path: Path, trunk: Trunk, transport: str) -> None:
    with sipp(tmp_path, invite(TAKE_WAY_BACK) + ANSWERS + wait(100) + HANGS_UP + REFS) as far:
        async with trunk.lines(NotingTalker()) as lines:
            events = await course(lines, trunk.order(far.address, transport))
        assert far.done(), far.said()  # the BYE came back over the connection that was there
    assert (ending(events).outcome, ending(events).reason) == (Outcome.COMPLETED, "hung_up")


async def test_a_wrong_password_halts_the_trunk_and_rings_nobody(tmp_path: Path, trunk: Trunk) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE) as far:
        async with trunk.lines() as lines:
            events = await course(lines, trunk.order(far.address, password="wrong"))
        assert far.came() == []
    said = ending(events)
    assert (said.outcome, said.reason, said.sip_code) == (Outcome.PROVIDER_REJECTED, "bad_credentials", 407)
    assert said.halts_trunk


async def test_the_ring_limit_cancels_behind_the_trunk(tmp_path: Path, trunk: Trunk) -> None:
    with sipp(tmp_path, invite(TAKE_CSEQ) + reply("180 Ringing") + CANCEL) as far:
        async with trunk.lines() as lines:
            events = await course(lines, trunk.order(far.address, "tls", ring_secs=0.3))
        assert far.done(), far.said()
    assert (ending(events).outcome, ending(events).reason) == (Outcome.NO_ANSWER, "ring_limit")


def saying_a_tone() -> NotingTalker:
    async def act(leg: Leg) -> None:
        leg.send(sine(SPEECH_HERTZ, leg.rate, 1.2))
        await asyncio.sleep(1.4)

    return NotingTalker(act)


def heard(talker: NotingTalker, hertz: int) -> float:
    """How much of what was heard is this tone, where it was clearest."""
    (talk,) = talker.talks
    return clearest(bytes(talk.heard), hertz, talk.rate)


@pytest.mark.parametrize("transport", ["udp", "tls"])
async def test_a_trunk_that_wants_srtp_is_spoken_to_encrypted(tmp_path: Path, trunk: Trunk, transport: str) -> None:
    talker = saying_a_tone()
    with sipp(tmp_path, invite() + ANSWERS + BYE) as far:  # it echoes, and knows of no encryption
        given = trunk.order(far.address, transport, media_encryption="required", headers={MEDIA: "srtp"})
        async with trunk.lines(talker) as lines:
            events = await course(lines, given)
        assert far.done(), far.said()
    assert ending(events).outcome is Outcome.COMPLETED
    assert heard(talker, SPEECH_HERTZ) > 0.9
    assert "RTP/AVP" in invited(far)
    assert "a=crypto" not in invited(far)


async def test_a_trunk_that_wants_srtp_and_does_not_get_it_refuses_and_is_halted(tmp_path: Path, trunk: Trunk) -> None:
    with sipp(tmp_path, invite() + ANSWERS + BYE) as far:
        given = trunk.order(far.address, "tls", media_encryption="disabled", headers={MEDIA: "srtp"})
        async with trunk.lines() as lines:
            events = await course(lines, given)
        assert far.came() == []
    said = ending(events)
    assert (said.reason, said.sip_code, said.halts_trunk) == ("media_refused", 488, True)


@pytest.mark.parametrize("encrypts", [True, False])
async def test_where_srtp_is_allowed_the_phone_decides(tmp_path: Path, trunk: Trunk, encrypts: bool) -> None:
    talker = saying_a_tone()
    with phone(tmp_path, encryption="srtp" if encrypts else "") as far:
        async with trunk.lines(talker) as lines:
            events = await course(lines, trunk.order(far.address, "tls", number=NUMBER, media_encryption="allowed"))
        said = far.log.read_text(errors="replace")
    assert ending(events).outcome is Outcome.COMPLETED, said[-2_000:]
    assert heard(talker, TONE_HERTZ) > 0.9
    assert ("SRTP is Enabled" in said) == encrypts, said[-2_000:]
