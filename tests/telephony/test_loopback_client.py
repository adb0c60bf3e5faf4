"""What the client does when the network, the clock or the connection misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from outdial.domain.call import CallEvent, EventKind
from outdial.domain.errors import BadSetting, Invalid
from outdial.ports.lines import CallOrder
from outdial.runtime.clock import ManualClock
from outdial.runtime.failpoint import armed
from outdial.telephony.loopback.client import HangUpFailed, LoopbackLines
from outdial.telephony.loopback.config import Config, check_number, read
from outdial.telephony.loopback.greeting import MOST_SAID, greeting
from outdial.telephony.registry import UnknownProvider, provider

TAKEN = b'HTTP/1.1 201 Created\r\nContent-Length: 16\r\n\r\n{"call_id":"c1"}'
REPLIES = Callable[[str], Awaitable[bytes | None]]


class Stub:
    """A network that answers as told; it keeps the request lines. None: it hangs up without a word."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.reply: REPLIES = self._taken
        self.url = ""

    async def _taken(self, _line: str) -> bytes | None:
        return TAKEN

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
                self.asked.append(head.split(b" HTTP")[0].decode())
                answer = await self.reply(self.asked[-1])
                if answer is None:
                    break
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield stub
    server.close()


@pytest.fixture
async def lines(stub: Stub) -> AsyncIterator[LoopbackLines]:
    lines = LoopbackLines(Config(stub.url, place_timeout_secs=0.5), ManualClock())
    yield lines
    await lines.close()
    await lines.close()  # forgives


def order(call_key: str = "k", send_by: float = 1_002.0) -> CallOrder:
    return CallOrder(
        call_key=call_key,
        number="+493012345678",
        caller="+493099990000",
        provider="loopback",
        trunk={},
        agent={},
        variables={},
        ring_secs=30.0,
        talk_secs=60.0,
        send_by=send_by,
        callback_url="http://127.0.0.1:9/callbacks/loopback/k/token",
        callback_secret="s",
    )


async def sending(lines: LoopbackLines, order: CallOrder) -> CallEvent:
    (event,) = [event async for event in lines.start(order)]
    return event


def answering(status: str, headers: str = "", body: str = "") -> REPLIES:
    async def reply(_line: str) -> bytes:
        return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    return reply


async def test_a_broken_reply_is_doubt_and_is_not_repeated(stub: Stub, lines: LoopbackLines) -> None:
    assert (await sending(lines, order("first"))).kind is EventKind.SENT  # so that the connection is an old one

    async def hangs_up(_line: str) -> None:
        return None

    stub.reply = hangs_up
    event = await sending(lines, order())
    assert (event.kind, event.reason) == (EventKind.DOUBTFUL, "connection_broken")
    assert stub.asked == ["POST /calls"] * 2


async def test_a_clock_that_passes_the_deadline_while_writing_hangs_up_at_once(stub: Stub) -> None:
    class Stalled(ManualClock):
        """Each look at it finds the process a second later: 1,001 before the write, 1,002 after it."""

        def boottime(self) -> float:
            self.pass_by(1)
            return super().boottime()

    lines = LoopbackLines(Config(stub.url), Stalled())
    hung_up = asyncio.Event()

    async def reply(line: str) -> bytes:
        if "hang_up" in line:
            hung_up.set()
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        await hung_up.wait()  # the reply to `place` comes only after we hung up: so we did not wait for it
        return TAKEN

    stub.reply = reply
    event = await sending(lines, order(send_by=1_001.5))
    await lines.close()
    assert event.kind is EventKind.SENT
    assert stub.asked == ["POST /calls", "POST /calls/k/hang_up", "POST /calls/k/hang_up"]


async def test_a_stop_while_the_reply_is_awaited_hangs_up_before_and_after_it(stub: Stub, lines: LoopbackLines) -> None:
    placing, go_on = asyncio.Event(), asyncio.Event()

    async def reply(line: str) -> bytes:
        if "hang_up" in line:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"  # it does not know the call yet
        placing.set()
        await go_on.wait()
        return TAKEN

    stub.reply = reply
    event = asyncio.create_task(sending(lines, order()))
    await placing.wait()
    await lines.hang_up("k", even_if_answered=False)
    go_on.set()
    assert (await event).kind is EventKind.SENT
    assert stub.asked == ["POST /calls", "POST /calls/k/hang_up", "POST /calls/k/hang_up"]


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        ("201 Created", "", EventKind.SENT),
        ("302 Found", "Location: http://127.0.0.1:9/\r\n", EventKind.ENDED),
        ("307 Temporary Redirect", "Location: /calls\r\n", EventKind.ENDED),
        ("401 Unauthorized", "", EventKind.ENDED),
        ("429 Too Many Requests", "", EventKind.THROTTLED),
        ("500 Internal Server Error", "", EventKind.DOUBTFUL),
        ("503 Service Unavailable", "Retry-After: 1\r\n", EventKind.DOUBTFUL),
    ],
)
async def test_each_status_is_asked_for_once(
    stub: Stub, lines: LoopbackLines, status: str, headers: str, kind: EventKind
) -> None:
    stub.reply = answering(status, headers)
    event = await sending(lines, order())
    assert event.kind is kind
    assert stub.asked == ["POST /calls"]


@pytest.mark.parametrize(("header", "secs"), [("2.5", 2.5), ("soon", 1.0), ("nan", 1.0), ("-1", 1.0), ("", 1.0)])
async def test_a_throttling_says_for_how_long(stub: Stub, lines: LoopbackLines, header: str, secs: float) -> None:
    stub.reply = answering("429 Too Many Requests", f"Retry-After: {header}\r\n")
    assert (await sending(lines, order())).retry_after == secs


async def test_failing_before_the_send_is_unsent_and_after_it_is_doubt(stub: Stub, lines: LoopbackLines) -> None:
    with armed("before_send=raise"):
        assert (await sending(lines, order())).kind is EventKind.UNSENT
    assert stub.asked == []
    with armed("after_send=raise"):
        assert (await sending(lines, order())).kind is EventKind.DOUBTFUL


async def test_a_stop_is_forgotten_when_no_order_can_come_any_more(stub: Stub) -> None:
    clock = ManualClock()
    lines = LoopbackLines(Config(stub.url), clock)
    stub.reply = answering("404 Not Found")
    for key in ("a", "b"):
        await lines.hang_up(key, even_if_answered=False)
    clock.pass_by(61)
    await lines.hang_up("c", even_if_answered=False)
    await lines.close()
    assert list(lines._stopped) == ["c"]


async def test_a_hang_up_that_the_network_does_not_take_is_an_error(stub: Stub, lines: LoopbackLines) -> None:
    stub.reply = answering("500 Internal Server Error")
    with pytest.raises(HangUpFailed):
        await lines.hang_up("k", even_if_answered=False)


def test_settings_are_read_from_text_or_numbers() -> None:
    given = {"carrier_url": "http://127.0.0.1:1/", "horizon_secs": "1.5", "place_timeout_secs": 2}
    assert read(given) == Config("http://127.0.0.1:1", 1.5, 2.0)
    assert read({"carrier_url": "http://127.0.0.1:1"}).traits.horizon_secs == 5.0


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"carrier_url": "127.0.0.1:1"},
        {"carrier_url": "http://x", "horizon_secs": -1},
        {"carrier_url": "http://x", "horizon_secs": "nan"},
        {"carrier_url": "http://x", "place_timeout_secs": 0},
        {"carrier_url": "http://x", "place_timeout_secs": []},
    ],
)
def test_wrong_settings_are_said(wrong: dict[str, object]) -> None:
    with pytest.raises(BadSetting):
        read(wrong)


def test_a_number_has_no_settings() -> None:
    assert check_number({}) == {}
    with pytest.raises(Invalid):
        check_number({"sid": "AC1"})


@pytest.mark.parametrize(
    ("first_message", "said"),
    [
        ("Hello Anna.", "Hello Anna."),
        ("{{left}} as it is", "{{left}} as it is"),
        ("ü" * 70_000, "ü" * MOST_SAID),
        (None, ""),
    ],
)
def test_the_greeting_is_the_first_message_as_it_was_ordered(first_message: object, said: str) -> None:
    assert greeting({"conversation_config": {"agent": {"first_message": first_message}}}) == said
    assert greeting({"conversation_config": None}) == ""


def test_the_registry_names_what_it_knows() -> None:
    assert provider("loopback").traits.can_look_up
    with pytest.raises(UnknownProvider, match="'pigeon'; there are: loopback"):
        provider("pigeon")
