"""Call workers as real processes: spreading, death, silence, stopping, and what becomes of the calls in hand."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outdial.app import wire
from outdial.app.pool import LinesBroken, PoolSettings, WorkerPool
from outdial.app.worker import Worker
from outdial.calls.network import Network
from outdial.domain.call import CallEvent, EventKind
from outdial.ports.lines import CallOrder, LookUpFailed
from outdial.runtime.clock import ManualClock, SystemClock
from outdial.runtime.ids import new_call_key
from tests.rooms.house import eventually
from tests.rooms.scripted import ScriptedLines

ROOT = Path(__file__).resolve().parents[2]
CLOCK = SystemClock()


@pytest.fixture(autouse=True)
def _workers_find_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "sends.jsonl"


def told(log: Path, event: str) -> list[str]:
    if not log.exists():
        return []
    return [line["call_key"] for line in map(json.loads, log.read_text().splitlines()) if line["event"] == event]


def senders(log: Path) -> list[int]:
    return [line["pid"] for line in map(json.loads, log.read_text().splitlines()) if line["event"] == "sent"]


def order(ending: str = "00", *, send_in: float = 2.0) -> CallOrder:
    return CallOrder(
        call_key=new_call_key(),
        number=f"+4930000000{ending}",
        caller="+493099999",
        provider="scripted",
        trunk={},
        agent={"id": "agent_1", "conversation_config": {"agent": {"first_message": "Hello"}}},
        variables={"name": "Ann", "n": 1, "vip": True},
        ring_secs=60,
        talk_secs=600,
        send_by=CLOCK.boottime() + send_in,
        callback_url="http://127.0.0.1:1/callbacks",
        callback_secret="s",
    )


def settings(log: Path, **changes: Any) -> PoolSettings:
    base = PoolSettings("scripted", {"log": str(log)}, spec="tests.rooms.scripted:SPEC")
    return replace(base, **changes)


@asynccontextmanager
async def running(given: PoolSettings, **more: Any) -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(given, clock=CLOCK, **more)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


async def kinds(pool: WorkerPool, given: CallOrder) -> list[EventKind]:
    return [event.kind async for event in pool.lines.start(given)]


async def until(log: Path, event: str, n: int) -> None:
    await eventually(lambda: len(told(log, event)) >= n)


async def test_events_of_every_order_come_back_in_order(log: Path) -> None:
    async with running(settings(log)) as pool:
        many = await asyncio.gather(*(kinds(pool, order()) for _ in range(300)))
        assert all(one == [EventKind.SENT, EventKind.ANSWERED, EventKind.ENDED] for one in many)
        assert await kinds(pool, order("02")) == [EventKind.THROTTLED]
        assert await kinds(pool, order("03")) == [EventKind.DOUBTFUL]
        assert await kinds(pool, order("04")) == [EventKind.DOUBTFUL]
    assert len(set(told(log, "sent"))) == len(told(log, "sent")) == 302


async def test_orders_are_spread_to_the_least_loaded_worker(log: Path) -> None:
    async with running(settings(log, workers=2, cap=10)) as pool:
        tasks = [asyncio.create_task(kinds(pool, order("01"))) for _ in range(20)]
        await until(log, "sent", 20)
        by_worker = senders(log)
        assert sorted(by_worker.count(pid) for pid in pool.pids) == [10, 10]
        assert pool.capacity == 20
        late = order("01", send_in=0.2)
        assert await kinds(pool, late) == [EventKind.UNSENT]  # no room until its deadline
        assert late.call_key not in told(log, "sent")
        for task in tasks:
            task.cancel()


async def test_an_order_past_its_deadline_is_never_sent(log: Path) -> None:
    async with running(settings(log)) as pool:
        assert await kinds(pool, order(send_in=-0.1)) == [EventKind.UNSENT]
    assert not told(log, "sent")


async def test_hang_up_ends_a_ringing_call(log: Path) -> None:
    async with running(settings(log)) as pool:
        given = order("01")
        task = asyncio.create_task(kinds(pool, given))
        await until(log, "sent", 1)
        await pool.lines.hang_up(given.call_key, even_if_answered=False)
        assert (await task)[-1] is EventKind.ENDED


async def test_look_up_answers_none_or_fails(log: Path) -> None:
    async with running(settings(log)) as pool:
        seen = await pool.lines.look_up("some call")
        assert seen is not None
        assert seen.events[0].kind is EventKind.RINGING
        assert await pool.lines.look_up("unknown") is None
        with pytest.raises(LookUpFailed, match="away"):
            await pool.lines.look_up("broken")


async def test_a_look_up_that_hangs_fails_when_its_worker_dies(log: Path) -> None:
    async with running(settings(log)) as pool:
        asked = asyncio.create_task(pool.lines.look_up("slow"))
        await asyncio.sleep(0.1)
        os.kill(pool.pids[0], signal.SIGKILL)
        with pytest.raises(LookUpFailed):
            await asked


async def test_orders_of_a_worker_that_dies_are_doubtful_and_the_next_one_serves(log: Path) -> None:
    async with running(settings(log)) as pool:
        dead: list[str] = []
        pool.on_death = dead.extend
        up = [order("01") for _ in range(3)]
        tasks = [asyncio.create_task(kinds(pool, one)) for one in up]
        await until(log, "sent", 3)
        killer = order("09")
        assert await kinds(pool, killer) == [EventKind.DOUBTFUL]
        for task in tasks:
            assert (await task)[-1] is EventKind.DOUBTFUL
        assert set(dead) == {one.call_key for one in (*up, killer)}
        assert await kinds(pool, order()) == [EventKind.SENT, EventKind.ANSWERED, EventKind.ENDED]
        assert pool.restarts == 1
    assert len(set(told(log, "sent"))) == len(told(log, "sent")) == 5


async def test_a_stopped_worker_is_killed_and_its_orders_are_doubtful(log: Path) -> None:
    async with running(settings(log, silent_secs=1.5)) as pool:
        pid = pool.pids[0]
        os.kill(pid, signal.SIGSTOP)
        assert await kinds(pool, order(send_in=0.5)) == [EventKind.DOUBTFUL]
        assert await kinds(pool, order()) == [EventKind.SENT, EventKind.ANSWERED, EventKind.ENDED]
        assert pool.pids != [pid]
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_worker_that_continues_late_sends_nothing(log: Path) -> None:
    async with running(settings(log)) as pool:
        os.kill(pool.pids[0], signal.SIGSTOP)
        task = asyncio.create_task(kinds(pool, order(send_in=0.2)))
        await asyncio.sleep(0.5)
        os.kill(pool.pids[0], signal.SIGCONT)
        assert await task == [EventKind.UNSENT]
    assert not told(log, "sent")


async def test_ctrl_c_does_not_reach_a_worker(log: Path) -> None:
    async with running(settings(log)) as pool:
        os.kill(pool.pids[0], signal.SIGINT)
        assert await kinds(pool, order()) == [EventKind.SENT, EventKind.ANSWERED, EventKind.ENDED]
        assert pool.restarts == 0


async def test_sigterm_drains_a_worker_while_another_takes_the_orders(log: Path) -> None:
    async with running(settings(log, workers=2)) as pool:
        given = order("01")
        task = asyncio.create_task(kinds(pool, given))
        await until(log, "sent", 1)
        (pid,) = senders(log)
        os.kill(pid, signal.SIGTERM)
        await asyncio.sleep(0.2)
        assert await kinds(pool, order()) == [EventKind.SENT, EventKind.ANSWERED, EventKind.ENDED]
        assert not task.done()
        await pool.lines.hang_up(given.call_key, even_if_answered=True)
        assert (await task)[-1] is EventKind.ENDED
        await eventually(lambda: pid not in pool.pids and len(pool.pids) == 2)


async def test_stop_gives_up_what_rings_and_tells_of_it(log: Path) -> None:
    pool = WorkerPool(settings(log), clock=CLOCK)
    await pool.start()
    task = asyncio.create_task(kinds(pool, order("01")))
    told_elsewhere = order("05")
    assert await kinds(pool, told_elsewhere) == [EventKind.SENT]
    forgotten = order("05")
    assert await kinds(pool, forgotten) == [EventKind.SENT]
    pool.forget(forgotten.call_key)
    await until(log, "sent", 3)
    await pool.stop()
    await pool.stop()
    assert (await task)[-1] is EventKind.ENDED
    assert told_elsewhere.call_key in told(log, "hung_up")  # its reports go elsewhere, and it may be up
    assert forgotten.call_key not in told(log, "hung_up")
    assert await kinds(pool, order()) == [EventKind.UNSENT]


async def test_a_worker_whose_server_is_gone_gives_up_and_exits(log: Path) -> None:
    child = subprocess.Popen(  # noqa: ASYNC220 - its pipes are the test
        [sys.executable, "-m", "outdial.app.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    given = order("01")
    setup = wire.Setup("scripted", {"log": str(log)}, "tests.rooms.scripted:SPEC")
    child.stdin.write(wire.pack(setup) + wire.pack(wire.Start(given)))
    child.stdin.flush()
    await until(log, "sent", 1)
    child.stdin.close()
    child.stdout.close()
    assert await asyncio.to_thread(child.wait, 5) == 0
    assert told(log, "hung_up") == [given.call_key]


async def test_what_prints_in_a_worker_does_not_disturb_the_frames(log: Path) -> None:
    child = subprocess.Popen(  # noqa: ASYNC220 - its pipes are the test
        [sys.executable, "-m", "outdial.app.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    setup = wire.Setup("scripted", {"log": str(log)}, "tests.rooms.scripted:SPEC")
    out, _ = await asyncio.to_thread(child.communicate, wire.pack(setup) + wire.pack(wire.Ping(7)))
    frames = [wire.to_server.decode(body) for body in wire.Unpacker().feed(out)]
    assert isinstance(frames[0], wire.Ready)
    assert frames[1] == wire.Pong(7)


async def test_a_worker_inherits_no_socket_and_no_lock(log: Path) -> None:
    with socket.socket() as listening, log.with_name("lock").open("w") as lock:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        for ours in (listening.fileno(), lock.fileno()):
            os.set_inheritable(ours, True)
        inodes = {os.fstat(ours.fileno()).st_ino for ours in (listening, lock)}
        async with running(settings(log)) as pool:
            fds = Path(f"/proc/{pool.pids[0]}/fd").iterdir()  # noqa: ASYNC240 - the kernel answers at once
            assert inodes.isdisjoint(fd.stat().st_ino for fd in fds)
            assert os.getpgid(pool.pids[0]) == os.getpgrp()


async def test_a_worker_lets_go_of_calls_that_must_be_over() -> None:
    clock = ManualClock()
    worker = Worker(ScriptedLines({}), say=lambda _: None, clock=clock)
    given = replace(order("05"), send_by=clock.boottime() + 2)
    worker.take(wire.Start(given))
    await asyncio.sleep(0.01)
    clock.pass_by(given.ring_secs + given.talk_secs)
    worker.take(wire.Ping(1))
    assert not worker.idle
    clock.pass_by(120)
    worker.take(wire.Ping(2))
    assert worker.idle


async def test_lines_that_cannot_be_made_stop_the_start_and_say_why(log: Path) -> None:
    pool = WorkerPool(settings(log, settings={"refuse": "no such trunk"}), clock=CLOCK)
    with pytest.raises(LinesBroken, match="no such trunk"):
        await pool.start()


async def test_a_pool_enters_itself_among_the_networks(log: Path) -> None:
    networks: dict[str, Network] = {}
    async with running(settings(log, cap=7), networks=networks) as pool:
        assert networks["scripted"].lines is pool.lines
        assert networks["scripted"].traits.horizon_secs == 1.0
        assert networks["scripted"].capacity == 7


def test_frames_survive_any_cut_of_the_stream() -> None:
    event = CallEvent("k", EventKind.ENDED, 1.0)
    data = b"".join(wire.pack(frame) for frame in (wire.Reported(event), wire.Pong(1), wire.Finished("k")))
    for size in (1, 3, 7, len(data)):
        unpacker = wire.Unpacker()
        bodies = [body for at in range(0, len(data), size) for body in unpacker.feed(data[at : at + size])]
        assert [wire.to_server.decode(body) for body in bodies] == [
            wire.Reported(event),
            wire.Pong(1),
            wire.Finished("k"),
        ]


def test_a_frame_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(wire.BrokenFrame):
        wire.Unpacker().feed(b"\xff\xff\xff\xff....")
