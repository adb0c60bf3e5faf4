"""A way for reports that can't be relied on: it stands between the network and the servers, and does harm by seed."""

import asyncio
import contextlib
import json
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Self

import aiohttp
from aiohttp import web

HELD_SECS = 3.0
"""Reports that are to be reversed wait no longer for the end of their call."""


@dataclass
class _Report:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class UnreliableWay:
    """Listens for reports and passes them on, or not; each harm that it does is counted."""

    seed: int
    targets: Callable[[], Sequence[str]]
    """Base URLs of the servers that run now."""
    share: float = 0.5
    """Of the reports that come to harm, while `on`."""
    on: bool = True
    done: Counter[str] = field(default_factory=Counter)
    """Harm done, by kind."""
    url: str = ""
    _held: dict[str, list[_Report]] = field(default_factory=lambda: defaultdict(list))
    _mute: set[str] = field(default_factory=set)
    """Calls of which nothing is heard any more."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._chance = random.Random(self.seed)
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._up.wait(10), "the unreliable way did not open"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as self._http:
            self._up.set()
            await self._over.wait()
            for task in list(self._tasks):
                task.cancel()
        await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": "application/json"}
        if (signature := request.headers.get("X-Carrier-Signature")) is not None:
            headers["X-Carrier-Signature"] = signature
        report = _Report(request.path, headers, await request.read())
        return web.Response(status=await self._harm(report))

    async def _harm(self, report: _Report) -> int:
        """Do something to it; the status that the network hears."""
        call = report.path.split("/")[3]
        kind = self._kind(call)
        if kind is None:
            return await self._pass(report)
        self.done[kind] += 1
        match kind:
            case "late":
                self._later(self._chance.uniform(0.2, 3.0), report)
            case "doubled":
                again = [self._pass(report) for _ in range(self._chance.choice((2, 2, 3)))]
                return max(await asyncio.gather(*again))
            case "reversed":
                self._hold(call, report)
            case "missing":
                self._mute.add(call)
            case "kept_error":
                await self._pass(report)
        return 500 if kind in {"error", "kept_error"} else 200

    def _kind(self, call: str) -> str | None:
        """What is done to a report of this call; None: nothing."""
        if call in self._mute:
            return "missing"
        if call in self._held:
            return "reversed"
        if not self.on or self._chance.random() >= self.share:
            return None
        return self._chance.choice(("lost", "late", "doubled", "reversed", "missing", "error", "kept_error"))

    def _hold(self, call: str, report: _Report) -> None:
        waiting = self._held[call]
        waiting.append(report)
        if json.loads(report.body)["event"] == "ended":
            self._start(self._let_go(call, 0.0))
        elif len(waiting) == 1:
            self._start(self._let_go(call, HELD_SECS))

    async def _let_go(self, call: str, after: float) -> None:
        await asyncio.sleep(after)
        for report in reversed(self._held.pop(call, [])):
            await self._pass(report)

    def _later(self, secs: float, report: _Report) -> None:
        async def late() -> None:
            await asyncio.sleep(secs)
            await self._pass(report)

        self._start(late())

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, report: _Report) -> int:
        targets = list(self.targets())
        self._chance.shuffle(targets)
        for target in targets:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with self._http.post(target + report.path, data=report.body, headers=report.headers) as answer:
                    return answer.status
        return 502
