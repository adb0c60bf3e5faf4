"""What every `Lines` promises, against real networks; the network's own log is the judge."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from outdial.domain.attempt import AttemptState
from outdial.domain.call import CallEvent, EventKind
from outdial.domain.fold import Course, GiveUp, Newer, fold
from outdial.domain.outcome import Blame, Outcome
from outdial.domain.recipient import RecipientStatus
from outdial.ports.lines import CallOrder, Lines, LookUpFailed, Sighting
from outdial.ports.provider import CallbackRefused, CallbackRequest, ProviderSpec
from outdial.runtime.clock import SystemClock
from outdial.runtime.ids import new_call_key
from outdial.telephony.registry import provider
from tests.support.carrier import Carrier, Ear, Heard

SECRET = "signs the reports of one call"


class World:
    """One provider, its network and our ear."""

    def __init__(self, spec: ProviderSpec, carrier: Carrier, ear: Ear) -> None:
        self.spec = spec
        self.carrier = carrier
        self.ear = ear
        self.lines = self.make()
        self._made = [self.lines]

    def make(self, **settings: object) -> Lines:
        given: Mapping[str, object] = {"carrier_url": self.carrier.url, "place_timeout_secs": 0.5, **settings}
        return self.spec.make(given)

    def another(self, **settings: object) -> Lines:
        self._made.append(self.make(**settings))
        return self._made[-1]

    async def close(self) -> None:
        for lines in self._made:
            await lines.close()  # type: ignore[attr-defined]  # not of the port: only some lines hold anything open

    def order(self, number: str, *, within: float = 2.0, ring_secs: float = 30.0, talk_secs: float = 60.0) -> CallOrder:
        key = new_call_key()
        return CallOrder(
            call_key=key,
            number=number,
            caller="+493099990000",
            provider=self.spec.name,
            trunk={},
            agent={"conversation_config": {"agent": {"first_message": "Hello Anna."}}},
            variables={"name": "Anna"},
            ring_secs=ring_secs,
            talk_secs=talk_secs,
            send_by=SystemClock().boottime() + within,
            callback_url=self.ear.callback_url(key),
            callback_secret=SECRET,
        )

    def read(self, heard: Heard) -> list[CallEvent]:
        return self.spec.read_callback(request_of(heard))

    async def until_over(self, order: CallOrder) -> list[CallEvent]:
        """Everything that was reported of a call, in the order in which it came."""
        return [event for heard in await self.ear.until_ended(order.call_key) for event in self.read(heard)]


def request_of(heard: Heard) -> CallbackRequest:
    return CallbackRequest(heard.call_key, heard.headers, heard.body, SECRET, heard.url)


async def sending(lines: Lines, order: CallOrder) -> list[CallEvent]:
    return [event async for event in lines.start(order)]


def folded(events: list[CallEvent] | tuple[CallEvent, ...], give_up: GiveUp = GiveUp.NO) -> Course:
    fresh = Course(AttemptState.DIALING, give_up, Newer.NONE, RecipientStatus.DISPATCHED, None)
    return fold(fresh, events)


def found(seen: Sighting | None) -> Sighting:
    assert seen is not None
    return seen


@pytest.fixture(params=["loopback"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async for made in worlds(request.param, tmp_path):
        yield made


@pytest.fixture(params=["loopback"])
async def slow_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Phones ring, and people talk, until somebody ends it."""
    async for made in worlds(request.param, tmp_path, ring_secs=3600.0):
        yield made


@pytest.fixture(params=["loopback"])
async def talking_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async for made in worlds(request.param, tmp_path, talk_secs=3600.0):
        yield made


async def worlds(name: str, tmp_path: Path, ring_secs: float = 0.0, talk_secs: float = 0.0) -> AsyncIterator[World]:
    carrier = Carrier(tmp_path / "carrier.log", ring_secs, talk_secs).start()
    ear = await Ear().start()
    world = World(provider(name), carrier, ear)
    try:
        yield world
    finally:
        await world.close()
        await ear.stop()
        carrier.stop()


async def test_a_call_is_sent_once_and_reported_to_its_end(world: World) -> None:
    order = world.order("+493012345678")
    (sent,) = await sending(world.lines, order)
    assert sent.kind is EventKind.SENT
    events = await world.until_over(order)
    assert {event.kind for event in events} == {EventKind.RINGING, EventKind.ANSWERED, EventKind.ENDED}
    assert {event.provider_call_id for event in [sent, *events]} == {sent.provider_call_id}
    assert len({event.event_id for event in events}) == 3
    course = folded([sent, *events])
    assert (course.state, course.outcome) == (AttemptState.ENDED, Outcome.COMPLETED)
    assert [line.role for line in course.said] == ["agent", "user"]
    assert course.said[0].message == "Hello Anna."
    assert world.carrier.dialled(order.call_key) == 1


@pytest.mark.parametrize(
    ("digits", "outcome", "rings", "answered"),
    [
        ("0486", Outcome.BUSY, False, False),
        ("0408", Outcome.NO_ANSWER, True, False),
        ("0480", Outcome.UNREACHABLE, False, False),
        ("0603", Outcome.REJECTED, True, False),
        ("0404", Outcome.INVALID_NUMBER, False, False),
        ("0503", Outcome.NETWORK_ERROR, False, False),
        ("0607", Outcome.BLOCKED, True, False),
        ("0301", Outcome.VOICEMAIL, True, True),
        ("0000", Outcome.COMPLETED, True, True),
    ],
)
async def test_an_ending_alone_tells_the_course(
    world: World, digits: str, outcome: Outcome, rings: bool, answered: bool
) -> None:
    order = world.order(f"+4930123{digits}")
    await sending(world.lines, order)
    (ended,) = [event for event in await world.until_over(order) if event.kind is EventKind.ENDED]
    assert ended.ending is not None
    assert (ended.ending.outcome, ended.rang, ended.answered_at is not None) == (outcome, rings, answered)
    assert ended.ending.reason
    assert ended.ending.sip_code
    assert folded([ended]).outcome is outcome


async def test_what_is_too_late_is_never_sent(world: World) -> None:
    late = world.order("+493012345678", within=-0.001)
    (event,) = await sending(world.lines, late)
    assert (event.kind, event.reason) == (EventKind.UNSENT, "too_late")
    assert world.carrier.journal() == []
    in_time = world.order("+493012345678")  # the twin
    (event,) = await sending(world.lines, in_time)
    assert event.kind is EventKind.SENT
    assert world.carrier.dialled(in_time.call_key) == 1


async def test_what_was_hung_up_before_it_came_is_never_sent(world: World) -> None:
    order = world.order("+493012345678")
    await world.lines.hang_up(order.call_key, even_if_answered=False)
    (event,) = await sending(world.lines, order)
    assert (event.kind, event.reason) == (EventKind.UNSENT, "stopped")
    assert world.carrier.journal() == []


async def test_what_was_hung_up_while_it_was_connecting_is_never_sent(world: World) -> None:
    order = world.order("+493012345678")
    events = asyncio.create_task(sending(world.lines, order))
    await asyncio.sleep(0)  # it has begun, and has no connection yet
    await world.lines.hang_up(order.call_key, even_if_answered=False)
    (event,) = await events
    assert (event.kind, event.reason) == (EventKind.UNSENT, "stopped")
    assert world.carrier.journal() == []


async def test_a_refused_connection_is_provably_unsent(world: World) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused
        lines = world.another(carrier_url=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        (event,) = await sending(lines, world.order("+493012345678"))
    assert (event.kind, event.reason) == (EventKind.UNSENT, "connection_refused")


async def test_a_reply_that_never_comes_is_doubt_and_the_call_is_found(world: World) -> None:
    order = world.order("+493012340900")
    (event,) = await sending(world.lines, order)
    assert (event.kind, event.reason) == (EventKind.DOUBTFUL, "place_timeout")
    seen = found(await world.lines.look_up(order.call_key))
    assert seen.over
    assert folded((event, *seen.events)).outcome is Outcome.COMPLETED
    assert world.carrier.dialled(order.call_key) == 1


async def test_an_error_500_is_doubt_and_the_call_is_found(world: World) -> None:
    order = world.order("+493012340901")
    (event,) = await sending(world.lines, order)
    assert (event.kind, event.reason) == (EventKind.DOUBTFUL, "error_500")
    assert folded([event, *await world.until_over(order)]).outcome is Outcome.COMPLETED
    assert world.carrier.dialled(order.call_key) == 1


async def test_throttled_means_nothing_was_dialled(world: World) -> None:
    for _ in range(3):
        (event,) = await sending(world.lines, world.order("+493012340904"))
        assert (event.kind, event.retry_after) == (EventKind.THROTTLED, 0.2)
    assert world.carrier.journal() == []
    (event,) = await sending(world.lines, world.order("+493012340904"))
    assert event.kind is EventKind.SENT


async def test_a_refused_order_is_known_not_placed(world: World) -> None:
    order = world.order("no number at all")
    (event,) = await sending(world.lines, order)
    assert event.kind is EventKind.ENDED
    assert event.ending is not None
    assert (event.ending.outcome, event.ending.halts_trunk) == (Outcome.PROVIDER_REJECTED, False)
    assert world.carrier.journal() == []


async def test_a_ringing_call_is_given_up_at_once(slow_world: World) -> None:
    order = slow_world.order("+493012345678")
    await sending(slow_world.lines, order)
    await slow_world.ear.until(lambda: bool(slow_world.ear.of(order.call_key, "ringing")))
    await slow_world.lines.hang_up(order.call_key, even_if_answered=False)
    events = await slow_world.until_over(order)
    course = folded(events)
    assert course.ending is not None
    assert (course.outcome, course.ending.reason) == (Outcome.NETWORK_ERROR, "node_lost")
    assert course.ending.blame is Blame.OURS
    assert folded(events, GiveUp.UNLESS_ANSWERED).outcome is Outcome.CANCELLED


async def test_hanging_up_spares_a_talk_unless_told(talking_world: World) -> None:
    order = talking_world.order("+493012345678")
    await sending(talking_world.lines, order)
    await talking_world.ear.until(lambda: bool(talking_world.ear.of(order.call_key, "answered")))
    await talking_world.lines.hang_up(order.call_key, even_if_answered=False)
    assert not found(await talking_world.lines.look_up(order.call_key)).over
    await talking_world.lines.hang_up(order.call_key, even_if_answered=True)
    assert found(await talking_world.lines.look_up(order.call_key)).over
    course = folded(await talking_world.until_over(order))
    assert course.ending is not None
    assert (course.outcome, course.ending.reason) == (Outcome.COMPLETED, "node_lost")


async def test_hanging_up_twice_or_nothing_at_all_is_success(world: World) -> None:
    order = world.order("+493012345678")
    await sending(world.lines, order)
    await world.until_over(order)
    before = world.carrier.journal()
    for _ in range(2):
        await world.lines.hang_up(order.call_key, even_if_answered=True)
        await world.lines.hang_up(new_call_key(), even_if_answered=True)
    assert world.carrier.journal() == before


async def test_a_phone_rings_no_longer_than_our_limit(slow_world: World) -> None:
    order = slow_world.order("+493012345678", ring_secs=0.05)
    await sending(slow_world.lines, order)
    course = folded(await slow_world.until_over(order))
    assert course.ending is not None
    assert (course.outcome, course.ending.reason) == (Outcome.NO_ANSWER, "ring_limit")


async def test_a_talk_lasts_no_longer_than_our_limit(talking_world: World) -> None:
    order = talking_world.order("+493012345678", talk_secs=0.05)
    await sending(talking_world.lines, order)
    course = folded(await talking_world.until_over(order))
    assert course.ending is not None
    assert (course.outcome, course.ending.reason) == (Outcome.COMPLETED, "time_limit")


async def test_a_look_up_tells_what_the_reports_told(world: World) -> None:
    order = world.order("+493012345678")
    await sending(world.lines, order)
    reported = {event.event_id: event for event in await world.until_over(order)}
    seen = found(await world.lines.look_up(order.call_key))
    assert seen.over
    assert [event.kind for event in seen.events] == [
        EventKind.SENT, EventKind.RINGING, EventKind.ANSWERED, EventKind.ENDED,
    ]  # fmt: skip
    assert {event.event_id: event for event in seen.events[1:]} == reported


async def test_a_look_up_tells_a_call_that_goes_on(slow_world: World) -> None:
    order = slow_world.order("+493012345678")
    await sending(slow_world.lines, order)
    await slow_world.ear.until(lambda: bool(slow_world.ear.of(order.call_key, "ringing")))
    seen = found(await slow_world.lines.look_up(order.call_key))
    assert [event.kind for event in seen.events] == [EventKind.SENT, EventKind.RINGING]
    assert not seen.over


async def test_a_look_up_knows_nothing_of_what_was_never_placed(world: World) -> None:
    assert await world.lines.look_up(new_call_key()) is None


async def test_a_network_that_cannot_be_asked_says_nothing_about_the_call(world: World) -> None:
    order = world.order("+493012345678")
    await sending(world.lines, order)
    world.carrier.stop()
    with pytest.raises(LookUpFailed):
        await world.lines.look_up(order.call_key)


async def test_doubled_and_reversed_reports_fold_to_the_same(world: World) -> None:
    order = world.order("+493012340902")
    await sending(world.lines, order)
    await world.ear.until(lambda: len(world.ear.of(order.call_key)) == 6)
    heard = world.ear.of(order.call_key)
    assert [one.event for one in heard] == ["ended", "ended", "answered", "answered", "ringing", "ringing"]
    course = folded([])
    seen = set()
    for event in (event for one in heard for event in world.read(one)):
        if event.event_id not in seen:
            course = fold(course, [event])
        seen.add(event.event_id)
    assert len(seen) == 3
    assert (course.outcome, len(course.said)) == (Outcome.COMPLETED, 2)


async def test_an_end_that_is_not_reported_is_told_by_a_look_up(world: World) -> None:
    order = world.order("+493012340903")
    await sending(world.lines, order)
    await world.ear.until(lambda: len(world.ear.of(order.call_key)) == 2)
    seen = found(await world.lines.look_up(order.call_key))
    assert seen.over
    assert folded(seen.events).outcome is Outcome.COMPLETED
    assert world.ear.of(order.call_key, "ended") == []


async def test_a_report_that_is_not_genuine_is_refused(world: World) -> None:
    order = world.order("+493012340486")
    await sending(world.lines, order)
    (heard,) = await world.ear.until_ended(order.call_key)
    genuine = request_of(heard)
    assert world.spec.read_callback(genuine)
    for forged in (
        replace(genuine, secret="another call's"),
        replace(genuine, body=genuine.body.replace(b"486", b"404")),
        replace(genuine, headers={}),
        replace(genuine, call_key=new_call_key()),
    ):
        with pytest.raises(CallbackRefused):
            world.spec.read_callback(forged)


async def test_every_concurrent_order_is_sent_once(world: World) -> None:
    orders = [world.order(f"+4930{n:04}5678") for n in range(50)]
    events = await asyncio.gather(*(sending(world.lines, order) for order in orders))
    assert {event.kind for (event,) in events} == {EventKind.SENT}
    assert [world.carrier.dialled(order.call_key) for order in orders] == [1] * 50
