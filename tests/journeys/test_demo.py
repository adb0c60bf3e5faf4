"""`outdial demo`: what a stranger sees first."""

import subprocess
import sys
from pathlib import Path

import pytest

from outdial.cli.demo import HEARD
from outdial.cli.stage import can_call_over_sip
from tests.support.sound import loud


def test_everybody_reachable_is_reached_over_sip_and_can_be_listened_to(tmp_path: Path) -> None:
    if not can_call_over_sip():
        pytest.skip("the extra `sip` is not installed: no wheel for this machine")
    command = [sys.executable, "-m", "outdial.cli.main", "demo"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everyone reachable was reached: 37 of 37, with 2 retries" in done.stdout
    kept = {path.stem: path for path in (tmp_path / "outdial-demo").glob("*.wav")}
    assert set(kept) == set(HEARD)
    for name, path in kept.items():
        assert f"outdial-demo/{name}.wav" in done.stdout
        assert loud(path, channel=0)  # the person, or the machine
        assert loud(path, channel=1)  # the agent


def test_without_the_stack_nobody_is_called_over_sip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "baresip", None)
    assert not can_call_over_sip()
