"""Our lines over SIP against the network in a box: a far end that can be told to behave badly."""

import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("baresip", reason="the extra `sip` is not installed: no wheel for this machine")

from outdial.domain.call import EventKind
from outdial.domain.outcome import Outcome
from tests.support.carrier import Carrier
from tests.support.phones import NotingTalker, course, order, saying_nothing_for, sip_lines

pytestmark = pytest.mark.sip


@contextmanager
def network(tmp_path: Path, *options: str) -> Iterator[Carrier]:
    running = Carrier(tmp_path / "carrier.log", 0.1, 0.3, options=("--sip-port", "0", "--listen-secs", "0", *options))
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_who_is_challenged_says_who_it_is(tmp_path: Path, transport: str) -> None:
    with network(tmp_path, "--sip-user", "ada", "--sip-password", "s3cret") as far:
        async with sip_lines(NotingTalker()) as lines:
            for password, outcome in (("s3cret", Outcome.COMPLETED), ("guessed", Outcome.PROVIDER_REJECTED)):
                credentials = {"username": "ada", "password": password}
                given = order(far.sip, transport=transport, credentials=credentials)
                (*_, last) = await course(lines, given)
                assert last.ending is not None
                assert last.ending.outcome is outcome
        assert [line["event"] for line in far.journal()] == ["dialled", "answered", "ended"]


async def test_where_every_reply_is_lost_there_is_doubt_and_nobody_is_rung_twice(tmp_path: Path) -> None:
    with network(tmp_path) as far:
        async with sip_lines(NotingTalker(), reply_secs=1.2) as lines:
            (last,) = await course(lines, order(far.sip, "+49301230900"))
        assert (last.kind, last.reason) == (EventKind.DOUBTFUL, "no_reply")
        assert [line["event"] for line in far.journal()] == ["dialled", "answered", "ended"]


async def test_a_person_is_heard_and_presses_a_key(tmp_path: Path) -> None:
    talker = NotingTalker()
    with network(tmp_path, "--talk-secs", "0.6") as far:
        async with sip_lines(talker) as lines:
            await course(lines, order(far.sip, "+493012345674"))
    assert talker.talks[0].keys == "4"
    heard = array.array("h", bytes(talker.talks[0].heard))
    assert max(map(abs, heard)) > 3_000


async def test_the_ringing_is_heard_where_it_comes_with_early_media(tmp_path: Path) -> None:
    talker = saying_nothing_for(0.1)
    with network(tmp_path, "--ring-secs", "0.5") as far:
        async with sip_lines(talker) as lines:
            events = await course(lines, order(far.sip, "+49301230183"))
    assert [event.kind for event in events][:3] == [EventKind.SENT, EventKind.RINGING, EventKind.ANSWERED]
    assert len(talker.talks[0].heard) > 0.4 * 16_000
