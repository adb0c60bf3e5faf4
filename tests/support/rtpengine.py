"""Debian's rtpengine in userspace: between a trunk that speaks SRTP and phones that do not."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import peers
from tests.support.ports import free_port, stretch
from tests.support.sipp import PATIENCE_SECS

PORTS = 200
"""How many it may use for audio; a call needs four, and it takes those that are free."""


@dataclass(frozen=True)
class Rtpengine:
    """One running rtpengine."""

    control: str
    """Where Kamailio asks for it."""
    log: Path


@contextmanager
def rtpengine(folder: Path) -> Iterator[Rtpengine]:
    """On ports of its own; its kernel module is not used."""
    control, low, log = free_port(), 40_000 + stretch() * PORTS, folder / "rtpengine.log"
    command = [peers.program("rtpengine"), "--foreground", "--log-stderr", "--log-level=6", "--table=-1"]
    command += ["--config-file=none", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{control}", "--num-threads=1"]
    command += [f"--port-min={low}", f"--port-max={low + PORTS - 1}", "--delete-delay=0"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until = time.monotonic() + PATIENCE_SECS
        while f":{control:04X} " not in Path("/proc/net/udp").read_text():
            assert process.poll() is None, log.read_text(errors="replace")[-2_000:]
            assert time.monotonic() < until, log.read_text(errors="replace")[-2_000:]
            time.sleep(0.02)
        yield Rtpengine(f"udp:127.0.0.1:{control}", log)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
