"""A process beside the server that reads big bodies: ten thousand people are checked without a pause for anybody else.

One body at a time, over its standard input and output: a length (8 bytes) and the body go in; a head and the people, a
page a frame, come out. It ends when its input does, so it never outlives the server.
"""

import asyncio
import struct
import sys
from typing import BinaryIO

import msgspec

from outdial.api.submission import read_submission
from outdial.batches.order import Order, OrderHead
from outdial.domain.errors import Complaint, Invalid, Unavailable, Unprocessable
from outdial.ports.store import NewRecipient
from outdial.runtime.log import get_logger

SMALL = 8 * 1024
"""Bytes that are read on the spot: about 50 people, two milliseconds."""
PAGE = 500
"""People in a frame: about a millisecond of the event loop each."""
READ_WITHIN_SECS = 60.0
_LENGTH = struct.Struct(">Q")

log = get_logger()


class _Refused(msgspec.Struct, tag="refused"):
    """It is no order, and why."""

    complaints: list[Complaint]
    message: str = ""
    code: str = ""
    param: str | None = None


class _Read(msgspec.Struct, tag="read"):
    """The first frame of an order; the pages of its people follow."""

    head: OrderHead
    pages: int


_ANSWER = msgspec.msgpack.Decoder(_Read | _Refused)
_PEOPLE = msgspec.msgpack.Decoder(list[NewRecipient])


class Reader:
    """The server's side: starts the process when a big body first comes, and again if it died."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def read(self, body: bytes) -> Order:
        """The order in this body; Unprocessable or Invalid where it can't be one."""
        if len(body) <= SMALL:
            return read_submission(body)
        answer, people = await self._asked(body)
        if isinstance(answer, _Read):
            return Order(answer.head, people)
        if answer.complaints:
            raise Unprocessable(answer.complaints)
        raise Invalid(answer.message, code=answer.code, param=answer.param)

    async def start(self) -> None:
        """Have the process ready before the first big body: it takes half a second to start."""
        await self._running()

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        return self._process

    async def _asked(self, body: bytes) -> tuple[_Read | _Refused, list[NewRecipient]]:
        """Its answer; asked a second time if the process had died, since reading changes nothing."""
        for again in (True, False):
            try:
                async with asyncio.timeout(READ_WITHIN_SECS), self._turn:
                    return await self._ask(body)
            except (EOFError, OSError) as error:  # also TimeoutError
                log.warning("reader of big bodies failed", error=type(error).__name__, size=len(body))
                if isinstance(error, TimeoutError) or not again:
                    break
        raise Unavailable("this body could not be read just now", retry_after=1.0)

    async def _ask(self, body: bytes) -> tuple[_Read | _Refused, list[NewRecipient]]:
        try:
            return await _converse(*_pipes(await self._running()), body)
        except BaseException:
            # whatever happened, also a caller who went away: half an answer may be in the pipe
            await asyncio.shield(self.stop())
            raise


def _pipes(process: asyncio.subprocess.Process) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None:
        raise OSError("the reader has no pipes")
    return process.stdin, process.stdout


async def _converse(
    to: asyncio.StreamWriter, back: asyncio.StreamReader, body: bytes
) -> tuple[_Read | _Refused, list[NewRecipient]]:
    to.write(_LENGTH.pack(len(body)))
    to.write(body)
    await to.drain()
    answer = _ANSWER.decode(await _frame(back))
    people: list[NewRecipient] = []
    for _ in range(answer.pages if isinstance(answer, _Read) else 0):
        people += _PEOPLE.decode(await _frame(back))
    return answer, people


async def _frame(stream: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    return await stream.readexactly(length)


# --- the process ---------------------------------------------------------------------------------------------------


def main() -> None:
    """Answer until the input ends."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    while len(length := incoming.read(_LENGTH.size)) == _LENGTH.size:
        body = incoming.read(_LENGTH.unpack(length)[0])
        for frame in _answers(body):
            _send(outgoing, frame)
        outgoing.flush()


def _answers(body: bytes) -> list[bytes]:
    encode = msgspec.msgpack.Encoder().encode
    try:
        order = read_submission(body)
    except Unprocessable as error:
        return [encode(_Refused(error.complaints))]
    except Invalid as error:
        return [encode(_Refused([], error.message, error.code, error.param))]
    pages = [encode(order.people[at : at + PAGE]) for at in range(0, len(order.people), PAGE)]
    return [encode(_Read(order.head, len(pages))), *pages]


def _send(outgoing: BinaryIO, frame: bytes) -> None:
    outgoing.write(_LENGTH.pack(len(frame)))
    outgoing.write(frame)


if __name__ == "__main__":
    main()
