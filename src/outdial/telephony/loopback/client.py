"""The wire to the network in a box: place once, hang up, look up."""

import asyncio
import contextlib
import errno
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp
import msgspec
from aiohttp.abc import AbstractStreamWriter

from outdial.domain.call import CallEvent, EventKind
from outdial.ports.lines import CallOrder, LinesTraits, LookUpFailed, Sighting
from outdial.runtime.clock import Clock, SystemClock
from outdial.runtime.failpoint import reach
from outdial.telephony.loopback.callback import Report, events
from outdial.telephony.loopback.config import Config
from outdial.telephony.loopback.greeting import greeting
from outdial.telephony.loopback.outcome import refusal

CONNECT_SECS = 2.0
ASK_SECS = 5.0
"""For a hang-up or a look-up."""
RETRY_AFTER_SECS = 1.0
"""Where the network throttles and does not say for how long."""
STOPPED_SECS = 60.0
"""How long a stop is remembered for an order that has not come yet; its send deadline is over long before."""
_LONGEST_MESSAGE = 200


class HangUpFailed(Exception):
    """The network could not be told; the call may go on."""


class _Taken(msgspec.Struct):
    call_id: str | None = None
    error: str = ""


class _Found(msgspec.Struct):
    call_id: str
    call_key: str
    placed_at: float
    over: bool
    events: list[Report]


class _Course(msgspec.Struct):
    calls: list[_Found]


_TAKEN = msgspec.json.Decoder(_Taken)
_COURSE = msgspec.json.Decoder(_Course)


class LoopbackLines:
    """Lines over HTTP; its reports come back to the server, so the stream of a call ends after the sending."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._session: aiohttp.ClientSession | None = None
        self._gates: dict[str, _Gate] = {}
        self._stopped: dict[str, float] = {}
        """call_key to CLOCK_BOOTTIME: stops for orders that have not come yet, oldest first."""
        self._asides: set[asyncio.Task[None]] = set()

    @property
    def traits(self) -> LinesTraits:
        """With the settings of this worker."""
        return self._config.traits

    async def start(self, order: CallOrder) -> AsyncIterator[CallEvent]:
        """Send once, and report the sending."""
        stopped = self._stopped.pop(order.call_key, None) is not None
        gate = _Gate(self._clock, order.send_by, stopped=stopped)
        self._gates[order.call_key] = gate
        try:
            event = await self._place(order, gate)
        finally:
            del self._gates[order.call_key]
        if gate.unwanted:  # once more: the network may have been told to hang up before it knew of the call
            with contextlib.suppress(HangUpFailed):
                await self._tell_hang_up(order.call_key, even_if_answered=gate.even_if_answered)
        yield event

    async def hang_up(self, call_key: str, *, even_if_answered: bool, order: CallOrder | None = None) -> None:
        """Give it up; raises HangUpFailed where the network can't be told."""
        gate = self._gates.get(call_key)
        if gate is None:
            self._remember_stop(call_key)
        else:
            gate.stop(even_if_answered=even_if_answered)
            if not gate.began:
                return
        await self._tell_hang_up(call_key, even_if_answered=even_if_answered)

    async def look_up(self, call_key: str, *, order: CallOrder | None = None) -> Sighting | None:
        """The whole course as the network tells it."""
        status, body = await self._ask("GET", f"/calls/{call_key}", LookUpFailed)
        if status == 404:
            return None
        if status != 200:
            raise LookUpFailed(f"the network answered {status}")
        try:
            calls = _COURSE.decode(body).calls
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            raise LookUpFailed(f"no course: {wrong}") from wrong
        told = tuple(event for call in calls for event in (_placed(call), *_reported(call)))
        return Sighting(told, over=all(call.over for call in calls)) if calls else None

    async def close(self) -> None:
        """Close what is open; may be called twice."""
        for task in self._asides:
            task.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _place(self, order: CallOrder, gate: "_Gate") -> CallEvent:
        def hang_up_at_once() -> None:
            task = asyncio.create_task(self._quietly_hang_up(order.call_key, gate))
            self._asides.add(task)
            task.add_done_callback(self._asides.discard)

        body = _GatedBody(_order_body(order), gate, hang_up_at_once)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECS)
        url = f"{self._config.carrier_url}/calls"
        try:
            async with (
                asyncio.timeout(self._config.place_timeout_secs),
                # aiohttp repeats only idempotent methods, and POST is none
                self._http().post(url, data=body, allow_redirects=False, timeout=timeout) as reply,
            ):
                said = await reply.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return self._unanswered(order, gate, error)
        return self._answered(order, reply.status, reply.headers.get("Retry-After", ""), said)

    def _unanswered(self, order: CallOrder, gate: "_Gate", error: Exception) -> CallEvent:
        """No reply: unsent if not one byte of the order was written, else in doubt."""
        timed_out = isinstance(error, TimeoutError)
        if gate.began:
            reason = "place_timeout" if timed_out else "connection_broken"
            return self._event(order, EventKind.DOUBTFUL, reason=reason)
        if gate.why_held:
            return self._event(order, EventKind.UNSENT, reason=gate.why_held)
        refused = isinstance(error, OSError) and error.errno == errno.ECONNREFUSED
        reason = "connection_refused" if refused else "connect_timeout" if timed_out else "not_connected"
        return self._event(order, EventKind.UNSENT, reason=reason)

    def _answered(self, order: CallOrder, status: int, retry_after: str, body: bytes) -> CallEvent:
        taken = _taken(body)
        if status < 300:
            return self._event(order, EventKind.SENT, provider_call_id=taken.call_id)
        if status == 429:
            return self._event(order, EventKind.THROTTLED, retry_after=_secs(retry_after), reason="throttled")
        if status >= 500:
            return self._event(order, EventKind.DOUBTFUL, reason=f"error_{status}")
        ending = refusal(status, taken.error[:_LONGEST_MESSAGE])
        return CallEvent(order.call_key, EventKind.ENDED, self._clock.now(), ending=ending)

    def _event(
        self,
        order: CallOrder,
        kind: EventKind,
        *,
        reason: str = "",
        retry_after: float | None = None,
        provider_call_id: str | None = None,
    ) -> CallEvent:
        return CallEvent(
            order.call_key,
            kind,
            self._clock.now(),
            reason=reason,
            retry_after=retry_after,
            provider_call_id=provider_call_id,
        )

    async def _quietly_hang_up(self, call_key: str, gate: "_Gate") -> None:
        with contextlib.suppress(HangUpFailed):
            await self._tell_hang_up(call_key, even_if_answered=gate.even_if_answered)

    async def _tell_hang_up(self, call_key: str, *, even_if_answered: bool) -> None:
        body = msgspec.json.encode({"even_if_answered": even_if_answered})
        status, _ = await self._ask("POST", f"/calls/{call_key}/hang_up", HangUpFailed, body)
        if status not in {200, 404}:  # 404: it knows no such call, so nothing rings
            raise HangUpFailed(f"the network answered {status}")

    async def _ask(
        self, method: str, path: str, failed: type[LookUpFailed | HangUpFailed], body: bytes | None = None
    ) -> tuple[int, bytes]:
        """A request that may be repeated by whoever asks; raises `failed`."""
        timeout = aiohttp.ClientTimeout(total=ASK_SECS, sock_connect=CONNECT_SECS)
        url = f"{self._config.carrier_url}{path}"
        try:
            async with self._http().request(method, url, data=body, allow_redirects=False, timeout=timeout) as reply:
                return reply.status, await reply.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise failed(f"the network can't be asked: {type(error).__name__}") from error

    def _remember_stop(self, call_key: str) -> None:
        now = self._clock.boottime()
        self._stopped.pop(call_key, None)  # so that the newest stands last
        self._stopped[call_key] = now
        while (oldest := next(iter(self._stopped))) and now - self._stopped[oldest] > STOPPED_SECS:
            del self._stopped[oldest]

    def _http(self) -> aiohttp.ClientSession:
        """Made on first use, because it belongs to the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # the dialler's limits are the limit
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Content-Type": "application/json"},
            )
        return self._session


class _Held(Exception):
    """The order must not be written any more."""


@dataclass(slots=True, eq=False)
class _Gate:
    """Whether one order may be written, and whether it was."""

    clock: Clock
    send_by: float
    stopped: bool = False
    even_if_answered: bool = False
    began: bool = False
    """From here on bytes may be on their way."""
    late: bool = False
    why_held: str = ""

    @property
    def unwanted(self) -> bool:
        """It was written and must not ring."""
        return self.began and (self.late or self.stopped)

    def stop(self, *, even_if_answered: bool) -> None:
        """The call is not wanted any more."""
        self.stopped = True
        self.even_if_answered = self.even_if_answered or even_if_answered

    def open(self) -> None:
        """Immediately before the order is written; raises _Held."""
        reach("before_send")
        self.why_held = "stopped" if self.stopped else "too_late" if self._over() else ""
        if self.why_held:
            raise _Held(self.why_held)
        self.began = True

    def passed(self) -> bool:
        """Right after it was written: whether that was in time."""
        reach("after_send")
        if self._over():
            self.late = self.even_if_answered = True
        return not self.unwanted

    def _over(self) -> bool:
        return self.clock.boottime() > self.send_by


class _GatedBody(aiohttp.BytesPayload):
    """The body of `place`. aiohttp asks it to write itself once it has a connection: the last moment to hold it back.

    Without its body the network can't act on the request, whatever was sent of the head.
    """

    def __init__(self, body: bytes, gate: _Gate, hang_up: Callable[[], None]) -> None:
        super().__init__(body, content_type="application/json")
        self._gate = gate
        self._hang_up = hang_up

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Until aiohttp 3.11."""
        self._gate.open()
        await super().write(writer)
        self._after()

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """From aiohttp 3.12 on."""
        self._gate.open()
        await super().write_with_length(writer, content_length)
        self._after()

    def _after(self) -> None:
        if not self._gate.passed():
            self._hang_up()


def _order_body(order: CallOrder) -> bytes:
    return msgspec.json.encode(
        {
            "call_key": order.call_key,
            "number": order.number,
            "caller": order.caller,
            "callback_url": order.callback_url,
            "callback_secret": order.callback_secret,
            "ring_secs": order.ring_secs,
            "talk_secs": order.talk_secs,
            "greeting": greeting(order.agent),
        }
    )


def _taken(body: bytes) -> _Taken:
    """What a reply says, as far as it can be read: its status alone decides."""
    try:
        return _TAKEN.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Taken()


def _secs(retry_after: str) -> float:
    try:
        secs = float(retry_after)
    except ValueError:
        return RETRY_AFTER_SECS
    return secs if math.isfinite(secs) and secs >= 0 else RETRY_AFTER_SECS


def _placed(call: _Found) -> CallEvent:
    return CallEvent(
        call.call_key, EventKind.SENT, call.placed_at, event_id=f"{call.call_id}-placed", provider_call_id=call.call_id
    )


def _reported(call: _Found) -> list[CallEvent]:
    return [event for report in call.events for event in events(report)]
