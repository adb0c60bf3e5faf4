"""Start and stop: what runs for as long as the process does, in which order, and who owns its tasks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger

log = get_logger()


class Service(Protocol):
    """Something that is started once and stopped once, and forgives being asked twice."""

    async def start(self) -> None:
        """Begin; returns when it is ready. A second call does nothing."""
        ...

    async def stop(self) -> None:
        """End; returns when nothing of it runs any more. A second call, or one without a start, does nothing."""
        ...


class ServiceGroup:
    """Services that start in order and stop in reverse, each in bounded time."""

    def __init__(
        self, services: Sequence[tuple[str, Service]], *, start_within: float = 30.0, stop_within: float = 10.0
    ) -> None:
        self._services = list(services)
        self._start_within = start_within
        self._stop_within = stop_within
        self._begun: list[tuple[str, Service]] = []
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Start all; if one can't, those before it (and what it began itself) are stopped and its error is raised."""
        async with self._turn:
            if self._begun:
                return
            try:
                for name, service in self._services:
                    self._begun.append((name, service))
                    async with asyncio.timeout(self._start_within):
                        await service.start()
                    log.debug("service started", service=name)
            except BaseException:
                await self._stop_begun()
                raise

    async def stop(self) -> None:
        """Stop what was started, the last first; one that fails or takes too long is told of and passed over."""
        async with self._turn:
            await self._stop_begun()

    async def _stop_begun(self) -> None:
        while self._begun:
            name, service = self._begun.pop()
            await self._stop_one(name, service)

    async def _stop_one(self, name: str, service: Service) -> None:
        try:
            async with asyncio.timeout(self._stop_within):
                await service.stop()
        except TimeoutError:
            log.warning("service did not stop in time", service=name, within_s=self._stop_within)
        except Exception:
            log.exception("service failed to stop", service=name)  # the others must be stopped too
        else:
            log.debug("service stopped", service=name)


class Background:
    """One task with a name and an owner. When its work fails it is started again, or reported; it never dies unheard.

    Work that returns has finished and is not started again.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        clock: Clock,
        restart_after: float | None = 1.0,
        restart_at_most: float = 30.0,
        died: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """Make it; nothing runs before `start`.

        restart_after: seconds to the first restart, doubled at each one up to `restart_at_most`, from the beginning
        again once it ran that long; None: never restarted. died: told of every failure, also of those that are
        followed by a restart.
        """
        self.name = name
        self._work = work
        self._clock = clock
        self._restart_after = restart_after
        self._restart_at_most = restart_at_most
        self._died = died
        self._task: asyncio.Task[None] | None = None
        self.failures = 0
        """How often the work has failed since `start`."""

    @property
    def running(self) -> bool:
        """Whether the task lives (it may be waiting for its restart)."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        if not self.running:
            self.failures = 0
            self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Cancel the work and wait until it is over."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def join(self) -> None:
        """Wait until the work is over by itself."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        in_a_row = 0
        while True:
            began = self._clock.boottime()
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - the edge of one task: logged, reported, restarted
                self._report(error)
            except asyncio.CancelledError as cancelled:
                if self._task is not None and self._task.cancelling() == 0:  # by somebody inside, not by its owner
                    self._report(cancelled)
                else:
                    raise
            else:
                return
            if self._restart_after is None:
                return
            if self._clock.boottime() - began >= self._restart_at_most:
                in_a_row = 0
            await self._clock.sleep(min(self._restart_after * 2**in_a_row, self._restart_at_most))
            in_a_row = min(in_a_row + 1, 30)

    def _report(self, error: BaseException) -> None:
        self.failures += 1
        log.error(
            "background task died",
            task=self.name,
            failures=self.failures,
            restarts=self._restart_after is not None,
            exc_info=error,
        )
        if self._died is not None:
            self._died(self.name, error)
