"""The network in a box as a child of the server: on a port that it keeps, started again when it dies."""

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass

import msgspec

from outdial.domain.errors import BadSetting
from outdial.runtime.clock import Clock
from outdial.runtime.log import get_logger

UP_WITHIN_SECS = 15.0
RESTART_AFTER_SECS = 0.3
STOP_WITHIN_SECS = 3.0

_ENDS_WITH_US = """
import ctypes, os, runpy, signal, sys
try:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: also a killed server takes it along (Linux)
except (AttributeError, OSError):
    pass
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C reaches the whole group: the server decides
if os.getppid() == int(sys.argv.pop(1)):
    runpy.run_module("outdial.lab.carrier", run_name="__main__", alter_sys=True)
"""
"""Asks the kernel for a signal at our end, and goes on as `python -m outdial.lab.carrier`."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class CarrierSettings:
    """How phones behave there, and where it writes its log."""

    ring_secs: float
    talk_secs: float
    log: str | None


class Carrier:
    """A Service. The child stays in the server's process group and inherits no lock and no socket."""

    def __init__(self, settings: CarrierSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self.url = ""
        """Where it listens; known after `start`."""

    async def start(self) -> None:
        if self._supervisor is not None:
            return
        self._process = await self._launch(0)
        self._supervisor = asyncio.create_task(self._supervise(), name="network in a box")

    async def stop(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.wait({supervisor})
        process, self._process = self._process, None
        if process is not None:
            await _end(process)

    async def _supervise(self) -> None:
        port = int(self.url.rpartition(":")[2])
        while True:
            if self._process is not None:
                code = await self._process.wait()
                log.warning("network in a box died", code=code)
            await self._clock.sleep(RESTART_AFTER_SECS)
            try:
                self._process = await self._launch(port)
            except (BadSetting, OSError) as error:
                log.warning("network in a box did not start", error=str(error))
                self._process = None

    async def _launch(self, port: int) -> asyncio.subprocess.Process:
        command = [sys.executable, "-c", _ENDS_WITH_US, str(os.getpid()), "--port", str(port)]
        command += ["--ring-secs", str(self._settings.ring_secs), "--talk-secs", str(self._settings.talk_secs)]
        command += ["--log", self._settings.log] if self._settings.log else []
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        try:
            self.url = await _listening(process)
        except BaseException:
            await _end(process)
            raise
        return process


async def _listening(process: asyncio.subprocess.Process) -> str:
    """Where it listens, as it says itself in its first line."""
    line = b""
    if process.stdout is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UP_WITHIN_SECS):
                line = await process.stdout.readline()
    try:
        return str(msgspec.json.decode(line)["listening"])
    except (msgspec.DecodeError, KeyError, TypeError):
        raise BadSetting("the network in a box did not start; its words are above, OUTDIAL_CARRIER_* set it") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_WITHIN_SECS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
