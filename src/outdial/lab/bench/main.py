"""The command: what is measured, where, and how it is told."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from outdial.domain.errors import BadSetting
from outdial.lab.bench import cancel, dispatch, end_to_end, read, retry, sip, submit
from outdial.lab.bench.place import Place, hardware, machine, open_place
from outdial.runtime.log import configure
from outdial.runtime.tuning import tune

ENGINES = ("sqlite", "postgres")
Say = Callable[[str], None]
Measure = Callable[[Place, argparse.Namespace, Say], Coroutine[Any, Any, dict[str, Any]]]

CALLS = 10_000
"""Of dispatch and end-to-end."""

BENCHES: dict[str, Measure] = {
    "dispatch": lambda place, args, say: dispatch.measure(place, calls=args.calls or CALLS, say=say),
    "end-to-end": lambda place, args, say: end_to_end.measure(
        place, calls=args.calls or CALLS, talk_secs=args.talk_secs, say=say
    ),
    "retry": lambda place, args, say: retry.measure(place, people=args.people, say=say),
    "cancel": lambda place, args, say: cancel.measure(place, people=args.people, say=say),
    "read": lambda place, args, say: read.measure(place, people=args.people, say=say),
    "submit": lambda place, args, say: submit.measure(place, people=args.people, say=say),
}
"""Those of the store, on each engine."""
SIP = "sip"
PLAN = sip.Plan()
MOST_TALK_SECS = 120
"""An agent's text has 5,000 characters at most."""
NAMES = (*BENCHES, SIP)


def main(argv: Sequence[str], *, hire: sip.Hire) -> int:
    """Measure; 0 when every run came to its end, whatever the figures. `hire` makes the call workers of `sip`."""
    args = _arguments(argv)
    configure(style="console", level="warning")
    tune()
    results = []
    for result in _results(args, hire):
        results.append(result)
        if not args.json:
            sys.stdout.write(_told(result) + "\n")
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(results)).decode() + "\n")
    return 0


def _results(args: argparse.Namespace, hire: sip.Hire) -> Iterator[dict[str, Any]]:
    """What is asked for, else everything; where sipp is missing, everything but the calls over SIP."""
    names = args.bench or list(NAMES)
    for engine in args.engine or ENGINES:
        for name in names:
            if name != SIP:
                yield _one(name, engine, args)
    if SIP in names:
        try:
            yield _sip(args, hire)
        except BadSetting as missing:
            if args.bench:
                raise
            sys.stderr.write(f"{SIP} is left out: {missing}\n")


def _sip(args: argparse.Namespace, hire: sip.Hire) -> dict[str, Any]:
    def say(words: str) -> None:
        sys.stderr.write(f"{SIP}: {words}\n")

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        plan = sip.Plan(
            rows=args.row or sip.ROWS,
            calls=args.calls or PLAN.calls,
            workers=args.workers,
            talks=args.talks,
            secs=args.secs,
            rounds=args.rounds,
        )
        measured = runner.run(sip.measure(hire, plan, folder=args.folder, say=say))
    return {"bench": SIP, **measured, "machine": hardware()}


def _one(name: str, engine: str, args: argparse.Namespace) -> dict[str, Any]:
    def say(words: str) -> None:
        sys.stderr.write(f"{name} on {engine}: {words}\n")

    with (
        open_place(engine, server=args.database, folder=args.folder) as place,
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        where = machine(place)
        return {"bench": name, "engine": engine, **runner.run(BENCHES[name](place, args, say)), "machine": where}


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    asked = argparse.ArgumentParser(
        prog="outdial bench", description="Measure this machine, beside plain SQL, and beside sipp."
    )
    asked.add_argument(
        "bench", nargs="*", type=_known, metavar="|".join(NAMES), help="what to measure; all of it unless said"
    )
    asked.add_argument(
        "--calls", type=_whole, help=f"calls of dispatch and end-to-end [{CALLS}], busy ones of sip [{PLAN.calls}]"
    )
    asked.add_argument("--folder", type=Path, help="where files go [the temporary folder]; not a memory disk")
    asked.add_argument("--json", action="store_true", help="JSON alone on standard output")
    store = asked.add_argument_group("the store")
    store.add_argument("--engine", action="append", choices=ENGINES, help="on what; on both unless said")
    store.add_argument("--talk-secs", type=float, default=10.0, help="of the second part of end-to-end [10]")
    store.add_argument(
        "--people",
        type=int,
        default=100_000,
        help="recipients of retry, cancel and read, of each submit 10,000 at most [100000]",
    )
    store.add_argument(
        "--database", help="a PostgreSQL where databases may be made [OUTDIAL_TEST_POSTGRES, or our own]"
    )
    calls = asked.add_argument_group("calls over SIP")
    calls.add_argument("--row", action="append", choices=sip.ROWS, help="what of sip; all of it unless said")
    calls.add_argument("--workers", type=_whole, default=PLAN.workers, help=f"call workers [{PLAN.workers}]")
    calls.add_argument("--talks", type=_whole, default=PLAN.talks, help=f"calls with voice of each [{PLAN.talks}]")
    calls.add_argument("--secs", type=_talk, default=PLAN.secs, help=f"so long all of them talk [{PLAN.secs:g}]")
    calls.add_argument("--rounds", type=_whole, default=PLAN.rounds, help=f"of ours and sipp's in turn [{PLAN.rounds}]")
    return asked.parse_args(argv)


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def _talk(text: str) -> float:
    secs = float(text)
    if not 1 <= secs <= MOST_TALK_SECS:
        raise argparse.ArgumentTypeError(f"from 1 to {MOST_TALK_SECS} seconds")
    return secs


def _known(name: str) -> str:
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(NAMES)}")
    return name


def _told(result: dict[str, Any]) -> str:
    """A figure a line; the committer's own are in the JSON alone."""
    told = {name: value for name, value in result.items() if name not in {"bench", "engine", "committer"}}
    where = f" on {result['engine']}" if "engine" in result else ""
    return "\n  ".join([f"{result['bench']}{where}:", *_lines(told, "")])


def _lines(values: dict[str, Any], above: str) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{above}{name}.")
        else:
            yield f"{above}{name} {value}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
