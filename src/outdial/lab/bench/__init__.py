"""`outdial bench`: measures this machine, each figure beside plain SQL on the same engine in the same run.

    outdial bench [dispatch|end-to-end|retry|cancel|read …] [--engine sqlite|postgres] [--json]

Nothing that is measured is a model of the server: dispatch runs the real dispatcher, calls and store, end-to-end a real
server process, its call worker and the network in a box.
"""

from outdial.lab.bench.main import main

__all__ = ["main"]
