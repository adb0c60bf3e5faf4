"""A twin of a request waits for the first, runs if that failed, and is told to come back if it takes too long."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from outdial.batches.replay import Twins
from outdial.domain.batch import BatchStatus, Counters
from outdial.domain.errors import Doubtful, NotFound, Unavailable
from outdial.ports.store import Answered, BatchRow, RequestKey, Store
from outdial.runtime.clock import ManualClock, SystemClock

KEY = RequestKey(1, "same", 10.0)
BATCH = BatchRow(
    id=1,
    workspace_id=1,
    public_id="btcal_1",
    name="",
    agent_id=1,
    agent_public_id="",
    agent_name="",
    number_id=None,
    number_public_id=None,
    provider=None,
    status=BatchStatus.PENDING,
    status_reason="",
    counters=Counters(1, 0, 0),
    retry_count=0,
    created_at=0,
    scheduled_at=0,
    updated_at=0,
    timezone=None,
    branch_id=None,
    environment=None,
    whatsapp_params=None,
    telephony_call_config={},
    target_concurrency_limit=None,
    calling_hours=None,
    paused=False,
    generation=0,
    last_decision=0,
)


class Kept:
    """The store's memory of acts, in this test's hand."""

    def __init__(self) -> None:
        self.answers: dict[str, Answered] = {}
        self.acts = 0
        self.deleted = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.noted: list[RequestKey] = []

    async def replayed(self, request: RequestKey, *, now: float) -> Answered | None:
        await asyncio.sleep(0)
        if self.deleted:
            raise NotFound("batch", "btcal_1")
        kept = self.answers.get(request.key)
        return None if kept is None else replace(kept, replayed=True)

    async def note_answer(self, request: RequestKey, *, now: float) -> None:
        self.noted.append(request)
        if self.failures:
            raise self.failures.pop(0)

    async def batch(self, workspace_id: int, public_id: str) -> BatchRow:
        return BATCH

    async def act(self) -> Answered:
        self.acts += 1
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.answers[KEY.key] = Answered(BATCH)
        return Answered(BATCH)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def twins_of(kept: Kept, **settings: Any) -> Twins:
    return Twins(cast("Store", kept), SystemClock(), **settings)


async def test_many_twins_are_one_act(kept: Kept) -> None:
    twins = twins_of(kept)
    answers = await asyncio.gather(*(twins.once(KEY, kept.act) for _ in range(50)))
    assert kept.acts == 1
    assert sum(not one.replayed for one in answers) == 1


async def test_without_a_key_each_is_its_own(kept: Kept) -> None:
    twins = twins_of(kept)
    await asyncio.gather(*(twins.once(None, kept.act) for _ in range(3)))
    assert kept.acts == 3


async def test_if_the_first_failed_one_twin_runs(kept: Kept) -> None:
    kept.failures = [Unavailable("database away")]
    twins = twins_of(kept)
    answers = await asyncio.gather(*(twins.once(KEY, kept.act) for _ in range(10)), return_exceptions=True)
    assert kept.acts == 2
    assert sum(isinstance(one, Unavailable) for one in answers) == 1
    assert sum(isinstance(one, Answered) and not one.replayed for one in answers) == 1


async def test_an_answer_is_noted_once_and_a_failure_never(kept: Kept) -> None:
    twins = twins_of(kept)
    lasting = replace(KEY, unheard_secs=120.0)
    kept.failures = [Doubtful("nobody knows")]
    with pytest.raises(Doubtful):
        await twins.once(lasting, kept.act)
    await asyncio.sleep(0.01)
    assert kept.noted == []
    await asyncio.gather(*(twins.once(lasting, kept.act) for _ in range(5)))
    await asyncio.sleep(0.01)
    assert kept.noted == [lasting]


async def test_a_note_that_fails_harms_nobody(kept: Kept) -> None:
    lasting = replace(KEY, unheard_secs=120.0)

    async def act() -> Answered:
        answered = await kept.act()
        kept.failures = [Unavailable("the database went away")]
        return answered

    assert not (await twins_of(kept).once(lasting, act)).replayed
    await asyncio.sleep(0.01)
    assert (kept.noted, kept.failures) == ([lasting], [])


async def test_a_twin_waits_no_longer_than_told(kept: Kept) -> None:
    kept.gate.clear()
    twins = twins_of(kept, wait_secs=0.05)
    first = asyncio.create_task(twins.once(KEY, kept.act))
    await asyncio.sleep(0.01)
    with pytest.raises(Unavailable) as told:
        await twins.once(KEY, kept.act)
    assert told.value.retry_after > 0
    kept.gate.set()
    assert not (await first).replayed
    assert kept.acts == 1


async def test_a_client_that_goes_away_does_not_stop_the_act(kept: Kept) -> None:
    kept.gate.clear()
    twins = twins_of(kept)
    first = asyncio.create_task(twins.once(KEY, kept.act))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    second = asyncio.create_task(twins.once(KEY, kept.act))
    await asyncio.sleep(0.01)
    kept.gate.set()
    assert (await second).replayed
    assert kept.acts == 1


async def test_a_twin_of_what_was_deleted_meanwhile_is_told_so(kept: Kept) -> None:
    kept.gate.clear()
    twins = twins_of(kept)
    first = asyncio.create_task(twins.once(KEY, kept.act))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(twins.once(KEY, kept.act))
    await asyncio.sleep(0.01)
    kept.deleted = True
    kept.gate.set()
    await first
    with pytest.raises(NotFound):
        await second
    assert kept.acts == 1


async def test_other_requests_don_t_wait(kept: Kept) -> None:
    kept.gate.clear()
    twins = Twins(cast("Store", kept), ManualClock())
    first = asyncio.create_task(twins.once(KEY, kept.act))
    other = asyncio.create_task(twins.once(RequestKey(2, "same", 10.0), kept.act))
    await asyncio.sleep(0.01)
    assert kept.acts == 2
    kept.gate.set()
    await asyncio.gather(first, other)
