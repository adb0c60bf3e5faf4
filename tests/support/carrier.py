"""A real network in a box for tests, and an ear that hears its reports."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

PATIENCE_SECS = 10.0


@dataclass
class Carrier:
    """`python -m outdial.lab.carrier` as a process of its own."""

    log: Path
    ring_secs: float = 0.0
    talk_secs: float = 0.0
    port: int = 0
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    sip: str = ""
    """Where it speaks SIP, if it was told to."""

    def start(self) -> "Carrier":
        command = [sys.executable, "-m", "outdial.lab.carrier", "--log", str(self.log), "--port", str(self.port)]
        command += ["--ring-secs", str(self.ring_secs), "--talk-secs", str(self.talk_secs), *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], PATIENCE_SECS)[0], "the carrier says nothing"
        told = json.loads(self.process.stdout.readline())
        self.url, self.sip = told["listening"], told.get("sip", "")
        self.port = int(self.url.rpartition(":")[2])
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit code. May be called twice."""
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        code = self.process.wait(PATIENCE_SECS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def journal(self) -> list[dict[str, Any]]:
        """The judge: every line of the log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def dialled(self, call_key: str) -> int:
        """How often a phone was made to ring, or would have been, for this key."""
        return sum(line["event"] == "dialled" and line["call_key"] == call_key for line in self.journal())


@dataclass(frozen=True)
class Heard:
    """One report as it arrived."""

    call_key: str
    at: float
    headers: dict[str, str]
    body: bytes
    url: str

    @property
    def told(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.body)
        return report

    @property
    def event(self) -> str:
        return str(self.told["event"])


@dataclass
class Ear:
    """An HTTP server on 127.0.0.1 that keeps every report."""

    heard: list[Heard] = field(default_factory=list)
    answer: Callable[[int], int | None] = lambda _: 204
    """From the number of earlier reports to the status; None: never answers."""
    url: str = ""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _runner: web.AppRunner | None = None

    async def start(self) -> "Ear":
        app = web.Application()
        app.router.add_post("/callbacks/loopback/{call_key}/{token}", self._hear)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def callback_url(self, call_key: str) -> str:
        return f"{self.url}/callbacks/loopback/{call_key}/token"

    def of(self, call_key: str, event: str | None = None) -> list[Heard]:
        return [heard for heard in self.heard if heard.call_key == call_key and event in {None, heard.event}]

    async def until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECS), self._news:
            await self._news.wait_for(fact)

    async def until_ended(self, call_key: str, times: int = 1) -> list[Heard]:
        """The reports of a call once its end was told that often; with ring time 0 they may overtake each other."""
        await self.until(lambda: len(self.of(call_key, "ended")) >= times)
        told = self.of(call_key, "ended")[0].told
        earlier = ("rang_at" in told) + ("answered_at" in told)
        await self.until(lambda: len(self.of(call_key)) >= earlier + times)
        return self.of(call_key)

    async def _hear(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        at = asyncio.get_running_loop().time()
        status = self.answer(len(self.heard))
        self.heard.append(Heard(request.match_info["call_key"], at, headers, body, str(request.url)))
        async with self._news:
            self._news.notify_all()
        if status is None:
            await asyncio.sleep(3600)
        return web.Response(status=status or 500)
