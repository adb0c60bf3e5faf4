"""The readers: a few threads with a connection each, beside the writer."""

import asyncio
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from outdial.domain.errors import Unavailable
from outdial.runtime.log import get_logger
from outdial.store.engine import PATIENCE_SECS, Engine, ReadSession, Trouble
from outdial.store.op import Reads

log = get_logger()

THREADS = 3
WITHIN = 3
"""Times the patience: after which whoever asked is told, whatever the threads are waiting for."""

T = TypeVar("T")


class Readers:
    """Runs reading functions in threads, each on one snapshot."""

    def __init__(self, engine: Engine, *, threads: int = THREADS, patience_secs: float = PATIENCE_SECS / 2) -> None:
        """Make it; `patience_secs`: how long a read waits for a database that is away."""
        self._engine = engine
        self._patience_secs = patience_secs
        self._threads = threads
        self._idle: queue.SimpleQueue[ReadSession] = queue.SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None
        self.answered: Callable[[float], None] = _nobody
        """Told, from any thread, how many seconds a read took once it had a thread."""

    def start(self) -> None:
        """Begin; a second call does nothing."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="outdial-reader")

    def stop(self) -> None:
        """Wait for reads under way, then close; blocks. Forgives being called twice."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
        while (session := self._take()) is not None:
            session.close()

    async def read(self, function: Callable[[Reads], T], *, alone: bool = False) -> T:
        """What the function returns for one snapshot. It may be called again when a connection breaks.

        `alone`: no transaction around it; each of its statements stands by itself.
        """
        if self._pool is None:
            raise Unavailable("the store is stopped")
        loop, work = asyncio.get_running_loop(), partial(self._read, function, alone=alone)
        try:
            async with asyncio.timeout(WITHIN * self._patience_secs):
                return await loop.run_in_executor(self._pool, work)
        except TimeoutError:
            raise Unavailable("the database does not answer") from None

    def _read(self, function: Callable[[Reads], T], *, alone: bool) -> T:
        began, pause = time.monotonic(), 0.05
        until = began + self._patience_secs
        while True:
            session = self._take()
            fresh = session is None
            try:
                session = session or self._engine.reader()
                with session.alone() if alone else session.snapshot() as tx:
                    answer = function(tx)
            except Exception as error:
                trouble = self._engine.trouble(error)
                if session is not None:
                    self._put_back(session, usable=trouble is Trouble.OURS)
                if trouble is Trouble.OURS:
                    raise
                if trouble is Trouble.UNUSABLE or time.monotonic() > until:
                    log.exception("read failed")
                    raise Unavailable("the database can't be read now") from error
                if fresh:  # others in the pool may be as dead as this one: they are tried without a pause
                    time.sleep(pause)
                    pause = min(pause * 2, 1.0)
            else:
                self._put_back(session, usable=True)
                self.answered(time.monotonic() - began)
                return answer

    def _put_back(self, session: ReadSession, *, usable: bool) -> None:
        if usable:
            self._idle.put(session)
        else:
            session.close()

    def _take(self) -> ReadSession | None:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None


def _nobody(_seconds: float) -> None:
    """Nobody listens."""
