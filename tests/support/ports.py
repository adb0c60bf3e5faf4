"""Ports for programs that are told theirs: free for UDP and TCP, and no other test process on this machine has them.

To ask the kernel for any free one is not enough: a connection of somebody else may have it a moment later.
"""

import fcntl
import itertools
import os
import socket
import tempfile
from functools import cache
from pathlib import Path

FIRST = 20_000
EACH = 200
"""Ports of one process; below those that the kernel hands out (from 32,768)."""
PROCESSES = 60
STEP = 4
"""RTP wants the next one too, sipp the one after that."""
_TURN = itertools.count()


@cache
def stretch() -> int:
    """Which stretch of ports is this process's, as long as it lives."""
    folder = Path(tempfile.gettempdir()) / f"outdial-test-ports.{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in range(PROCESSES):
        descriptor = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return number  # the lock goes with the process
    raise AssertionError(f"{PROCESSES} test processes have all ports")


def free_port() -> int:
    """The next one of ours that nobody has."""
    for _ in range(EACH // STEP):
        port = FIRST + stretch() * EACH + next(_TURN) % (EACH // STEP) * STEP
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("none of our ports is free")
