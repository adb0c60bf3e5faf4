"""Fail points: their grammar, and that they do what they say to a process."""

import os
import signal
import subprocess
import sys
import time
from typing import get_args

import pytest

from outdial.runtime import failpoint
from outdial.runtime.failpoint import BadFailpoint, FailpointReached, Point, armed, parse, reach


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("", {}),
        (" , ", {}),
        ("after_go=kill", {"after_go": Point("kill")}),
        ("after_go=kill:3", {"after_go": Point("kill", nth=3)}),
        ("after_go=kill@3", {"after_go": Point("kill", nth=3)}),
        ("in_commit=sleep:0.5@2", {"in_commit": Point("sleep", seconds=0.5, nth=2)}),
        ("after_go=kill:3,in_commit=stop", {"after_go": Point("kill", nth=3), "in_commit": Point("stop")}),
        ("after_cancel=raise , before_go=stop", {"after_cancel": Point("raise"), "before_go": Point("stop")}),
    ],
)
def test_the_grammar(text: str, points: dict[str, Point]) -> None:
    assert parse(text) == points


@pytest.mark.parametrize(
    "text",
    [
        "nowhere=kill",
        "after_go",
        "after_go=",
        "after_go=explode",
        "after_go=sleep",
        "after_go=sleep:",
        "after_go=sleep:1.2.3",
        "after_go=kill@0",
        "after_go=kill:0.5",
        "after_go=kill:2@3",
        "after_go=kill,after_go=stop",
    ],
)
def test_a_spec_that_can_not_be_meant_is_refused(text: str) -> None:
    with pytest.raises(BadFailpoint, match=failpoint.VARIABLE):
        parse(text)


def test_nothing_happens_when_nothing_is_armed() -> None:
    for name in get_args(failpoint.Name):
        reach(name)


def test_a_point_acts_on_its_nth_time_only() -> None:
    with armed("after_go=raise@2"):
        reach("after_go")
        reach("before_go")
        with pytest.raises(FailpointReached, match="after_go"):
            reach("after_go")
        reach("after_go")


def test_a_point_without_a_count_acts_each_time() -> None:
    with armed("after_go=raise"):
        for _ in range(2):
            with pytest.raises(FailpointReached):
                reach("after_go")
    reach("after_go")


def test_sleep_blocks_the_thread_for_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with armed("in_commit=sleep:0.25"):
        reach("in_commit")
    assert slept == [0.25]


def run(spec: str, code: str) -> subprocess.Popen[str]:
    environment = {failpoint.VARIABLE: spec}
    program = f"from outdial.runtime.failpoint import reach\n{code}"
    return subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_kill_ends_the_process_at_that_very_place() -> None:
    code = "for n in range(5):\n print(n, flush=True)\n reach('after_send')"
    with run("after_send=kill:3", code) as child:
        out, _ = child.communicate(timeout=30)
    assert child.returncode == -signal.SIGKILL
    assert out.split() == ["0", "1", "2"]


def test_stop_halts_the_process_until_it_is_continued() -> None:
    with run("after_send=stop@1", "reach('after_send'); print('on')") as child:
        try:
            _, status = os.waitpid(child.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            child.send_signal(signal.SIGCONT)
            out, _ = child.communicate(timeout=30)
        finally:
            child.kill()
    assert out.strip() == "on"


def test_an_unknown_name_is_an_error_at_start() -> None:
    with run("after_goo=kill", "print('started')") as child:
        out, err = child.communicate(timeout=30)
    assert child.returncode == 1
    assert out == ""
    assert "there is no fail point 'after_goo'" in err
    assert "after_go" in err
