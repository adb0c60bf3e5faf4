"""The main of a call worker: a process that holds one provider's lines, and in which calls live.

It is told everything by frames on its standard input and answers by frames on its standard output; whatever else would
print there goes to standard error. It ends when it is told to, or when the server is gone (end of the pipe): then it
sends nothing new, gives up what rings and hangs up, all within `LAST_SECS`.

    python -m outdial.app.worker
"""

import asyncio
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, assert_never, cast

from outdial.app import wire
from outdial.domain.call import CallEvent, EventKind
from outdial.ports.lines import CallOrder, Lines, LookUpFailed
from outdial.ports.provider import ProviderSpec
from outdial.ports.voice import CarriesAudio
from outdial.runtime.clock import Clock, SystemClock
from outdial.runtime.log import configure, get_logger

LAST_SECS = 3.0
"""How long giving up and hanging up may take once the end has come."""
LOOK_OVER_SECS = 60.0
_CLOSED = frozenset({EventKind.ENDED, EventKind.UNSENT, EventKind.THROTTLED})

log = get_logger()


class Worker:
    """Serves frames over one provider's lines; knows nothing of pipes."""

    def __init__(self, lines: Lines, *, say: Callable[[wire.ToServer], None], clock: Clock) -> None:
        self._lines = lines
        self._say = say
        self._clock = clock
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._asks: set[asyncio.Task[None]] = set()
        self._up: dict[str, CallOrder] = {}
        """Orders, without their agents, of calls that may be up: to be given up at the end."""
        self._look_over_at = clock.boottime() + LOOK_OVER_SECS
        self._dropped: set[str] = set()
        """Told to hang up while their stream runs: if not sent yet, never to be sent."""
        self.stopping = False
        self.over = asyncio.Event()
        """Set when it was told to stop."""

    @property
    def idle(self) -> bool:
        """Whether no stream and no call is in hand."""
        return not self._streams and not self._up

    def take(self, frame: wire.ToWorker) -> None:
        """Do what a frame asks."""
        match frame:
            case wire.Start(order):
                self._start(order)
            case wire.HangUp():
                if frame.call_key in self._streams:
                    self._dropped.add(frame.call_key)
                self._ask(self._hang_up(frame))
            case wire.LookUp():
                self._ask(self._look_up(frame))
            case wire.Forget(call_keys):
                for key in call_keys:
                    self._up.pop(key, None)
            case wire.Ping(number):
                self._say(wire.Pong(number))
                self._look_over()
            case wire.Stop():
                self.stopping = True
                self.over.set()
            case wire.Setup():
                log.error("second setup ignored")
            case _:
                assert_never(frame)

    def _look_over(self) -> None:
        """Now and then, let go of calls that must be over: their end may have been told to another node."""
        now = self._clock.boottime()
        if now < self._look_over_at:
            return
        self._look_over_at = now + LOOK_OVER_SECS
        for key, order in list(self._up.items()):
            if key not in self._streams and now > order.send_by + order.ring_secs + order.talk_secs + LOOK_OVER_SECS:
                del self._up[key]

    def _start(self, order: CallOrder) -> None:
        if order.call_key in self._streams:
            log.error("order came twice and was not sent again", call=order.call_key)
            return
        self._streams[order.call_key] = asyncio.create_task(self._follow(order), name=f"call {order.call_key}")

    async def _follow(self, order: CallOrder) -> None:
        key = order.call_key
        try:
            if (reason := self._unsendable(order)) is not None:
                self._say(wire.Reported(CallEvent(key, EventKind.UNSENT, self._clock.now(), reason=reason)))
                return
            self._up[key] = replace(order, agent={}, variables={})
            async for event in self._lines.start(order):
                if event.kind in _CLOSED:
                    self._up.pop(key, None)
                self._say(wire.Reported(event))
        except Exception:
            # the edge of one call: whether it was sent is unknown now
            log.exception("lines failed", call=key)
            event = CallEvent(key, EventKind.DOUBTFUL, self._clock.now(), reason="lines_failed")
            self._say(wire.Reported(event))
        finally:
            self._streams.pop(key, None)
            self._dropped.discard(key)
            self._say(wire.Finished(key))

    def _unsendable(self, order: CallOrder) -> str | None:
        """Why this order must not be sent, None if it may. The lines look again immediately before they send."""
        if order.call_key in self._dropped:
            return "given_up"
        if self.stopping:
            return "stopping"
        if self._clock.boottime() > order.send_by:
            return "too_late"
        return None

    def _ask(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._asks.add(task)
        task.add_done_callback(self._asks.discard)

    async def _hang_up(self, frame: wire.HangUp) -> None:
        order = frame.order or self._up.get(frame.call_key)
        try:
            await self._lines.hang_up(frame.call_key, even_if_answered=frame.even_if_answered, order=order)
        except Exception as error:  # noqa: BLE001 - the edge of one request: the asker is told, and asks again
            self._say(wire.Done(frame.id, f"{type(error).__name__}: {error}"))
        else:
            self._say(wire.Done(frame.id))

    async def _look_up(self, frame: wire.LookUp) -> None:
        order = frame.order or self._up.get(frame.call_key)
        try:
            seen = await self._lines.look_up(frame.call_key, order=order)
        except LookUpFailed as failed:
            self._say(wire.Seen(frame.id, None, str(failed) or "failed"))
        except Exception as error:  # noqa: BLE001 - says nothing about the call, just as LookUpFailed
            self._say(wire.Seen(frame.id, None, f"{type(error).__name__}: {error}"))
        else:
            self._say(wire.Seen(frame.id, seen))

    async def finish(self, *, within: float = LAST_SECS) -> None:
        """Send nothing new, give up what rings, hang up what was answered, and let the streams tell of it."""
        self.stopping = True
        if (hurry := getattr(self._lines, "hurry", None)) is not None:  # lines that pace what they end stop doing so
            hurry()
        self._dropped.update(self._streams)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.gather(*(self._give_up(order) for order in list(self._up.values())))
                while self._streams or self._asks:
                    await asyncio.wait([*self._streams.values(), *self._asks])
        left = [*self._streams.values(), *self._asks]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=0.5)

    async def _give_up(self, order: CallOrder) -> None:
        try:
            await self._lines.hang_up(order.call_key, even_if_answered=True, order=order)
        except Exception:
            # the others must be given up too
            log.warning("call could not be given up", call=order.call_key, exc_info=True)


def spec_of(setup: wire.Setup) -> ProviderSpec:
    """The provider that is asked for."""
    if setup.spec:
        module, _, name = setup.spec.partition(":")
        found = getattr(importlib.import_module(module), name)
        if not isinstance(found, ProviderSpec):
            raise TypeError(f"{setup.spec} is no ProviderSpec")
        return found
    from outdial.telephony.registry import provider

    return provider(setup.provider)


class _Pipe(asyncio.Protocol):
    """Standard input as frames: the first one is waited for, the others are for the worker once there is one."""

    def __init__(self, first: asyncio.Future[wire.ToWorker | None], gone: asyncio.Event) -> None:
        self._first = first
        self._gone = gone
        self._unpacker = wire.Unpacker()
        self._early: list[wire.ToWorker] = []
        self._worker: Worker | None = None

    def serve(self, worker: Worker) -> None:
        """Frames go to the worker from now on, those that came early first."""
        self._worker = worker
        for frame in self._early:
            worker.take(frame)
        self._early.clear()

    def _take(self, frame: wire.ToWorker) -> None:
        if self._worker is not None:
            self._worker.take(frame)
        elif not self._first.done():
            self._first.set_result(frame)
        else:
            self._early.append(frame)

    def _end(self) -> None:
        self._gone.set()
        if not self._first.done():
            self._first.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._unpacker.feed(data):
                self._take(wire.to_worker.decode(body))
        except Exception:
            # nothing sensible can follow: as if the server were gone
            log.exception("frame could not be read")
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()


class _Out(asyncio.BaseProtocol):
    """Standard output: frames are collected for one turn of the loop and leave in one write."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._frames: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def say(self, frame: wire.ToServer) -> None:
        if not self._frames:
            asyncio.get_running_loop().call_soon(self.flush)
        self._frames.append(wire.pack(frame))

    def flush(self) -> None:
        frames, self._frames = self._frames, []
        if frames and self._transport is not None:
            self._transport.write(b"".join(frames))

    async def close(self) -> None:
        """Let out what is left, for a second at most: a server that is gone reads nothing."""
        self.flush()
        for _ in range(100):
            if self._transport is None or self._transport.get_write_buffer_size() == 0:
                return
            await asyncio.sleep(0.01)


async def serve(stdin: int, stdout: int) -> int:
    """Be a call worker on these two file descriptors until told to stop; the exit code."""
    loop = asyncio.get_running_loop()
    first_come: asyncio.Future[wire.ToWorker | None] = loop.create_future()
    gone = asyncio.Event()
    pipe = _Pipe(first_come, gone)
    out = _Out()
    await loop.connect_write_pipe(lambda: out, os.fdopen(stdout, "wb", 0))
    await loop.connect_read_pipe(lambda: pipe, os.fdopen(stdin, "rb", 0))
    first = await first_come
    if not isinstance(first, wire.Setup):
        return 2
    configure(style=first.log_style, level=first.log_level)
    try:
        spec = spec_of(first)
        lines = spec.make(first.settings)
        await _open(lines, first.settings)
    except Exception as error:
        # whatever it is, the server must be able to tell people why nothing can be dialled
        log.exception("lines could not be made", provider=first.provider)
        out.say(wire.Broken(f"{type(error).__name__}: {error}"))
        await out.close()
        return 2
    worker = Worker(lines, say=out.say, clock=SystemClock())
    out.say(wire.Ready(getattr(lines, "traits", spec.traits)))  # those of its settings, if it tells
    pipe.serve(worker)
    await _until_over(worker, gone, out)
    await worker.finish()
    with contextlib.suppress(Exception):
        await _close(lines)
    await out.close()
    return 0


async def _until_over(worker: Worker, gone: asyncio.Event, out: _Out) -> None:
    """Return when the server says so, when it is gone, or when a SIGTERM came and nothing is in hand any more."""
    draining = asyncio.Event()
    loop = asyncio.get_running_loop()

    def drain() -> None:
        if not draining.is_set():
            draining.set()
            worker.stopping = True
            out.say(wire.Draining())

    loop.add_signal_handler(signal.SIGTERM, drain)
    ends = [asyncio.create_task(event.wait()) for event in (worker.over, gone)]
    try:
        while not (draining.is_set() and worker.idle):
            done, _ = await asyncio.wait(ends, timeout=0.1 if draining.is_set() else 1.0, return_when="FIRST_COMPLETED")
            if done:
                return
    finally:
        for end in ends:
            end.cancel()


async def _open(lines: Lines, settings: Mapping[str, Any]) -> None:
    """Lines with audio get somebody who talks; those that have something to start have an async `open`."""
    if isinstance(lines, CarriesAudio):
        from outdial.agent.greeting import FirstVoice
        from outdial.agent.voice import Voice
        from outdial.store.blobs import BlobFolder

        folder = settings.get("recordings")
        lines.talk_with(FirstVoice(Voice()), BlobFolder(Path(folder)) if folder else None)
    if (opening := getattr(lines, "open", None)) is not None:
        await opening()


async def _close(lines: Lines) -> None:
    """Lines that hold something open have an async `close`."""
    if (close := getattr(lines, "close", None)) is not None:
        async with asyncio.timeout(1):
            await close()


def _take_over_pipes() -> tuple[int, int]:
    """Keep the two pipes for ourselves, so that neither a stray print nor a child can disturb the frames."""
    stdin, stdout = os.dup(0), os.dup(1)  # not inheritable
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return stdin, stdout


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> NoReturn:
    """Run one call worker."""
    # Ctrl-C reaches the whole process group: the server decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stdin, stdout = _take_over_pipes()
    configure()
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        code = runner.run(serve(stdin, stdout))
    # not by sys.exit: threads of a provider's native stack may still run, and taking the interpreter from under them
    # can end in a crash; everything of ours is closed by now
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
