"""A provider for tests: the last two digits of a number say what happens; every send is appended to a file."""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

from outdial.domain.call import CallEvent, EventKind
from outdial.domain.outcome import Ending, Outcome
from outdial.ports.lines import CallOrder, Lines, LinesTraits, LookUpFailed, Sighting
from outdial.ports.provider import CallbackRequest, ProviderSpec

TRAITS = LinesTraits("scripted", can_look_up=True, horizon_secs=1.0, place_timeout_secs=1.0)


class ScriptedLines:
    """…00 is over at once, …01 rings until given up, …02 throttled, …03 doubtful, …04 raises, …05 only sent.

    …09 kills its own process after sending.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        log = settings.get("log")
        self._log = Path(log) if log else None
        self._given_up: dict[str, asyncio.Event] = {}

    def _note(self, what: str, call_key: str) -> None:
        if self._log is not None:
            line = json.dumps({"t": time.time(), "event": what, "call_key": call_key, "pid": os.getpid()}) + "\n"
            with self._log.open("a") as file:
                file.write(line)

    async def start(self, order: CallOrder) -> AsyncGenerator[CallEvent, None]:
        key, now = order.call_key, time.time()
        ending = order.number[-2:]
        if ending == "02":
            yield CallEvent(key, EventKind.THROTTLED, now, retry_after=0.2)
            return
        self._note("sent", key)
        match ending:
            case "03":
                yield CallEvent(key, EventKind.DOUBTFUL, now)
            case "04":
                raise RuntimeError("the script says so")
            case "05":
                yield CallEvent(key, EventKind.SENT, now, provider_call_id=f"x-{key}")
            case "09":
                os.kill(os.getpid(), 9)
            case "01":
                given_up = self._given_up[key] = asyncio.Event()
                yield CallEvent(key, EventKind.SENT, now)
                yield CallEvent(key, EventKind.RINGING, now)
                await given_up.wait()
                ended = Ending(Outcome.NETWORK_ERROR, "node_lost")
                yield CallEvent(key, EventKind.ENDED, time.time(), ending=ended)
            case _:
                yield CallEvent(key, EventKind.SENT, now)
                yield CallEvent(key, EventKind.ANSWERED, now)
                yield CallEvent(key, EventKind.ENDED, now, ending=Ending(Outcome.COMPLETED))

    async def hang_up(self, call_key: str, *, even_if_answered: bool, order: CallOrder | None = None) -> None:
        self._note("hung_up", call_key)
        if call_key in self._given_up:
            self._given_up[call_key].set()

    async def look_up(self, call_key: str, *, order: CallOrder | None = None) -> Sighting | None:
        if call_key == "broken":
            raise LookUpFailed("the network is away")
        if call_key == "slow":
            await asyncio.sleep(60)
        if call_key == "unknown":
            return None
        return Sighting((CallEvent(call_key, EventKind.RINGING, time.time()),), over=False)


def _make(settings: Mapping[str, Any]) -> Lines:
    if settings.get("refuse"):
        raise ValueError(settings["refuse"])
    print("some library talks")  # noqa: T201 - it must not disturb the frames
    os.system("echo and so does a child")  # noqa: S605
    return ScriptedLines(settings)


def _read(request: CallbackRequest) -> list[CallEvent]:
    return []


def _check(settings: Mapping[str, Any]) -> dict[str, Any]:
    return dict(settings)


SPEC = ProviderSpec("scripted", TRAITS, _make, _read, _check)
