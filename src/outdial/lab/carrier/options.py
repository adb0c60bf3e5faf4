"""What the network may be told at start: each option has an environment variable behind it."""

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PREFIX = "OUTDIAL_CARRIER_"


@dataclass(frozen=True, slots=True)
class Options:
    """All of it."""

    port: int = 0
    log: Path | None = None
    ring_secs: float = 1.0
    talk_secs: float = 2.0
    sip_port: int | None = None
    """None: no SIP."""
    sip_user: str = ""
    sip_password: str = ""
    listen_secs: float = 10.0
    audio: Path | None = None
    loss: float = 0.0
    jitter: float = 0.0
    seed: int = 0


def read(argv: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> Options:
    """As given, else from the environment, else the default; raises ValueError, or ends as argparse does."""
    given = {name: value for name, value in vars(_parser().parse_args(argv)).items() if value is not None}
    for name in Options.__slots__:
        if name not in given and name != "port" and (told := environment.get(PREFIX + name.upper())):
            given[name] = told
    options = Options(
        **{name: _read(name, value) for name, value in given.items()}  # type: ignore[arg-type]  # each by its own name
    )
    if bool(options.sip_user) != bool(options.sip_password):
        raise ValueError("--sip-user and --sip-password go together")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="outdial carrier",
        description="The network in a box: a phone network to try things on, over HTTP and as a SIP trunk. "
        "Each option but --port can be set by a variable, --ring-secs by OUTDIAL_CARRIER_RING_SECS and so on.",
    )
    parser.add_argument("--port", help="of HTTP; 0, the default, takes a free one and prints it")
    parser.add_argument("--log", help="append what was dialled, answered and ended to this file")
    parser.add_argument("--ring-secs", help="how long phones ring (1)")
    parser.add_argument("--talk-secs", help="how long people talk (2)")
    sip = parser.add_argument_group("SIP, on UDP and TCP")
    sip.add_argument("--sip-port", help="speak SIP on this port; 0 takes a free one and prints it")
    sip.add_argument("--sip-user", help="whoever calls must be this user (digest)")
    sip.add_argument("--sip-password", help="and know this password")
    sip.add_argument("--listen-secs", help="how long, at most, people wait until the agent has spoken (10)")
    sip.add_argument("--audio", help="an existing folder: keep what each callee heard, as <number>-<nth>.wav")
    sip.add_argument("--loss", help="percent of the packets that get lost, both ways, SIP's over UDP and RTP's (0)")
    sip.add_argument("--jitter", help="milliseconds by which a packet of RTP may be late (0)")
    sip.add_argument("--seed", help="of chance; the same seed loses the same packets (0)")
    return parser


def _read(name: str, told: str) -> object:
    if name in {"sip_user", "sip_password"}:
        return told
    if name in {"log", "audio"}:
        return Path(told)
    if name in {"port", "sip_port", "seed"}:
        return int(_number(name, told, "a whole number", most=65_535 if name != "seed" else 2**63, whole=True))
    if name == "loss":
        return _number(name, told, "percent from 0 to 100", most=100)
    return _number(name, told, "milliseconds from 0 on" if name == "jitter" else "seconds from 0 on")


def _number(name: str, told: str, what: str, *, most: float = math.inf, whole: bool = False) -> float:
    try:
        number = float(int(told) if whole else float(told))
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and 0 <= number <= most):
        raise ValueError(f"{PREFIX}{name.upper()}={told!r}: {what}")
    return number
