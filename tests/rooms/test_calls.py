"""One call from claim to outcome: GO, doubt, look-ups, giving up, stopping, and a process that stalls on the way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from outdial.domain.attempt import AttemptState
from outdial.domain.call import CallEvent, EventKind
from outdial.domain.errors import Unavailable
from outdial.domain.outcome import Ending, Outcome
from outdial.domain.recipient import RecipientStatus as S
from outdial.ports.lines import LinesTraits
from outdial.ports.signal import Topic
from tests.rooms.house import House, dialling, eventually, without_look_up

COMPLETED = "+15550001234"
RINGS = "+15550000408"
ARRIVED_IN_DOUBT = "+15550000900"
NEVER_ARRIVED = "+15550000910"
SILENT_AFTER_ANSWER = "+15550000903"


async def test_endings_become_outcomes(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit([COMPLETED, "+15550000486", "+15550000301", "+15550000480"])
        await house.pass_secs(1)
        assert await house.outcomes(batch) == {
            Outcome.COMPLETED: 1,
            Outcome.BUSY: 1,
            Outcome.VOICEMAIL: 1,
            Outcome.UNREACHABLE: 1,
        }


async def test_an_order_carries_what_the_worker_needs(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        await house.submit([COMPLETED], telephony_call_config={"ringing_timeout_secs": 20})
        await house.pass_secs(0.5)
        ((at, order),) = house.lines.sent
        assert (order.number, order.caller, order.ring_secs, order.talk_secs) == (COMPLETED, "+15550001000", 20, 600)
        assert order.callback_url.startswith(f"http://127.0.0.1:1/callbacks/loopback/{order.call_key}/")
        assert 0 < order.send_by - at <= 2.0


# --- doubt ---------------------------------------------------------------------------------------------------------


async def test_a_doubtful_call_that_arrived_is_found_and_followed(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit([ARRIVED_IN_DOUBT])
        await house.pass_secs(1)
        (key,) = house.lines.keys()
        assert await house.statuses(batch) == {S.INITIATED: 1}
        house.lines.tell(key, EventKind.ANSWERED)
        house.lines.tell(key, EventKind.ENDED, ending=Ending(Outcome.COMPLETED))
        await house.pass_secs(15)  # no report comes to us: a look-up finds the end
        assert await house.outcomes(batch) == {Outcome.COMPLETED: 1}
        assert house.lines.keys() == [key]


async def test_a_doubtful_call_that_never_arrived_is_unknown_past_the_horizon(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit([NEVER_ARRIVED])
        await house.pass_secs(6)
        assert await house.statuses(batch) == {S.DISPATCHED: 1}  # 2 s to send + 5 s horizon are not over
        await house.pass_secs(3)
        assert await house.outcomes(batch) == {Outcome.UNKNOWN: 1}
        conversation = await house.world.store.conversation(house.world.workspace_id, house.lines.keys()[0])
        assert conversation.ending is not None
        assert conversation.ending.reason == "no_news"
        assert len(house.lines.sent) == 1


async def test_lines_that_raise_leave_doubt_and_are_not_asked_to_send_again(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit(["+15550000911"])
        await house.pass_secs(10)
        assert await house.outcomes(batch) == {Outcome.UNKNOWN: 1}
        assert len(house.lines.sent) == 1


async def test_a_network_that_cannot_be_asked_says_nothing_about_the_call(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        house.lines.away = True
        batch = await house.submit([ARRIVED_IN_DOUBT])
        await house.pass_secs(40)
        assert await house.statuses(batch) == {S.DISPATCHED: 1}
        assert 4 <= len(house.lines.looked_up) <= 8  # with a back-off
        house.lines.away = False
        await house.pass_secs(60, step=1)
        assert await house.statuses(batch) == {S.INITIATED: 1}


async def test_silence_after_the_answer_ends_by_a_look_up(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit([SILENT_AFTER_ANSWER])
        await house.pass_secs(2)
        assert await house.statuses(batch) == {S.IN_PROGRESS: 1}
        house.lines.tell(house.lines.keys()[0], EventKind.ENDED, ending=Ending(Outcome.COMPLETED))
        await house.pass_secs(20)
        assert await house.outcomes(batch) == {Outcome.COMPLETED: 1}


async def test_a_call_up_beyond_every_limit_is_hung_up(tmp_path: Path) -> None:
    agent = {"conversation_config": {"conversation": {"max_duration_seconds": 30}}}
    async with dialling(tmp_path, agent=agent) as house:
        await house.submit([SILENT_AFTER_ANSWER])
        await house.pass_secs(30, step=0.5)
        assert not house.lines.hung_up
        await house.pass_secs(30, step=0.5)
        assert house.lines.keys()[0] in house.lines.hung_up


async def test_without_a_look_up_a_silent_call_is_unknown_once_it_must_be_over(tmp_path: Path) -> None:
    agent = {"conversation_config": {"conversation": {"max_duration_seconds": 30}}}
    async with dialling(tmp_path, traits=without_look_up(), agent=agent) as house:
        batch = await house.submit([NEVER_ARRIVED], telephony_call_config={"ringing_timeout_secs": 10})
        await house.pass_secs(40, step=0.5)
        assert await house.statuses(batch) == {S.DISPATCHED: 1}
        assert house.world.sql("select sum(live) from bucket where key like 'n:%'") == [(1,)]
        await house.pass_secs(10, step=0.5)
        assert await house.outcomes(batch) == {Outcome.UNKNOWN: 1}
        assert not house.lines.looked_up


# --- giving up -----------------------------------------------------------------------------------------------------


async def cancel(house: House, public_id: str, *, hang_up: bool = False) -> None:
    await house.store.cancel(house.world.workspace_id, public_id, hang_up=hang_up, now=house.clock.now())
    await house.signal.ring(Topic.STOP)
    await house.signal.ring(Topic.SWEEP)


async def test_cancel_gives_up_what_rings_and_calls_nobody_new(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_concurrent_calls": 2}) as house:
        batch = await house.submit([f"+1555000{i}0408" for i in range(5)])
        await house.pass_secs(0.5)
        await cancel(house, batch.public_id)
        await house.pass_secs(1)
        assert sorted(house.lines.hung_up) == sorted(house.lines.keys())
        assert await house.statuses(batch) == {S.CANCELLED: 5}
        assert len(house.lines.sent) == 2


async def test_cancel_lets_a_conversation_finish_unless_asked(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit([SILENT_AFTER_ANSWER])
        await house.pass_secs(0.5)
        await cancel(house, batch.public_id)
        await house.pass_secs(3)
        assert not house.lines.hung_up
        await cancel(house, batch.public_id, hang_up=True)
        await house.pass_secs(1)
        assert house.lines.hung_up == house.lines.keys()


async def test_a_call_whose_hang_up_fails_is_hung_up_again(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit([SILENT_AFTER_ANSWER])
        await house.pass_secs(0.5)
        await cancel(house, batch.public_id, hang_up=True)
        await house.pass_secs(10)
        assert 2 <= len(house.lines.hung_up) <= 4


async def test_a_hang_up_that_gets_no_answer_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with dialling(tmp_path) as house:
        hang_up = house.lines.hang_up

        async def never(call_key: str, **more: Any) -> None:
            if call_key == stuck:
                await asyncio.Event().wait()
            await hang_up(call_key, **more)

        monkeypatch.setattr(house.lines, "hang_up", never)
        first = await house.submit([RINGS])
        await house.pass_secs(0.5)
        (stuck,) = house.lines.keys()
        second = await house.submit(["+15550010408"])
        await house.pass_secs(0.5)
        await cancel(house, first.public_id)
        await house.quiet()
        await cancel(house, second.public_id)
        await house.pass_secs(1)
        assert house.lines.hung_up == house.lines.keys()[1:]


async def test_a_cancel_between_go_and_the_send_is_not_sent(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:

        async def cancel_now() -> None:
            house.store.after.clear()
            await cancel(house, batch.public_id)
            await eventually(lambda: bool(house.lines.hung_up))  # the answer to GO is on its way to us meanwhile

        house.store.after["go"] = cancel_now
        batch = await house.submit([RINGS])
        await house.pass_secs(3)
        await eventually(lambda: house.store.asked["take"] > 0)  # the cancel waited in real time
        await house.quiet()
        assert not house.lines.sent
        assert await house.statuses(batch) == {S.CANCELLED: 1}


async def test_a_cancel_before_go_is_refused_by_the_store(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_calls_per_second": 1.0}) as house:
        batch = await house.submit([RINGS, COMPLETED, "+15550002222"])
        await house.pass_secs(0.25)
        assert len(house.lines.sent) == 1
        await cancel(house, batch.public_id)
        await house.pass_secs(5)
        assert len(house.lines.sent) == 1
        assert await house.statuses(batch) == {S.CANCELLED: 3}


# --- a process that stalls -----------------------------------------------------------------------------------------


async def test_a_process_stopped_between_go_and_send_sends_nothing_late(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:

        async def stall() -> None:
            house.store.after.clear()
            house.clock.pass_by(3.0)

        house.store.after["go"] = stall
        batch = await house.submit([COMPLETED])
        await house.quiet()
        assert not house.lines.sent
        assert await house.statuses(batch) == {S.PENDING: 1}  # provably unsent: it goes back
        await house.pass_secs(3)
        assert len(house.lines.sent) == 1


async def test_a_process_stopped_before_go_does_not_ask_for_it(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:

        async def stall() -> None:
            house.store.after.clear()
            house.clock.pass_by(11.0)  # the lease is no longer known to be ours

        house.store.after["claim"] = stall
        batch = await house.submit([COMPLETED])
        await house.quiet()
        assert house.store.asked["go"] == 0
        assert not house.lines.sent
        await house.pass_secs(8)  # the next heartbeat
        assert await house.statuses(batch) == {S.COMPLETED: 1}


# --- a store that is away ------------------------------------------------------------------------------------------


async def test_reports_are_kept_until_the_store_takes_them(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        tries = 0

        async def away() -> None:
            nonlocal tries
            tries += 1
            if tries <= 3:
                raise Unavailable("the database is away")

        house.store.before["take"] = away
        batch = await house.submit([COMPLETED])
        await house.pass_secs(10)
        assert await house.statuses(batch) == {S.COMPLETED: 1}
        assert len(house.lines.sent) == 1


async def test_a_go_whose_answer_is_lost_is_not_sent_and_goes_back(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:

        async def lost() -> None:
            house.store.after.clear()
            raise Unavailable("the answer was lost")

        house.store.after["go"] = lost
        batch = await house.submit([COMPLETED])
        await house.quiet()
        assert not house.lines.sent
        assert await house.statuses(batch) == {S.PENDING: 1}
        await house.pass_secs(5)
        assert await house.statuses(batch) == {S.COMPLETED: 1}
        assert len(house.lines.sent) == 1


# --- stopping and starting again -----------------------------------------------------------------------------------


async def test_a_stop_voids_intents_and_sends_nothing_new(tmp_path: Path) -> None:
    async with dialling(tmp_path, number={"max_calls_per_second": 1.0}) as house:
        batch = await house.submit([f"+1555000{i}1234" for i in range(4)])
        await house.pass_secs(0.25)
        sent = len(house.lines.sent)
        await house.group.stop()
        assert len(house.lines.sent) == sent
        states = dict(house.world.sql("select state, count(*) from attempt group by state"))
        assert AttemptState.INTENT not in states
        assert (await house.statuses(batch))[S.PENDING] == 4 - sent
        await house.world.assert_recount(batch)


async def test_calls_of_an_earlier_life_are_looked_up_and_followed(tmp_path: Path) -> None:
    async with dialling(tmp_path, running=False) as house:
        batch = await house.world.submit([RINGS, NEVER_ARRIVED, COMPLETED])
        found, gone, ended = await house.world.dial(batch)
        house.lines.tell(found.call_key, EventKind.RINGING)
        house.lines.tell(ended.call_key, EventKind.ANSWERED)
        house.lines.tell(ended.call_key, EventKind.ENDED, ending=Ending(Outcome.COMPLETED))
        await house.group.start()
        await house.pass_secs(9)
        assert not house.lines.sent  # nobody is dialled twice
        assert await house.outcomes(batch) == {None: 1, Outcome.UNKNOWN: 1, Outcome.COMPLETED: 1}
        conversation = await house.world.store.conversation(house.world.workspace_id, gone.call_key)
        assert conversation.ending is not None
        assert conversation.ending.reason == "node_lost"
        house.lines.tell(found.call_key, EventKind.ENDED, ending=Ending(Outcome.BUSY))
        await house.pass_secs(20)
        assert await house.outcomes(batch) == {Outcome.BUSY: 1, Outcome.UNKNOWN: 1, Outcome.COMPLETED: 1}
        await house.world.assert_recount(batch)


async def test_intents_of_an_earlier_life_are_dialled_anew(tmp_path: Path) -> None:
    async with dialling(tmp_path, running=False) as house:
        batch = await house.world.submit([COMPLETED])
        (claimed,) = await house.world.claim(batch)
        await house.group.start()
        await house.pass_secs(1)
        assert await house.statuses(batch) == {S.COMPLETED: 1}
        assert house.lines.keys() != [claimed.call_key]


async def test_calls_of_a_dead_worker_are_looked_up_at_once(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit([SILENT_AFTER_ANSWER])
        await house.pass_secs(1)
        (key,) = house.lines.keys()
        house.lines.tell(key, EventKind.ENDED, ending=Ending(Outcome.COMPLETED, "node_lost"))
        house.dialler.checker.orphaned([key])
        await house.pass_secs(0.5)
        assert await house.outcomes(batch) == {Outcome.COMPLETED: 1}


async def test_a_report_by_callback_is_taken_once(tmp_path: Path) -> None:
    async with dialling(tmp_path) as house:
        batch = await house.submit([SILENT_AFTER_ANSWER])
        await house.pass_secs(1)
        (key,) = house.lines.keys()
        end = CallEvent(key, EventKind.ENDED, house.clock.now(), event_id="x", ending=Ending(Outcome.COMPLETED))
        (first,) = await house.dialler.intake.take([end])
        (second,) = await house.dialler.intake.take([end])
        assert first.changed
        assert not second.changed
        assert await house.outcomes(batch) == {Outcome.COMPLETED: 1}


@pytest.mark.parametrize("horizon", [0.0, 20.0])
async def test_the_horizon_is_the_provider_s(tmp_path: Path, horizon: float) -> None:
    traits = LinesTraits("loopback", can_look_up=True, horizon_secs=horizon, place_timeout_secs=10.0)
    async with dialling(tmp_path, traits=traits) as house:
        batch = await house.submit([NEVER_ARRIVED])
        await house.pass_secs(1 + horizon)
        assert await house.statuses(batch) == {S.DISPATCHED: 1}
        await house.pass_secs(4)
        assert await house.outcomes(batch) == {Outcome.UNKNOWN: 1}
