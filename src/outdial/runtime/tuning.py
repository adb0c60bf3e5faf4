"""How the interpreter is set for a process that answers many small questions from several threads."""

import gc
import sys

SWITCH_SECS = 0.0001
"""A thread that comes back from the database waits for the interpreter up to this long, at every round trip. Python's
own 5 ms would be a stall at each; at 0.1 ms the threads hand over ten times as often as at 1 ms, which costs little."""
YOUNG = 20_000
"""Objects made before the collector looks for cycles; at Python's 700 it looks all the time and finds nothing."""


def tune() -> None:
    """To be called once, when everything is imported."""
    sys.setswitchinterval(SWITCH_SECS)
    gc.collect()
    gc.freeze()  # modules stay: they need not be looked through again and again
    gc.set_threshold(YOUNG, 20, 20)
