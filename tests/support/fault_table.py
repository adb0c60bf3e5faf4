"""The table at the end of a run with faults in it, also where the scenarios ran in several processes (pytest-xdist)."""

import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.faults.harness import Result

RESULTS: "list[Result]" = []
"""Of this run of pytest."""
KEY = "fault_results"
_FOUND = (
    ("lost", "lost"),
    ("dialled twice", "twice"),
    ("late", "late"),
    ("residue", "residue"),
    ("heard late", "heard_late"),
)
"""Words and fields of a verdict."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes hands its scenarios to the one that tells."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[KEY] = pickle.dumps(RESULTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process has ended; one that crashed hands over nothing."""
    told = getattr(node, "workeroutput", {}).get(KEY)
    if told:
        RESULTS.extend(pickle.loads(told))  # noqa: S301 - our own, of a moment ago


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it."""
    if not RESULTS:
        return
    say = terminalreporter.write_line
    terminalreporter.section("faults")
    for result in RESULTS:
        say(str(result))
    for engine in ("sqlite", "postgres", "both"):
        ours = [one for one in RESULTS if engine in {one.engine, "both"}]
        say(f"{engine:<8} {_sums(ours)}")


def _sums(results: "Sequence[Result]") -> str:
    done = ", ".join(
        f"{sum(getattr(one, what) for one in results)} {what.replace('_', ' ')}"
        for what in ("kills", "stops", "restarts", "event_faults")
    )
    found = [one.verdict for one in results]
    verdict = ", ".join(f"{word} {sum(len(getattr(one, what)) for one in found)}" for word, what in _FOUND)
    return (
        f"{len(results)} scenarios, {done}, {sum(one.dialled for one in found)} calls dialled: {verdict}, "
        f"unknown {sum(one.unknown for one in found)} of {sum(one.in_flight for one in found)} in flight; "
        f"{sum(one.good for one in found)} of {len(results)} good"
    )
