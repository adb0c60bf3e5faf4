"""The group committer: every write of this process, many in one transaction, acknowledged after the commit.

One thread owns the writing connection. A lone request is committed at once; what arrives meanwhile becomes the next
group, so that a hot row costs one commit a group and not one a call (measured: 20 times as many).
"""

import asyncio
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias

from outdial.domain.errors import Doubtful, Unavailable
from outdial.runtime import failpoint
from outdial.runtime.log import get_logger
from outdial.store.engine import PATIENCE_SECS, Engine, Trouble, WriteSession
from outdial.store.op import Failure, Footprint, Kind, Lane, Tx

log = get_logger()

AnyKind: TypeAlias = Kind[Any, Any]
Answer: TypeAlias = Any
"""What a kind's `run` returned for a request, or a Failure."""

COLLECT_SECS = 0.005
COLLECT_LOOKS = 5
"""How often it looks, while it collects, whether still more comes."""
GROUP_SIZE = 500
BUSY_FROM = 16
"""Requests in sight (those just committed and those waiting) from which a group is worth waiting for."""
CONFLICT_TRIES = 4
CONFLICT_SECS = 5.0
"""After which nothing is tried again for a conflict: the thread has other groups to serve."""
CONFLICTS_BEFORE_SPLIT = 2
LONG_CONFLICT_SECS = 1.0
"""A conflict that took so long was a lock time-out: the same again would wait as long."""
LONELY_LOCK_SECS = 0.3
"""Lock wait of a request that is rerun alone: so one blocked row does not hold up everybody behind it."""
LOSSES_BEFORE_SPLIT = 3
"""Connections lost while running the same group, after which one of its requests is taken to be the cause."""


@dataclass(slots=True)
class Job:
    """One request on its way."""

    kind: AnyKind
    request: Any
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    asked_at: float
    """time.monotonic()."""
    answer: Answer = None

    def fail(self, error: Exception) -> None:
        """Answer with this error."""
        self.answer = Failure(error)


@dataclass(slots=True)
class KindStats:
    """What was asked of one kind."""

    requests: int = 0
    groups: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    """How many requests went into one run, and how often."""
    longest_run: float = 0.0
    """Seconds of the longest run inside a transaction."""


@dataclass(slots=True)
class Stats:
    """What the committer did since it was started, or since `reset`."""

    groups: int = 0
    requests: int = 0
    reruns: int = 0
    """Transactions that had to be done again, whole or in parts."""
    lost: int = 0
    """Connections that broke."""
    doubts: int = 0
    """COMMITs whose answer never came."""
    longest_group: float = 0.0
    """Seconds from BEGIN to the end of COMMIT."""
    longest_wait: dict[Lane, float] = field(default_factory=lambda: dict.fromkeys(Lane, 0.0))
    """Seconds from the request to its answer."""
    kinds: dict[str, KindStats] = field(default_factory=dict)

    def kind(self, name: str) -> KindStats:
        """Of one kind."""
        return self.kinds.setdefault(name, KindStats())


class _Doubt(Exception):
    """A COMMIT whose outcome could not be learnt in time."""


class GroupCommitter:
    """Collects requests, carries them out in one thread, answers them after the commit."""

    def __init__(
        self,
        engine: Engine,
        *,
        name: str = "writer",
        collect_secs: float = COLLECT_SECS,
        group_size: int = GROUP_SIZE,
        patience_secs: float = PATIENCE_SECS,
    ) -> None:
        """Make it; `patience_secs`: how long a request waits for a database that is away or in conflict."""
        self.stats = Stats()
        self.answered: Callable[[Lane, float], None] = _nobody
        """Told of each request, from the thread, how many seconds it took from asking to the answer."""
        self._engine = engine
        self._name = name
        self._collect_secs = collect_secs
        self._group_size = group_size
        self._patience_secs = patience_secs
        self._hot: deque[Job] = deque()
        self._bulk: deque[Job] = deque()
        self._arrived = threading.Condition()
        self._running = False
        self._idle = False
        """The thread waits for a first request; while it collects, requests need not wake it."""
        self._thread: threading.Thread | None = None
        self._session: WriteSession | None = None
        self._token = random.getrandbits(32) << 20
        self._last_group = 0

    # --- asked from event loops -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to carry out; a second call does nothing."""
        with self._arrived:
            if self._running:
                return
            self._running = True
            self._thread = threading.Thread(target=self._work, name=f"outdial-{self._name}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Commit what was asked, then end; blocks until then. Forgives being called twice."""
        with self._arrived:
            self._running = False
            self._arrived.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def submit(self, kind: AnyKind, request: object) -> "asyncio.Future[Any]":
        """Ask for one operation; the future is done after its commit.

        Cancelling the future, or whoever waits for it, neither undoes nor loses the operation.
        """
        loop = asyncio.get_running_loop()
        job = Job(kind, request, loop, loop.create_future(), time.monotonic())
        with self._arrived:
            if not self._running:
                job.fail(Unavailable("the store is stopped"))
            else:
                (self._bulk if kind.lane is Lane.BULK else self._hot).append(job)
                if self._idle:
                    self._arrived.notify()
        if job.answer is not None:
            _resolve([job])
        return job.future

    def reset_stats(self) -> Stats:
        """The statistics so far; counting begins anew."""
        before, self.stats = self.stats, Stats()
        return before

    # --- the thread -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        bulk_turn = False
        while (jobs := self._next(bulk_turn=bulk_turn)) is not None:
            bulk_turn = jobs[0].kind.lane is not Lane.BULK
            try:
                self._serve(jobs)
            except Exception:
                log.exception("group of writes died", kinds=_kinds(jobs))
                for job in jobs:
                    job.fail(Doubtful("the writer failed, and nobody can say whether it was done"))
            self._deliver(jobs)
            self._last_group = len(jobs)
        self._drop_session()

    def _next(self, *, bulk_turn: bool) -> list[Job] | None:
        """The next group, or None at the end. After each hot group one bulk operation has its turn."""
        with self._arrived:
            while not self._hot and not self._bulk:
                if not self._running:
                    return None
                self._last_group = 0
                self._idle = True
                self._arrived.wait()
                self._idle = False
            if self._bulk and (bulk_turn or not self._hot):
                return [self._bulk.popleft()]
            self._collect()
            return [self._hot.popleft() for _ in range(min(len(self._hot), self._group_size))]

    def _collect(self) -> None:
        """Under load wait for more while more comes, until the oldest has waited long enough or the group is full."""
        until = self._hot[0].asked_at + self._collect_secs
        if self._last_group + len(self._hot) < BUSY_FROM:
            return
        before = 0
        while self._running and before < len(self._hot) < self._group_size and time.monotonic() < until:
            before = len(self._hot)
            self._arrived.wait(self._collect_secs / COLLECT_LOOKS)

    def _serve(self, jobs: list[Job], course: "_Course | None" = None) -> None:
        """Carry jobs out together until each has its answer."""
        course = course or _Course()
        while jobs:
            began = time.monotonic()
            try:
                self._transaction(jobs, lock_wait=course.lock_wait)
            except Exception as error:  # noqa: BLE001 - whatever it is: the group is undone and each caller is told
                self.stats.reruns += 1
                jobs = self._after(error, jobs, course)
            else:
                self.stats.longest_group = max(self.stats.longest_group, time.monotonic() - began)
                failpoint.reach("after_commit")
                return

    def _after(self, error: Exception, jobs: list[Job], course: "_Course") -> list[Job]:
        """Deal with a transaction that was undone; the jobs that are to be tried again together."""
        if isinstance(error, _Doubt):
            why = "the database went away in the commit, and nobody can say whether it was done"
            return _fail(jobs, why, error, Doubtful)
        match self._engine.trouble(error):
            case Trouble.LOST:
                return self._after_loss(error, jobs, course)
            case Trouble.CONFLICT:
                return self._after_conflict(error, jobs, course)
            case Trouble.UNUSABLE:
                self._drop_session()
                return _fail(jobs, "the database can't write now", error)
            case Trouble.OURS if len(jobs) > 1:
                return self._one_by_one(jobs)
            case Trouble.OURS:
                jobs[0].fail(error)
                return []

    def _after_loss(self, error: Exception, jobs: list[Job], course: "_Course") -> list[Job]:
        """Connect again, with growing pauses, for as long as the jobs have patience."""
        if self._session is not None:
            course.losses += 1
            self.stats.lost += 1
        self._drop_session()
        if course.losses >= LOSSES_BEFORE_SPLIT and len(jobs) > 1:
            return self._one_by_one(jobs)
        until = time.monotonic() - self._patience_secs
        _fail([job for job in jobs if job.asked_at <= until], "the database is away", error)
        jobs = [job for job in jobs if job.asked_at > until]
        if jobs:
            time.sleep(course.pause)
            course.pause = min(course.pause * 2, 1.0)
        return jobs

    def _after_conflict(self, error: Exception, jobs: list[Job], course: "_Course") -> list[Job]:
        """The same again after a moment; then one by one, so that only those wait whose rows are held."""
        course.conflicts += 1
        took = time.monotonic() - course.began
        if len(jobs) > 1 and (course.conflicts >= CONFLICTS_BEFORE_SPLIT or took > LONG_CONFLICT_SECS):
            return self._one_by_one(jobs)
        if course.conflicts >= CONFLICT_TRIES or time.monotonic() > course.give_up_at:
            return _fail(jobs, "somebody else holds what this needs", error)
        time.sleep(0.01 * 2**course.conflicts * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        return jobs

    def _one_by_one(self, jobs: list[Job]) -> list[Job]:
        """Each job in a transaction of its own, so that a poisonous one harms only itself."""
        log.warning("group of writes rerun one by one", kinds=_kinds(jobs))
        give_up_at = time.monotonic() + CONFLICT_SECS
        for job in jobs:
            self._serve([job], _Course(lock_wait=LONELY_LOCK_SECS, give_up_at=give_up_at))
        return []

    def _transaction(self, jobs: list[Job], *, lock_wait: float | None) -> None:
        if self._session is None:
            self._session = self._engine.writer(self._name)
        session = self._session
        self._token += 1
        tx = session.begin(lock_wait=lock_wait)
        try:
            self._run(tx, jobs)
            session.seal(self._token)
            failpoint.reach("in_commit")
        except Exception:
            session.rollback()
            raise
        try:
            session.commit()
        except Exception as error:
            if self._engine.trouble(error) is not Trouble.LOST:
                session.rollback()
                raise
            if not self._learn_whether_committed():
                raise
        self.stats.groups += 1
        self.stats.requests += len(jobs)

    def _run(self, tx: Tx, jobs: list[Job]) -> None:
        """Lock what the kinds say, then run kind by kind."""
        ordered = sorted(jobs, key=lambda job: (job.kind.order, job.kind.name))
        groups = [(kind, list(members)) for kind, members in groupby(ordered, key=lambda job: job.kind)]
        footprint = Footprint.union([kind.footprint(tx, [job.request for job in group]) for kind, group in groups])
        if footprint.buckets or footprint.batches:
            tx.lock(footprint)
        for kind, group in groups:
            began = time.monotonic()
            answers = kind.run(tx, [job.request for job in group])
            for job, answer in zip(group, answers, strict=True):
                job.answer = answer
            stats = self.stats.kind(kind.name)
            stats.groups += 1
            stats.requests += len(group)
            stats.sizes[len(group)] += 1
            stats.longest_run = max(stats.longest_run, time.monotonic() - began)

    def _learn_whether_committed(self) -> bool:
        """After a COMMIT whose answer never came: connect again and look for the token; raises _Doubt."""
        self.stats.doubts += 1
        until, pause = time.monotonic() + self._patience_secs, 0.05
        while True:
            self._drop_session()
            try:
                self._session = self._engine.writer(self._name)
                committed = self._session.committed(self._token)
            except Exception as error:
                if self._engine.trouble(error) not in {Trouble.LOST, Trouble.CONFLICT}:
                    raise _Doubt(_words(error)) from error
                if time.monotonic() > until:
                    raise _Doubt(_words(error)) from error
                time.sleep(pause)
                pause = min(pause * 2, 1.0)
            else:
                log.warning("commit was in doubt", committed=committed)
                return committed

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _deliver(self, jobs: list[Job]) -> None:
        """Give the answers to their event loops, one call for each loop."""
        now = time.monotonic()
        for job in jobs:
            lane, took = job.kind.lane, now - job.asked_at
            self.stats.longest_wait[lane] = max(self.stats.longest_wait[lane], took)
            self.answered(lane, took)
        by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in jobs:
            by_loop.setdefault(job.loop, []).append(job)
        for loop, answered in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, answered)
            except RuntimeError:  # that loop is closed: nobody waits there any more
                log.warning("answers came too late for their event loop", kinds=_kinds(answered))


@dataclass(slots=True)
class _Course:
    """How it went so far with jobs that are tried together."""

    lock_wait: float | None = None
    began: float = field(default_factory=time.monotonic)
    give_up_at: float = field(default_factory=lambda: time.monotonic() + CONFLICT_SECS)
    conflicts: int = 0
    losses: int = 0
    pause: float = 0.05


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        future = job.future
        if future.done():  # cancelled: nobody waits, but it was carried out
            continue
        if isinstance(job.answer, Failure):
            future.set_exception(job.answer.exception)
            future.exception()  # seen: a caller that was cancelled meanwhile is no reason to complain
        else:
            future.set_result(job.answer)


def _fail(jobs: list[Job], why: str, error: Exception, told: type[Unavailable] = Unavailable) -> list[Job]:
    """Tell all of them; nobody is left. What the database said is for the log, not for callers."""
    if jobs:
        log.error("writes failed", why=why, kinds=_kinds(jobs), error=_words(error))
    for job in jobs:
        unavailable = told(why)
        unavailable.__cause__ = error
        job.fail(unavailable)
    return []


def _nobody(_lane: Lane, _seconds: float) -> None:
    """Nobody listens."""


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _kinds(jobs: list[Job]) -> dict[str, int]:
    return dict(Counter(job.kind.name for job in jobs))
