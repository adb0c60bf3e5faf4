"""Twins: the same request sent again, by a client that did not hear our answer.

The official clients re-send a POST on 408, 409, 429 and 5xx without an idempotency key. The store gives a twin the
answer of an act that is committed; this module holds back a twin that comes while the first is still at work, so that
it neither acts a second time nor stages ten thousand rows in vain.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from outdial.domain.errors import Unavailable
from outdial.ports.store import Answered, RequestKey, Store
from outdial.runtime.clock import Clock

WAIT_SECS = 10.0
"""How long a twin waits for the first; then it is told to come back."""

Act = Callable[[], Awaitable[Answered]]


class Twins:
    """The acts under way in this process, by the key of their request."""

    def __init__(self, store: Store, clock: Clock, *, wait_secs: float = WAIT_SECS) -> None:
        self._store = store
        self._clock = clock
        self._wait_secs = wait_secs
        self._under_way: dict[tuple[int, str], asyncio.Task[Answered]] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def once(self, request: RequestKey | None, act: Act) -> Answered:
        """Do the act, or give the answer that a twin of this request got; without a key every request is its own."""
        if request is None:
            return await asyncio.shield(asyncio.ensure_future(_run(act)))
        deadline = self._clock.boottime() + self._wait_secs
        while (first := self._under_way.get(_name(request))) is not None:
            if await self._succeeded(first, until=deadline):
                return await self._again(request, first.result())
        if (answered := await self._store.replayed(request, now=self._clock.now())) is not None:
            return answered
        if _name(request) in self._under_way:  # another twin began while we asked the store
            return await self.once(request, act)
        return await asyncio.shield(self._begin(request, act))

    def _begin(self, request: RequestKey, act: Act) -> asyncio.Task[Answered]:
        """The act in a task of its own: a client that hangs up does not stop what may already be half done."""
        name = _name(request)
        task = asyncio.create_task(_run(act), name="act")
        self._under_way[name] = task
        task.add_done_callback(lambda done: self._over(request, done))
        return task

    def _over(self, request: RequestKey, task: asyncio.Task[Answered]) -> None:
        del self._under_way[_name(request)]
        # its exception is heard here: whoever waited got it, and nobody else needs to
        if task.cancelled() or task.exception() is not None or request.unheard_secs <= request.replay_secs:
            return
        note = asyncio.create_task(self._note(request), name="note answer")
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _note(self, request: RequestKey) -> None:
        """Behind the answer, which does not wait for it; if it fails, twins get the answer for longer."""
        with suppress(Unavailable):
            await self._store.note_answer(request, now=self._clock.now())

    async def _succeeded(self, first: asyncio.Task[Answered], *, until: float) -> bool:
        """Wait for the first; False if it failed, so that the twin may run."""
        left = until - self._clock.boottime()
        done, _ = await asyncio.wait({first}, timeout=max(left, 0.0))
        if not done:
            raise Unavailable("the same request is still being worked on", retry_after=1.0)
        return not first.cancelled() and first.exception() is None

    async def _again(self, request: RequestKey, answer: Answered) -> Answered:
        """The first one's answer; the batch as it is now if the answer is no longer kept. NotFound if deleted since."""
        kept = await self._store.replayed(request, now=self._clock.now())
        if kept is not None:
            return kept
        batch = await self._store.batch(request.workspace_id, answer.batch.public_id)
        return Answered(batch, replayed=True, taken=answer.taken)


def _name(request: RequestKey) -> tuple[int, str]:
    return request.workspace_id, request.key


async def _run(act: Act) -> Answered:
    return await act()
