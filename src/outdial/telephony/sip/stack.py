"""The SIP stack of this process: the cures of what ails it. Nobody else knows it but `audio` and `device`.

- Its `dial` loses events: they may be dispatched before its caller runs again. Here a call is claimed at the very
  moment in which the stack's answer to the order is dispatched, before anything that follows it; and handles, which the
  stack uses again, always mean the call that was claimed last.
- Inbound calls are refused on the SIP thread with 486: the native half of `drain` does that, and leaves our own alone.
- The SIP thread stands still for milliseconds whenever an answered call is torn down. An order is handed to it only
  when it has just answered a ping, so that it does not wait there beyond its deadline.
- Its audio device for programs says nothing for 20 ms first, and costs threads: there is one of our own (`device`).
- What the events don't tell (100 Trying, Retry-After, a second Reason) is read from its message trace.
- An INVITE with a broken body leaves it with a call that it has freed and counts on, and taking the stack down then
  ends the process (glibc: corrupted list). So a stack that anybody tried to call is left standing at the end: the
  process is about to exit.
- It prints what strangers ask of it, with their words and whatever numbers are in them, on C's standard error, which is
  our log. That stream of C leads nowhere here; the file descriptor stays, for us and for what a crash says.
- Once its thread has died nothing works in this process any more: it ends, and the pool starts another.
"""

import asyncio
import atexit
import contextlib
import ctypes
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from baresip._events import set_sink
from baresip._native import ffi, lib
from baresip.config import Account
from baresip.config import Config as NativeConfig
from baresip.errors import BaresipError, CommandTimeout
from baresip.events import Event, StackEvent
from baresip.runtime import Runtime
from baresip.ua import UserAgent

from outdial.runtime.log import get_logger
from outdial.telephony.sip.audio import StackAudio
from outdial.telephony.sip.config import Config, Trunk
from outdial.telephony.sip.device import PARAMETERS, Device
from outdial.telephony.sip.outcome import cause_in

EXIT_CODE = 70
CODECS = {"PCMU/8000": "pcmu", "PCMA/8000": "pcma", "G722/8000": "g722/16000/1", "opus/48000": "opus/48000/2"}
MEDIA_ENCRYPTION = {"disabled": "", "allowed": "srtp", "required": "srtp-mand"}
KEY_SECS = 0.1
"""How long a key that we press is held."""
KEY_GAP_SECS = 0.12
ANSWER_SECS = 5.0
"""How long the SIP thread may take to act on an order."""
LINGER_SECS = 0.7
"""A CANCEL or BYE is followed by answers, one of which we must acknowledge, and is sent again once after 0.5 s."""
COMPLAINTS_A_MINUTE = 30
"""Lines of each of the stack's logs that reach ours."""
TRACED_SECS = 0.02
"""How long the message trace may lag behind an event, where it may have nothing to tell."""
SURELY_TRACED_SECS = 0.5
"""The same where it has: it comes through a thread of its own, which waits for its turn on a busy machine."""
NO_ADDRESS = "no_laddr"
"""The stack's word for: none of our interfaces leads there."""

log = get_logger()


class NotSent(Exception):
    """The stack refused the order before any message left."""


class NoWay(NotSent):
    """It found no way to the trunk from here."""


class InDoubt(Exception):
    """The stack did not answer: whether it sends is not known."""


@dataclass(slots=True)
class Traced:
    """What the messages of one call said."""

    heard: bool = False
    rang: bool = False
    final: int | None = None
    """The latest final answer; before it there may have been a challenge, or two."""
    retry_after: float | None = None
    q850: int | None = None
    """Of any Reason header: the events tell the first one alone."""
    on_heard: Callable[[], None] = lambda: None
    """Called when the first answer came."""
    on_final: Callable[[], None] = lambda: None
    """Called when a final one came."""


@dataclass(slots=True, eq=False)
class StackCall:
    """One call of the stack."""

    handle: int
    call_id: str
    on_event: Callable[[StackEvent], None]
    traced: Traced
    on_audio: Callable[[], None] = lambda: None
    """Called when its audio begins: it is about to be answered, or has early media."""
    closed: bool = False


@dataclass
class Stack:
    """One stack a process, for as long as the process lives."""

    config: Config
    on_dead: Callable[[], None] = field(default=lambda: os._exit(EXIT_CODE))
    _runtime: Runtime | None = None
    _agents: dict[tuple[Trunk, str], asyncio.Task[UserAgent]] = field(default_factory=dict)
    _calls: dict[int, StackCall] = field(default_factory=dict)
    """By handle; a handle that is used again means the newer call."""
    _traces: dict[str, Traced] = field(default_factory=dict)
    """By SIP Call-ID, while a call is up."""
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _outgoing: str = ""
    """The Call-ID of the order that the SIP thread is at."""
    _asides: set[asyncio.Task[None]] = field(default_factory=set)
    _hung_up_at: float = -LINGER_SECS
    _device: Device | None = None
    strangers: int = 0
    """Events of calls that are not ours: somebody tried to call in."""

    async def start(self) -> Runtime:
        """The running stack; started by the first who needs it."""
        async with self._starting:
            if self._runtime is None:
                runtime = Runtime(command_timeout=ANSWER_SECS)
                _quiet_loggers(self._on_message)
                _quiet_prints()
                await runtime.start(_native(self.config))
                runtime.on_dead = self.on_dead  # type: ignore[assignment]  # it says None, and means "or None"
                runtime.subscribe(self._on_event)
                # natively only: its Python half would refuse our own calls too
                await runtime.cmd(lib.BP_CMD_SET_DRAIN)
                loop = asyncio.get_running_loop()
                self._device = Device(lambda call_id: _tell(loop, self._on_audio, call_id))
                self._device.register()
                self._runtime = runtime
            return self._runtime

    async def close(self) -> None:
        """End it, once what was hung up lately has had its answers; may be called twice."""
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            await asyncio.sleep(max(0.0, self._hung_up_at + LINGER_SECS - asyncio.get_running_loop().time()))
            if self.strangers:
                _leave_standing(runtime)
                return
            with contextlib.suppress(BaresipError):
                await runtime.close()
                if self._device is not None:
                    self._device.unregister()

    # --- calls

    async def agent(self, trunk: Trunk, caller: str) -> UserAgent:
        """The identity for calls over this trunk under this number; made once, by the first of all who want it."""
        runtime = await self.start()
        key = (trunk, caller)
        making = self._agents.get(key)
        if making is None:
            account = _account(trunk, caller)
            making = asyncio.create_task(UserAgent.create(runtime, account, transfer_policy="reject"))
            self._agents[key] = making
            making.add_done_callback(lambda made: self._made(key, made))
        return await asyncio.shield(making)

    def _made(self, key: tuple[Trunk, str], made: asyncio.Task[UserAgent]) -> None:
        """One that could not be made is tried again by whoever wants it next."""
        if made.cancelled() or made.exception() is not None:
            del self._agents[key]

    async def ready(self) -> None:
        """The SIP thread is free for an order just now."""
        runtime = await self.start()
        try:
            await runtime.cmd(lib.BP_CMD_PING)
        except CommandTimeout as error:
            raise NotSent("the SIP thread does not answer") from error

    def dial(
        self,
        agent: UserAgent,
        uri: str,
        headers: Mapping[str, str],
        *,
        claimed: Callable[[StackCall], None],
        on_event: Callable[[StackEvent], None],
    ) -> "asyncio.Future[StackCall]":
        """Send the INVITE: it is on its way when this returns. `claimed` is told the call before any of its events.

        The future raises NotSent or InDoubt.
        """
        runtime = self._runtime
        if runtime is None:
            raise NotSent("the stack is not running")
        lines = [f"{agent.handle} 0 {uri}", *(f"{name}: {value}" for name, value in headers.items())]
        dialled = _Dialled(self, claimed, on_event)
        number = runtime._next_seq()  # noqa: SLF001 - pinned and tested: see the module's first words
        runtime._pending[number] = dialled  # noqa: SLF001
        error = lib.bp_cmd(lib.BP_CMD_UA_CONNECT, number, ffi.new("char[]", "\n".join(lines).encode()))
        if error:
            runtime._pending.pop(number, None)  # noqa: SLF001
            raise NotSent(os.strerror(error))
        asyncio.get_running_loop().call_later(ANSWER_SECS, dialled.expire)
        return dialled.call

    def claim(self, handle: int, on_event: Callable[[StackEvent], None]) -> StackCall:
        """The call that the stack has just made is ours."""
        call_id, self._outgoing = self._outgoing, ""
        call = StackCall(handle, call_id, on_event, self._traces.setdefault(call_id, Traced()))
        self._calls[handle] = call
        return call

    def give_up_unheard(self, call: StackCall, *, within: float) -> None:
        """Nothing was heard of it, so nothing can be cancelled (RFC 3261 9.1): whatever is heard is answered by that.

        To hang up now would make the stack forget it: a late ring would go on, and a late answer stay unanswered. But
        over UDP it says the INVITE again and again meanwhile, so it forgets it `within` so many seconds.
        """
        call.on_event = lambda event: None if event.event is Event.CALL_CLOSED else self.abandon(call)
        call.traced.on_heard = lambda: self.abandon(call)
        asyncio.get_running_loop().call_later(within, self.abandon, call)

    def abandon(self, call: StackCall) -> None:
        """A call that nobody waits for any more is hung up."""
        task = asyncio.create_task(self._quietly_hang_up(call))
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    async def _quietly_hang_up(self, call: StackCall) -> None:
        with contextlib.suppress(BaresipError):
            await self.hang_up(call)

    async def hang_up(self, call: StackCall) -> None:
        """CANCEL or BYE; one that is over is success."""
        if not call.closed and self._runtime is not None:
            self._hung_up_at = asyncio.get_running_loop().time()
            await self._runtime.cmd(lib.BP_CMD_CALL_HANGUP, args=str(call.handle))

    async def press(self, call: StackCall, digits: str) -> None:
        """Press keys (RFC 4733)."""
        for digit in digits:
            for key, secs in ((digit, KEY_SECS), ("R", KEY_GAP_SECS)):
                if call.closed or self._runtime is None:
                    return
                await self._runtime.cmd(lib.BP_CMD_CALL_SEND_DIGIT, args=f"{call.handle} {key}")
                await asyncio.sleep(secs)

    def audio(self, call: StackCall) -> StackAudio | None:
        """The audio of a call that is answered or has early media; None while nothing goes out."""
        device = self._device
        source = device.of(call.call_id) if device is not None else None
        if device is None or source is None:
            return None
        return StackAudio(call.handle, source, lambda: device.of(call.call_id))

    # --- events, on the loop

    def _on_event(self, event: StackEvent) -> None:
        if event.event is Event.CALL_OUTGOING:
            self._outgoing = event.call_id or ""
            self._traces.setdefault(self._outgoing, Traced())
            return
        call = self._calls.get(event.call) if event.call else None
        if call is None:
            if event.call and event.event is not Event.CALL_LOCAL_SDP:  # that one may come before we know our call
                self.strangers += 1
            return
        if event.event is Event.CALL_CLOSED:
            call.closed = True
            del self._calls[event.call]
            asyncio.get_running_loop().call_later(1.0, self._traces.pop, call.call_id, None)
        call.on_event(event)

    def _on_audio(self, call_id: str) -> None:
        for call in self._calls.values():
            if call.call_id == call_id:
                call.on_audio()
                return

    def _on_message(self, message: "Message") -> None:
        """A SIP message that was sent or came; from the log thread by way of the loop."""
        traced = self._traces.get(message.call_id)
        if traced is None or message.sent or message.status is None:
            return
        first, traced.heard = not traced.heard, True
        traced.rang = traced.rang or message.status in {180, 183}
        traced.final = message.status if message.status >= 200 else traced.final
        traced.q850 = message.q850 if message.q850 is not None else traced.q850
        traced.retry_after = message.retry_after if message.status >= 200 else traced.retry_after
        if first:
            traced.on_heard()
        if message.status >= 200:
            traced.on_final()


class _Dialled(asyncio.Future[Any]):
    """Stands among the stack's pending answers: told its answer in the order of events, it acts in that moment."""

    def __init__(
        self, stack: Stack, claimed: Callable[[StackCall], None], on_event: Callable[[StackEvent], None]
    ) -> None:
        super().__init__()
        self._stack = stack
        self._claimed = claimed
        self._on_event = on_event
        self.call: asyncio.Future[StackCall] = asyncio.get_running_loop().create_future()

    def set_result(self, result: Any) -> None:  # noqa: ANN401 - the stack's
        super().set_result(result)
        event, payload = result
        answer = json.loads(payload) if payload else {}
        if event == lib.BP_EV_STALE_HANDLE or "handle" not in answer:
            told = answer.get("error", "stale")
            number = answer.get("errno")
            kind = NoWay if told == NO_ADDRESS else NotSent
            self._tell(kind(os.strerror(number) if number else str(told)))
        elif self.call.done():  # it was given up for lost, and is sent all the same
            self._stack.abandon(self._stack.claim(answer["handle"], lambda _: None))
        else:
            call = self._stack.claim(answer["handle"], self._on_event)
            self._claimed(call)
            self.call.set_result(call)

    def set_exception(self, exception: Any) -> None:  # noqa: ANN401 - the stack's
        super().set_exception(exception)
        self.exception()  # looked at
        self._tell(InDoubt(str(exception)))

    def expire(self) -> None:
        """The stack did not answer in time; it may still."""
        if not self.done():
            self._tell(InDoubt("the SIP thread does not answer"))

    def _tell(self, error: Exception) -> None:
        if not self.call.done():
            self.call.set_exception(error)


def _leave_standing(runtime: Runtime) -> None:
    """Let go of a stack that must not be taken down: it says nothing any more, and ends with the process."""
    atexit.unregister(runtime._forced_teardown)  # noqa: SLF001 - as `dial`
    set_sink(None)  # type: ignore[no-untyped-call]
    if runtime._watchdog_task is not None:  # noqa: SLF001
        runtime._watchdog_task.cancel()  # noqa: SLF001


def _native(config: Config) -> NativeConfig:
    extra = ["sip_verify_server yes", "dns_getaddrinfo yes", "audio_telev_pt 101", "call_hold_other_calls no"]
    if config.cafile:
        extra.append(f"sip_cafile {config.cafile}")
    else:
        extra.append("sip_capath /etc/ssl/certs")
    if config.rtp_ports:
        extra.append(f"rtp_ports {config.rtp_ports}")
    return NativeConfig(
        net_interface=config.interface,
        max_concurrent_calls=None,
        rtp_timeout=config.media_lost_secs,
        sip_trace=True,
        extra_config_text="\n".join(extra) + "\n",
    )


def _account(trunk: Trunk, caller: str) -> Account:
    encryption = MEDIA_ENCRYPTION[trunk.media_encryption]
    if trunk.media_encryption == "allowed" and trunk.transport != "tls":
        encryption = ""  # the keys would travel in clear: no use, and some trunks refuse the offer
    return Account(
        user=caller,
        domain=trunk.domain,
        password=trunk.password.reveal if trunk.password else "",
        auth_user=trunk.username,
        reg_interval=0,
        transport=trunk.transport,
        audio_codecs=tuple(CODECS[name] for name in trunk.codecs),
        extra_params=(*PARAMETERS, *((f"mediaenc={encryption}",) if encryption else ())),
    )


# --- messages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """The little that we want of a SIP message."""

    sent: bool
    call_id: str
    status: int | None
    """None: a request."""
    retry_after: float | None
    q850: int | None = None


_CALL_ID = re.compile(r"^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_STATUS_LINE = re.compile(r"^SIP/2\.0 ([1-6][0-9]{2})\b", re.MULTILINE)
_RETRY_AFTER = re.compile(r"^Retry-After[ \t]*:[ \t]*([0-9]{1,9})", re.IGNORECASE | re.MULTILINE)
_REASON = re.compile(r"^Reason[ \t]*:(.*)", re.IGNORECASE | re.MULTILINE)
_INVITE = re.compile(r"^(?:CSeq)[ \t]*:[ \t]*[0-9]+[ \t]+INVITE\b", re.IGNORECASE | re.MULTILINE)


def read_message(text: str) -> Message | None:
    """What the stack's trace says of a message about an INVITE; None for anything else."""
    sent = text.startswith("TX")
    call_id = _CALL_ID.search(text)
    if call_id is None or not _INVITE.search(text):
        return None
    status, retry_after = _STATUS_LINE.search(text), _RETRY_AFTER.search(text)
    causes = (cause_in(reason) for reason in _REASON.findall(text))
    return Message(
        sent,
        call_id[1],
        int(status[1]) if status else None,
        float(retry_after[1]) if retry_after else None,
        next((cause for cause in causes if cause is not None), None),
    )


class _Tap(logging.Handler):
    """Reads the message trace in the stack's log thread. Nothing of it is ever logged: it holds numbers and digests."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Callable[[Message], None]) -> None:
        super().__init__()
        self._loop = loop
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        message = read_message(record.getMessage())
        if message is not None:
            _tell(self._loop, self._tell, message)


def _tell(loop: asyncio.AbstractEventLoop, tell: Callable[[Any], None], what: object) -> None:
    """From a thread of the stack."""
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(tell, what)


class _NoAccounts(logging.Filter):
    """Lines of the stack that quote an account would hold its password."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "auth_pass" not in record.getMessage()


class _Sparing(logging.Filter):
    """Lets so many lines through in a minute: strangers can make the stack complain as often as they like."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines = lines
        self._since = 0.0
        self._passed = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created - self._since >= 60.0:
            self._since, self._passed = record.created, 0
        self._passed += 1
        return self._passed <= self._lines


def _quiet_loggers(tell: Callable[[Message], None]) -> None:
    trace = logging.getLogger("baresip.native.sip")
    trace.propagate = False
    trace.setLevel(logging.DEBUG)
    trace.handlers = [_Tap(asyncio.get_running_loop(), tell)]
    for name in ("baresip.native", "baresip.runtime", "baresip.call"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.filters = [_NoAccounts(), _Sparing(COMPLAINTS_A_MINUTE)]


@cache
def _quiet_prints() -> None:
    """Let C's `stderr` lead nowhere, in this process; other C libraries than glibc may not have it as a variable."""
    with contextlib.suppress(ValueError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.fopen.restype = ctypes.c_void_p
        nowhere = libc.fopen(os.devnull.encode(), b"we")
        if nowhere:
            ctypes.c_void_p.in_dll(libc, "stderr").value = nowhere
