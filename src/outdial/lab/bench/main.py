"""The command: what is measured, where, and how it is told."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from outdial.lab.bench import cancel, dispatch, end_to_end, read, retry, submit
from outdial.lab.bench.place import Place, machine, open_place
from outdial.runtime.log import configure
from outdial.runtime.tuning import tune

ENGINES = ("sqlite", "postgres")
Say = Callable[[str], None]
Measure = Callable[[Place, argparse.Namespace, Say], Coroutine[Any, Any, dict[str, Any]]]

BENCHES: dict[str, Measure] = {
    "dispatch": lambda place, args, say: dispatch.measure(place, calls=args.calls, say=say),
    "end-to-end": lambda place, args, say: end_to_end.measure(
        place, calls=args.calls, talk_secs=args.talk_secs, say=say
    ),
    "retry": lambda place, args, say: retry.measure(place, people=args.people, say=say),
    "cancel": lambda place, args, say: cancel.measure(place, people=args.people, say=say),
    "read": lambda place, args, say: read.measure(place, people=args.people, say=say),
    "submit": lambda place, args, say: submit.measure(place, people=args.people, say=say),
}


def main(argv: Sequence[str]) -> int:
    """Measure; 0 when every run came to its end, whatever the figures."""
    args = _arguments(argv)
    configure(style="console", level="warning")
    tune()
    results = []
    for engine in args.engine or ENGINES:
        for name in args.bench or list(BENCHES):
            results.append(_one(name, engine, args))
            if not args.json:
                sys.stdout.write(_told(results[-1]) + "\n")
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(results)).decode() + "\n")
    return 0


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
    asked = argparse.ArgumentParser(prog="outdial bench", description="Measure this machine, beside plain SQL.")
    asked.add_argument(
        "bench", nargs="*", type=_known, metavar="|".join(BENCHES), help="what to measure; all of it unless said"
    )
    asked.add_argument("--engine", action="append", choices=ENGINES, help="on what; on both unless said")
    asked.add_argument("--calls", type=int, default=10_000, help="calls of dispatch and end-to-end [10000]")
    asked.add_argument("--talk-secs", type=float, default=10.0, help="of the second part of end-to-end [10]")
    asked.add_argument(
        "--people",
        type=int,
        default=100_000,
        help="recipients of retry, cancel and read, of each submit 10,000 at most [100000]",
    )
    asked.add_argument(
        "--database", help="a PostgreSQL where databases may be made [OUTDIAL_TEST_POSTGRES, or our own]"
    )
    asked.add_argument("--folder", type=Path, help="where files go [the temporary folder]; not a memory disk")
    asked.add_argument("--json", action="store_true", help="JSON alone on standard output")
    return asked.parse_args(argv)


def _known(name: str) -> str:
    if name not in BENCHES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(BENCHES)}")
    return name


def _told(result: dict[str, Any]) -> str:
    """A figure a line; the committer's own are in the JSON alone."""
    told = {name: value for name, value in result.items() if name not in {"bench", "engine", "committer"}}
    return "\n  ".join([f"{result['bench']} on {result['engine']}:", *_lines(told, "")])


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
