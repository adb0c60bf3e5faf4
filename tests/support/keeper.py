"""Keeps one program for as long as whoever started the keeper lives: its end of the pipe closes even if it is killed.

keeper.py PROGRAM ARGS…     a line on stdin is the name of a signal for the program, the end of stdin is SIGINT
"""

import os
import pwd
import signal
import subprocess
import sys
import threading
from typing import Any


def listen(program: "subprocess.Popen[bytes]") -> None:
    for line in sys.stdin:
        program.send_signal(signal.Signals[line.strip()])
    program.send_signal(signal.SIGINT)


def _as(uid: int) -> dict[str, Any]:
    return {} if uid == os.getuid() else {"user": uid, "group": pwd.getpwuid(uid).pw_gid, "extra_groups": []}


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    owner, *command = sys.argv[1:]
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, **_as(int(owner)))
    threading.Thread(target=listen, args=(program,), daemon=True).start()
    os._exit(program.wait())


if __name__ == "__main__":
    main()
