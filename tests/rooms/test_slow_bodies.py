"""Bodies that come slowly: read while they keep pace, given up when they trickle."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.requests import Request
from starlette.types import Message

from outdial.api.body import GRACE_SECS, PACE, WITHIN_SECS, body_of
from outdial.api.refusals import TooSlow

MIB = 1024 * 1024


def coming(pieces: Sequence[bytes], *, every: float) -> Request:
    """A request whose body comes piece by piece, and then never ends."""
    left = list(pieces)

    async def receive() -> Message:
        await asyncio.sleep(every)
        if not left:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": left.pop(0), "more_body": True}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def given_up_after(request: Request, *, limit: int = MIB) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TooSlow):
        await body_of(request, limit=limit)
    return loop.time() - began


@pytest.mark.looptime
async def test_a_trickle_is_given_up_soon() -> None:
    assert await given_up_after(coming([b"{"] * 10_000, every=1.0)) == pytest.approx(GRACE_SECS, abs=1.5)


@pytest.mark.looptime
async def test_silence_is_given_up_soon() -> None:
    assert await given_up_after(coming([], every=1.0)) == pytest.approx(GRACE_SECS, abs=0.1)


@pytest.mark.looptime
async def test_what_keeps_pace_is_read_on_within_the_bound_of_all() -> None:
    request = coming([b" " * 2 * PACE] * 10_000, every=1.0)
    assert await given_up_after(request, limit=64 * MIB) == pytest.approx(WITHIN_SECS, abs=1.5)
