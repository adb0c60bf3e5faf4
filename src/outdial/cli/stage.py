"""A server and a phone network for one story: two processes, with everything of theirs in one folder."""

import json
import os
import secrets
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outdial.cli.client import Client, Failed

UP_WITHIN_SECS = 30.0
STOP_WITHIN_SECS = 20.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the story is told."""

    client: Client
    trunk: str | None
    """Host and port of the network as a SIP trunk; None: it is reached by HTTP."""


def can_call_over_sip() -> bool:
    """Whether the extra `sip` is there, and works on this machine."""
    try:
        import baresip  # noqa: F401 - whether it can be is the question
    except ImportError:
        return False
    return True


@contextmanager
def stage(folder: Path, *, ring_secs: float, talk_secs: float, sip: bool) -> Iterator[Stage]:
    """Both running, on free ports; ended when the story is over."""
    network = ["-m", "outdial.lab.carrier", "--log", str(folder / "carrier.log")]
    network += ["--ring-secs", str(ring_secs), "--talk-secs", str(talk_secs), *(("--sip-port", "0") if sip else ())]
    with _running(network, folder / "network.log", {}) as phones:
        key = secrets.token_urlsafe(24)
        settings = {
            "OUTDIAL_API_KEY": key,
            "OUTDIAL_DATABASE": f"sqlite:///{folder}/demo.db",
            "OUTDIAL_CARRIER_URL": str(phones["listening"]),
            "OUTDIAL_SIP_INTERFACE": "127.0.0.1",
            "OUTDIAL_STOP_SECS": "1",
        }
        server = ["-m", "outdial.cli.main", "serve", "--port", "0", "--json"]
        with _running(server, folder / "server.log", settings) as told:
            yield Stage(Client(str(told["listening"]), key), phones.get("sip"))


@contextmanager
def _running(arguments: Sequence[str], log: Path, settings: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """A process of ours and what it says in its first line: where it listens."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
    command = [sys.executable, *arguments]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**inherited, **settings})  # noqa: S603 - ourselves
    try:
        yield _first_line(process, log)
    finally:
        _end(process)


def _first_line(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    ready: list[Any] = []
    if process.stdout is not None:
        ready, _, _ = select.select([process.stdout], [], [], UP_WITHIN_SECS)
    line = process.stdout.readline() if ready and process.stdout is not None else b""
    if not line:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"{log.stem} did not start:\n{tail}")
    told: dict[str, Any] = json.loads(line)
    return told


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_SECS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
