"""The supervised call workers of one provider, which together are its `Lines` as the rooms above see them.

An order goes to the worker with the fewest in hand. A worker that dies, or that shows no sign of life for
`SILENT_SECS`, is killed and started again with a back-off; what was handed to it and is not finished becomes doubtful,
what was not is provably unsent.
"""

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from outdial.app import wire
from outdial.calls.network import Network
from outdial.domain.call import CallEvent, EventKind
from outdial.domain.errors import OutdialError
from outdial.ports.lines import CallOrder, Lines, LinesTraits, LookUpFailed, Sighting
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger

PING_SECS = 1.0
SILENT_SECS = 5.0
READY_SECS = 20.0
"""How long a new worker may take until it can place calls."""
ASK_SECS = 10.0
"""How long a worker may take to answer a question about a call; the networks' own time-outs are shorter."""
STOP_SECS = 5.0
"""How long a worker that was told to stop may take; a little more than its own `LAST_SECS`."""
RESTART_SECS = (0.5, 30.0)
"""First and longest wait before a dead worker is replaced."""
COMMAND = (sys.executable, "-m", "outdial.app.worker")
WITHHELD = frozenset({"OUTDIAL_API_KEY", "OUTDIAL_DATABASE", "OUTDIAL_SECRET_KEY"})
"""Variables that call workers have no use for: what strangers send is read there."""

log = get_logger()


class LinesBroken(OutdialError):
    """A call worker could not make its provider's lines, or did not come up in time."""


class WorkerGone(Exception):
    """The worker died before it answered."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a pool and its workers need to know."""

    provider: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The provider's, for its workers."""
    workers: int = 1
    cap: int = 1_000
    """Orders that one worker has in hand at most."""
    spec: str = ""
    """`module:NAME` of a provider outside the registry."""
    log_style: str = "console"
    log_level: str = "info"
    silent_secs: float = SILENT_SECS
    asleep: LinesTraits | None = None
    """Workers start with the first order; until they tell, these are the traits. None: they start at once."""


class _Stream:
    """The events of one order on their way from a worker to who follows the call."""

    __slots__ = ("_events", "_over", "_waiter", "call_key", "given_up", "handed_over", "worker")

    def __init__(self, call_key: str) -> None:
        self.call_key = call_key
        self.worker: _Process | None = None
        self.handed_over = False
        """Whether the worker may have read the order."""
        self.given_up = False
        self._events: deque[CallEvent] = deque()
        self._over = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, event: CallEvent) -> None:
        self._events.append(event)
        self._wake()

    def finish(self) -> None:
        self._over = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> CallEvent | None:
        """The next event, None after the last."""
        while not self._events:
            if self._over:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._events.popleft()


class WorkerPool:
    """A Service; `lines` is what the rooms above see of it."""

    def __init__(
        self,
        settings: PoolSettings,
        *,
        clock: Clock,
        networks: dict[str, Network] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Make it; once its workers are up it enters itself into `networks`, with the traits that they tell."""
        self._settings = settings
        self._clock = clock
        self.on_death: Callable[[Sequence[str]], None] = _nobody
        """Told the calls that a dead worker had been handed and not finished, after their streams were."""
        self._command = tuple(command)
        self._networks = networks
        self._supervisors: list[asyncio.Task[None]] = []
        self._processes: list[_Process] = []
        self._streams: dict[str, _Stream] = {}
        self._room = asyncio.Event()
        self.stopping = False
        """Workers that end now are meant to."""
        self._asleep = settings.asleep is not None
        """Nothing was ordered yet, and no worker was started."""
        self.lines: Lines = PooledLines(self)
        self.traits: LinesTraits | None = None
        """As the workers told; None before `start`."""
        self.restarts = 0

    @property
    def capacity(self) -> int:
        """Calls that all workers together can have in hand."""
        return self._settings.workers * self._settings.cap

    @property
    def up(self) -> int:
        """Workers that take orders now."""
        return sum(not process.draining for process in self._processes)

    @property
    def wanted(self) -> int:
        """Workers that are set; none before anybody was called."""
        return 0 if self._asleep else self._settings.workers

    @property
    def pids(self) -> list[int]:
        """The processes that can take orders now."""
        return [process.pid for process in self._processes]

    # --- Service

    async def start(self) -> None:
        if self._supervisors:
            return
        self.stopping = False
        if self._asleep:
            self.traits = self._settings.asleep
        else:
            await self._start_workers()
        if self._networks is not None and self.traits is not None:
            self._networks[self._settings.provider] = Network(self.lines, self.traits, self.capacity)

    async def _start_workers(self) -> None:
        """All of them; raises LinesBroken where one can't come up."""
        first: list[asyncio.Future[None]] = []
        for n in range(self._settings.workers):
            up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            first.append(up)
            name = f"{self._settings.provider} worker {n}"
            self._supervisors.append(asyncio.create_task(self._supervise(name, up), name=name))
        try:
            await asyncio.gather(*first)
        except BaseException:
            await self.stop()
            raise

    def _wake(self) -> None:
        """Somebody calls: from now on workers are kept running, and one that can't come up is tried again."""
        if not self._asleep or self.stopping:
            return
        self._asleep = False
        for n in range(self._settings.workers):
            nobody_waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            nobody_waits.set_result(None)
            name = f"{self._settings.provider} worker {n}"
            self._supervisors.append(asyncio.create_task(self._supervise(name, nobody_waits), name=name))

    async def stop(self) -> None:
        self.stopping = True
        self._room.set()
        for process in list(self._processes):
            process.send(wire.Stop())
        supervisors, self._supervisors = self._supervisors, []
        if not supervisors:
            return
        live = [task for task in supervisors if not task.done()]
        if live:
            # a supervisor ends by itself once its worker has; one between two workers must be told
            await asyncio.wait(live, timeout=STOP_SECS if self._processes else 0.05)
        for task in supervisors:
            task.cancel()
        await asyncio.wait(supervisors, timeout=STOP_SECS)

    # --- what its lines do

    async def follow(self, order: CallOrder) -> AsyncGenerator[CallEvent, None]:
        """Hand an order over and report."""
        stream = _Stream(order.call_key)
        if order.call_key in self._streams:
            raise RuntimeError(f"call {order.call_key} was started twice")  # a second send is worse than any error
        self._streams[order.call_key] = stream
        self._wake()
        try:
            if (refused := await self._hand_over(order, stream)) is not None:
                yield CallEvent(order.call_key, EventKind.UNSENT, self._clock.now(), reason=refused)
                return
            while (event := await stream.next()) is not None:
                yield event
        finally:
            self._streams.pop(order.call_key, None)
            if stream.worker is not None:
                stream.worker.let_go(stream)

    async def hang_up(self, call_key: str, *, even_if_answered: bool, order: CallOrder | None = None) -> None:
        stream = self._streams.get(call_key)
        if stream is not None:
            stream.given_up = True
            self._room.set()  # one that waits for a worker must look at the flag
        if self._asleep:
            return  # nothing was sent from here
        process = stream.worker if stream is not None and stream.worker is not None else await self._anyone()
        error = await process.ask_done(lambda n: wire.HangUp(n, call_key, even_if_answered, order))
        if error:
            raise LinesBroken(f"call {call_key} could not be given up: {error}")

    async def look_up(self, call_key: str, *, order: CallOrder | None = None) -> Sighting | None:
        stream = self._streams.get(call_key)
        try:
            process = stream.worker if stream is not None and stream.worker is not None else await self._anyone()
            seen = await process.ask_seen(lambda n: wire.LookUp(n, call_key, order))
        except (TimeoutError, WorkerGone, LinesBroken) as error:
            raise LookUpFailed(f"{type(error).__name__}: {error}") from error
        if seen.failed:
            raise LookUpFailed(seen.failed)
        return seen.sighting

    def forget(self, call_key: str) -> None:
        """The call is over: no worker needs to give it up when it ends. Costs a few bytes of a frame."""
        for process in self._processes:
            process.forget(call_key)

    # --- spreading

    async def _hand_over(self, order: CallOrder, stream: _Stream) -> str | None:
        """Give the order to a worker, waiting for room until its send deadline; else why it stays unsent."""
        while True:
            if self.stopping:
                return "stopping"
            if stream.given_up:
                return "given_up"
            if (left := order.send_by - self._clock.boottime()) <= 0:
                return "too_late"
            if (process := self._least_loaded()) is not None:
                process.give(order, stream)
                return None
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left + 0.001):
                    await self._room.wait()

    def _least_loaded(self) -> "_Process | None":
        fit = [process for process in self._processes if not process.draining and process.load < self._settings.cap]
        return min(fit, key=lambda process: process.load, default=None)

    async def _anyone(self) -> "_Process":
        """Some worker for a question; LinesBroken when there is none for a while."""
        until = self._clock.boottime() + 2.0
        while not self._processes:
            left = until - self._clock.boottime()
            if left <= 0 or self.stopping:
                raise LinesBroken(f"no call worker of {self._settings.provider} runs")
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._room.wait()
        return min(self._processes, key=lambda process: process.load)

    # --- supervising

    async def _supervise(self, name: str, up: asyncio.Future[None]) -> None:
        """Keep one worker running; `up` learns whether the first one came up."""
        shortest, longest = RESTART_SECS
        wait = shortest
        while True:
            began = self._clock.boottime()
            try:
                await self._one_life(name, up)
            except (LinesBroken, OSError) as error:
                if not up.done():
                    up.set_exception(error if isinstance(error, LinesBroken) else LinesBroken(f"{name}: {error}"))
                    return
                log.warning("call worker did not come up", worker=name, error=str(error))
            if self.stopping:
                return
            if self._clock.boottime() - began >= longest:
                wait = shortest
            log.warning("call worker is restarted", worker=name, after_s=wait)
            self.restarts += 1
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)

    async def _one_life(self, name: str, up: asyncio.Future[None]) -> None:
        """One worker process from its start to its end."""
        process = _Process(name, self)
        try:
            self.traits = await process.launch(self._command, self._settings)
            self._processes.append(process)
            self._room.set()
            if not up.done():
                up.set_result(None)
            await process.watch(self._settings.silent_secs)
        finally:
            self._bury(process)
            await process.reap()

    def _bury(self, process: "_Process") -> None:
        """A worker is no more: tell everyone who waits for it, then who must know of its calls."""
        if process in self._processes:
            self._processes.remove(process)
        in_hand = process.die()
        for stream in in_hand:
            kind = EventKind.DOUBTFUL if stream.handed_over else EventKind.UNSENT
            stream.put(CallEvent(stream.call_key, kind, self._clock.now(), reason="worker_died"))
            stream.finish()
        if handed_over := [stream.call_key for stream in in_hand if stream.handed_over]:
            self.on_death(handed_over)

    def fed(self, process: "_Process", frame: wire.ToServer) -> None:
        """A frame that is about a call, from one of the workers."""
        match frame:
            case wire.Reported(event):
                if (stream := process.streams.get(event.call_key)) is not None:
                    stream.put(event)
            case wire.Finished(call_key):
                if (stream := process.streams.pop(call_key, None)) is not None:
                    stream.finish()
                    self._room.set()
            case _:
                raise wire.BrokenFrame(f"unexpected {type(frame).__name__}")

    @property
    def clock(self) -> Clock:
        """The pool's clock."""
        return self._clock


class PooledLines:
    """Lines whose calls live in the workers of a pool."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def start(self, order: CallOrder) -> AsyncGenerator[CallEvent, None]:
        return self._pool.follow(order)

    async def hang_up(self, call_key: str, *, even_if_answered: bool, order: CallOrder | None = None) -> None:
        await self._pool.hang_up(call_key, even_if_answered=even_if_answered, order=order)

    async def look_up(self, call_key: str, *, order: CallOrder | None = None) -> Sighting | None:
        return await self._pool.look_up(call_key, order=order)


class _Process:
    """One worker process and the pipes to it."""

    def __init__(self, name: str, pool: WorkerPool) -> None:
        self.name = name
        self.pid = 0
        self.draining = False
        self.streams: dict[str, _Stream] = {}
        self._pool = pool
        self._child: asyncio.subprocess.Process | None = None
        self._out: list[bytes] = []
        self._waiting: list[_Stream] = []
        """Streams whose orders are in `_out`."""
        self._forgotten: list[str] = []
        self._flush_due = False
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = 0
        self._ready: asyncio.Future[LinesTraits] = asyncio.get_running_loop().create_future()
        self._dead = False
        self._heard_at = 0.0

    @property
    def load(self) -> int:
        return len(self.streams)

    # --- life

    async def launch(self, command: Sequence[str], settings: PoolSettings) -> LinesTraits:
        """Start the process and wait until it can place calls."""
        self._child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
            env={name: value for name, value in os.environ.items() if name not in WITHHELD},
        )
        self.pid = self._child.pid
        if self._child.stdout is None:
            raise LinesBroken(f"{self.name} has no pipe")
        self._reader = asyncio.create_task(self._read(self._child.stdout), name=f"{self.name} reader")
        self.send(
            wire.Setup(
                settings.provider, dict(settings.settings), settings.spec, settings.log_style, settings.log_level
            )
        )
        try:
            async with asyncio.timeout(READY_SECS):
                traits = await self._ready
        except TimeoutError:
            raise LinesBroken(f"{self.name} was not ready within {READY_SECS:.0f} s") from None
        log.info("call worker ready", worker=self.name, pid=self.pid)
        return traits

    async def watch(self, silent_secs: float) -> None:
        """Return when the process is gone; kill it when it shows no sign of life."""
        clock = self._pool.clock
        self._heard_at = asked_at = clock.boottime()
        while not self._reader.done():
            self._ids += 1
            self.send(wire.Ping(self._ids))
            await asyncio.wait({self._reader}, timeout=PING_SECS)
            now = clock.boottime()
            if now - asked_at > 2 * PING_SECS:
                self._heard_at = now  # we were stalled ourselves: its answers may wait in the pipe
            asked_at = now
            if now - self._heard_at > silent_secs:
                log.error("call worker showed no sign of life and was killed", worker=self.name, pid=self.pid)
                return
        if not self._pool.stopping:
            log.error("call worker died", worker=self.name, pid=self.pid)

    def die(self) -> list[_Stream]:
        """Take no more orders and answer no more questions; the streams that were in hand."""
        self._dead = True
        in_hand, self.streams = list(self.streams.values()), {}
        answers, self._answers = list(self._answers.values()), {}
        for answer in answers:
            if not answer.done():
                answer.set_exception(WorkerGone(self.name))
        return in_hand

    async def reap(self) -> None:
        """Make sure that the process is no more."""
        child = self._child
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        self._reader.cancel()
        await asyncio.wait({self._reader})
        await child.wait()
        if child.stdin is not None:
            child.stdin.close()

    # --- frames out

    def send(self, frame: wire.ToWorker) -> None:
        """Write a frame, together with whatever else is sent in this turn of the loop."""
        if self._dead:
            return
        self._out.append(wire.pack(frame))
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def give(self, order: CallOrder, stream: _Stream) -> None:
        """Hand an order over."""
        stream.worker = self
        self.streams[order.call_key] = stream
        self._waiting.append(stream)
        self.send(wire.Start(order))

    def let_go(self, stream: _Stream) -> None:
        """Nobody follows this stream any more."""
        if self.streams.get(stream.call_key) is stream:
            del self.streams[stream.call_key]

    def forget(self, call_key: str) -> None:
        """Told in bulk: with the next ping, or when many have come together."""
        self._forgotten.append(call_key)
        if len(self._forgotten) >= 500:
            self._flush()

    def _flush(self) -> None:
        self._flush_due = False
        if self._dead or self._child is None or self._child.stdin is None or self._child.stdin.is_closing():
            return
        if self._forgotten:
            keys, self._forgotten = self._forgotten, []
            self._out.append(wire.pack(wire.Forget(keys)))
        frames, self._out = self._out, []
        for stream in self._waiting:
            stream.handed_over = True
        self._waiting.clear()
        if frames:
            self._child.stdin.write(b"".join(frames))

    async def ask_done(self, frame: Callable[[int], wire.ToWorker]) -> str:
        """Ask for something to be done; the error, "" if it was."""
        answer: wire.Done = await self._ask(frame)
        return answer.error

    async def ask_seen(self, frame: Callable[[int], wire.ToWorker]) -> wire.Seen:
        """Ask what the network knows."""
        answer: wire.Seen = await self._ask(frame)
        return answer

    async def _ask(self, frame: Callable[[int], wire.ToWorker]) -> Any:  # noqa: ANN401 - the two above say what it is
        if self._dead:
            raise WorkerGone(self.name)
        self._ids += 1
        number = self._ids
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self.send(frame(number))
        try:
            async with asyncio.timeout(ASK_SECS):
                return await answer
        finally:
            self._answers.pop(number, None)

    # --- frames in

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        """Take frames until the pipe ends."""
        unpacker = wire.Unpacker()
        try:
            while data := await stdout.read(1 << 18):
                self._heard_at = self._pool.clock.boottime()
                for body in unpacker.feed(data):
                    self._take(wire.to_server.decode(body))
        except Exception:
            # whoever writes nonsense can't be trusted with calls: as if it had died
            log.exception("call worker sent what can't be read", worker=self.name)
        finally:
            if not self._ready.done():
                self._ready.set_exception(LinesBroken(f"{self.name} ended before it was ready"))
                self._ready.exception()  # looked at: `launch` may have given up waiting

    def _take(self, frame: wire.ToServer) -> None:
        match frame:
            case wire.Reported() | wire.Finished():
                self._pool.fed(self, frame)
            case wire.Done(number) | wire.Seen(number):
                if (answer := self._answers.get(number)) is not None and not answer.done():
                    answer.set_result(frame)
            case wire.Ready(traits):
                if not self._ready.done():
                    self._ready.set_result(traits)
            case wire.Broken(why):
                if not self._ready.done():
                    self._ready.set_exception(LinesBroken(f"{self.name}: {why}"))
            case wire.Draining():
                self.draining = True
            case wire.Pong():
                pass
            case _:
                assert_never(frame)


def _nobody(_call_keys: Sequence[str]) -> None:
    """Nobody listens yet."""
