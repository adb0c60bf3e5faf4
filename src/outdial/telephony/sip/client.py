"""Lines over SIP: each call from its order to its end, with the talk in it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from baresip.errors import BaresipError
from baresip.events import Event, StackEvent

from outdial.domain.call import CONNECTION_REFUSED, CallEvent, EventKind
from outdial.domain.errors import Invalid
from outdial.domain.limits import Pacer
from outdial.domain.outcome import Blame, Ending, Outcome
from outdial.media.clock import FrameClock
from outdial.media.leg import QueuedLeg
from outdial.media.recording import Recorder, Recording
from outdial.ports.blobs import Blobs
from outdial.ports.lines import CallOrder, LinesTraits, LookUpFailed, Sighting
from outdial.ports.voice import Mute, Talk, Talker
from outdial.runtime.clock import Clock, SystemClock
from outdial.runtime.failpoint import reach
from outdial.runtime.log import get_logger
from outdial.telephony.sip.config import KEY_HEADER, Config, Trunk, header_value, read_trunk
from outdial.telephony.sip.outcome import Doubtful, End, Throttled, Unsent, Verdict, classify, read_text
from outdial.telephony.sip.stack import (
    SURELY_TRACED_SECS,
    TRACED_SECS,
    InDoubt,
    NotSent,
    NoWay,
    Stack,
    StackCall,
    Traced,
)

STOPPED_SECS = 60.0
"""How long a stop is remembered for an order that has not come yet; its send deadline is over long before."""
NO_AUDIO_SECS = 2.0
"""How long somebody who answered is kept on a line without audio: an exchange may hold a call for a moment first."""
CLOSE_SECS = 5.0
"""How long the stack may take to end a call that we hung up."""

log = get_logger()


class SipLines:
    """Lines over the SIP stack of this process; also `CarriesAudio`."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self._config = config
        self.clock = clock or SystemClock()
        self.stack = Stack(config)
        self.frames = FrameClock()
        self.talker: Talker | None = None
        self.recorder: Recorder | None = None
        self._teardowns = Pacer(config.teardowns_per_sec)
        self._calls: dict[str, _Call] = {}
        self._stopped: dict[str, float] = {}
        """call_key to CLOCK_BOOTTIME: stops for orders that have not come yet, oldest first."""
        self._closing = False

    @property
    def traits(self) -> LinesTraits:
        """With the settings of this worker."""
        return self._config.traits

    @property
    def reply_secs(self) -> float:
        """How long a trunk may say nothing at all."""
        return self._config.reply_secs

    def talk_with(self, talker: Talker, blobs: Blobs | None) -> None:
        self.talker = talker
        self.recorder = None if blobs is None else Recorder(blobs)

    async def open(self) -> None:
        """Start stack and voice, so that what is wrong with their settings is told before the first call."""
        await self.stack.start()
        if self.talker is not None:
            await self.talker.open()

    async def start(self, order: CallOrder) -> AsyncIterator[CallEvent]:
        """Send once, and report to the end of the call."""
        call = _Call(self, order, stopped=self._stopped.pop(order.call_key, None) is not None)
        self._calls[order.call_key] = call
        try:
            async for event in call.run():
                yield event
        finally:
            del self._calls[order.call_key]
            await call.leave()

    async def hang_up(self, call_key: str, *, even_if_answered: bool, order: CallOrder | None = None) -> None:
        call = self._calls.get(call_key)
        if call is None:
            self._remember_stop(call_key)
        else:
            await call.give_up(even_if_answered=even_if_answered)

    async def look_up(self, call_key: str, *, order: CallOrder | None = None) -> Sighting | None:
        raise LookUpFailed("a SIP trunk can't be asked about a call")

    async def close(self) -> None:
        """End the stack, the voice and the recordings; may be called twice."""
        self._closing = True
        await self.stack.close()
        if self.talker is not None:
            await self.talker.close()
        if self.recorder is not None:
            await self.recorder.close()

    def hurry(self) -> None:
        """The end has come: hang up without pace, there is no audio left to disturb."""
        self._closing = True

    async def teardown_turn(self) -> None:
        """Wait until one more answered call may be torn down."""
        if not self._closing and (wait := self._teardowns.reserve(self.clock.boottime())) > 0:
            await self.clock.sleep(wait)

    def _remember_stop(self, call_key: str) -> None:
        now = self.clock.boottime()
        self._stopped.pop(call_key, None)  # so that the newest stands last
        self._stopped[call_key] = now
        while (oldest := next(iter(self._stopped))) and now - self._stopped[oldest] > STOPPED_SECS:
            del self._stopped[oldest]


class _Call:
    """One call."""

    def __init__(self, lines: SipLines, order: CallOrder, *, stopped: bool) -> None:
        self._lines = lines
        self._order = order
        self._stopped = stopped
        self._ours = ""
        """Why we ended it; the first reason stays."""
        self._events: asyncio.Queue[CallEvent | None] = asyncio.Queue()
        self._stacked: StackCall | None = None
        self._talk: Talk | None = None
        self._talking: asyncio.Task[None] | None = None
        self._leg: QueuedLeg | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._word = asyncio.Event()
        """Set when the far end says its first word, or the call is over."""
        self._told_sent = False
        self._heard_late = False
        """The first word was for a call that we had given up."""
        self._rang = False
        self._answered_at: float | None = None
        self._told_answered = False
        self._concluded = False

    # --- sending

    async def run(self) -> AsyncIterator[CallEvent]:
        """Send, and yield what happens."""
        event = await self._send()
        if event is not None:
            yield event
            return
        while (event := await self._events.get()) is not None:
            yield event

    async def _send(self) -> CallEvent | None:
        """None once the INVITE is on its way; else why it is not, or may not be."""
        order, lines = self._order, self._lines
        try:
            trunk = read_trunk(order.trunk)
        except Invalid as wrong:
            bad = Ending(Outcome.PROVIDER_REJECTED, "bad_settings", Blame.OURS, halts_trunk=True)
            return self._event(EventKind.ENDED, ending=replace(bad, detail={"message": wrong.message[:200]}))
        if lines.talker is not None:
            self._talk = lines.talker.prepare(order, trunk.rates)
        try:
            agent = await lines.stack.agent(trunk, order.caller)
            await lines.stack.ready()
            # from here to the INVITE nothing else runs on this loop
            reach("before_send")
            if held := "stopped" if self._stopped else "too_late" if self._late() else "":
                return self._event(EventKind.UNSENT, reason=held)
            target, told = uri(trunk, order.number), headers(trunk, order)
            dialled = lines.stack.dial(agent, target, told, claimed=self._claimed, on_event=self._on_event)
            reach("after_send")
            self._set_limits()
            await dialled
        except (NotSent, BaresipError) as error:
            log.warning("call could not be sent", call=order.call_key, error=str(error))
            reason = CONNECTION_REFUSED if isinstance(error, NoWay) else "not_connected"
            return self._event(EventKind.UNSENT, reason=reason)
        except InDoubt as error:
            log.error("call is in doubt", call=order.call_key, error=str(error))  # noqa: TRY400 - where is known
            return self._event(EventKind.DOUBTFUL, reason="stack_silent")
        if self._ours:  # a limit was over before the stack had the call
            self._start_hang_up()
        elif self._late():
            self._end("late")
        elif self._stopped:
            self._end("given_up")
        return None

    def _claimed(self, call: StackCall) -> None:
        """The stack has the call; its events follow."""
        self._stacked = call
        call.traced.on_heard = self._heard
        call.on_audio = self._begin_audio

    def _late(self) -> bool:
        return self._lines.clock.boottime() > self._order.send_by

    def _set_limits(self) -> None:
        self._after(self._order.ring_secs, "ring_limit")
        if self._order.ring_secs > self._lines.reply_secs:
            self._after(self._lines.reply_secs, "no_reply")

    def _after(self, seconds: float, reason: str) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, self._time_is_up, reason))

    def _time_is_up(self, reason: str) -> None:
        if reason == "no_reply" and self._was_heard:
            return
        if reason == "no_audio" and self._talk_at_last():
            return
        self._end(reason)

    # --- ending

    async def give_up(self, *, even_if_answered: bool) -> None:
        """The call is not wanted any more."""
        if self._answered_at is not None and not even_if_answered:
            return
        self._stopped = True
        if self._stacked is not None:
            self._end("given_up")

    def _end(self, reason: str) -> None:
        """Hang up, once."""
        if not self._ours:
            self._ours = reason
            self._heard_late = not self._was_heard
            self._start_hang_up()

    def _start_hang_up(self) -> None:
        if self._stacked is not None:
            task = asyncio.create_task(self._hang_up(), name=f"hang up {self._order.call_key}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _hang_up(self) -> None:
        call = self._stacked
        if call is None or call.closed:
            return
        if not await self._first_word() and not call.closed:
            self._give_up_unheard(call)
            self._finish(self._event(EventKind.DOUBTFUL, reason="no_reply"))
            return
        if self._answered_at is not None:
            await self._lines.teardown_turn()
        try:
            await self._lines.stack.hang_up(call)
        except BaresipError as error:
            log.warning("call could not be hung up", call=self._order.call_key, error=str(error))
        await asyncio.sleep(CLOSE_SECS)
        if not call.closed:
            call.closed = True
            self._finish(self._event(EventKind.DOUBTFUL, reason="stack_silent"))

    async def _first_word(self) -> bool:
        """Whether the far end has said anything; if not, it has a while to."""
        if self._was_heard or self._ours == "no_reply":
            return self._was_heard
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._lines.reply_secs):
                await self._word.wait()
        return self._word.is_set()

    def _give_up_unheard(self, call: StackCall) -> None:
        """Until the call must be over: then the same number may be dialled anew."""
        order = self._order
        left = order.send_by + order.ring_secs + order.talk_secs - self._lines.clock.boottime()
        self._lines.stack.give_up_unheard(call, within=max(0.0, left))

    async def leave(self) -> None:
        """Nobody follows this call any more; one that is up is hung up."""
        for timer in self._timers:
            timer.cancel()
        call = self._stacked
        if call is not None and not call.closed and self._was_heard:
            with contextlib.suppress(BaresipError):
                await self._lines.stack.hang_up(call)
        elif call is not None and not call.closed:
            self._give_up_unheard(call)
        if call is not None:
            call.on_audio = _nothing
        if self._leg is not None:
            self._leg.stop()
        if self._talk is not None:
            self._talk.drop()
        for task in (self._talking, *self._tasks):
            if task is not None:
                task.cancel()

    # --- events of the stack

    def _on_event(self, event: StackEvent) -> None:
        match event.event:
            case Event.CALL_RINGING | Event.CALL_PROGRESS:
                self._ring()
            case Event.CALL_ESTABLISHED if not self._ours:
                self._answer()
            case Event.CALL_DTMF_START if self._leg is not None and event.text:
                self._leg.pressed(event.text[:1].upper())
            case Event.CALL_CLOSED:
                self._closed(event.text or "")

    def _heard(self) -> None:
        """The trunk answered: the order has arrived."""
        self._word.set()
        if not self._told_sent:
            self._told_sent = True
            self._tell(EventKind.SENT)

    def _ring(self) -> None:
        self._heard()
        if not self._rang:
            self._rang = True
            self._tell(EventKind.RINGING)

    def _answer(self) -> None:
        if self._answered_at is not None:
            return
        self._heard()
        self._answered_at = self._lines.clock.now()
        for timer in self._timers:
            timer.cancel()
        self._after(self._order.talk_secs, "time_limit")
        if not self._talk_at_last():
            self._after(NO_AUDIO_SECS, "no_audio")

    def _talk_at_last(self) -> bool:
        """Begin to talk, once, as soon as somebody answered and there is audio; whether there is.

        Only then the call is told to be answered: without audio it comes to nothing, and that may be the trunk's fault.
        """
        if self._answered_at is None or self._told_answered:
            return self._told_answered
        leg = self._open_leg()
        if leg is None:
            return False
        # the person waits: the first word goes before the report
        if self._talk is not None:
            leg.answered()
            leg.record(self._recording(leg.rate))
            self._talking = asyncio.create_task(self._converse(self._talk, leg), name=f"talk {self._order.call_key}")
        self._told_answered = True
        self._events.put_nowait(replace(self._event(EventKind.ANSWERED), at=self._answered_at))
        return True

    def _begin_audio(self) -> None:
        """Audio runs: the answer is about to be told, or was; or it is early media, which is heard too."""
        if self._answered_at is None:
            self._open_leg()
        else:
            self._talk_at_last()

    def _open_leg(self) -> QueuedLeg | None:
        """The leg, as long as there is audio: that of early media, which may have been of another kind, can be over."""
        call, stack = self._stacked, self._lines.stack
        line = None if call is None else stack.audio(call)
        if call is None or line is None:
            return None
        if self._leg is None:
            self._leg = QueuedLeg(line, self._lines.frames, press=lambda digits: stack.press(call, digits))
            self._leg.start()
        return self._leg

    def _recording(self, rate: int) -> Recording | None:
        recorder = self._lines.recorder
        return None if recorder is None else recorder.begin(f"{self._order.call_key.replace('-', '')}.wav", rate)

    async def _converse(self, talk: Talk, leg: QueuedLeg) -> None:
        try:
            await talk.run(leg)
        except Mute:
            self._end("no_voice")
        except Exception:
            # the edge of one talk: the call ends, and says why
            log.exception("talk failed", call=self._order.call_key)
            self._end("agent_failed")
        else:
            self._end("talked")

    @property
    def _was_heard(self) -> bool:
        """Whether the far end said anything at all."""
        return self._told_sent or (self._stacked is not None and self._stacked.traced.heard)

    def _closed(self, text: str) -> None:
        self._word.set()
        if self._leg is not None:
            self._leg.stop()
        status, _ = read_text(text)
        unexplained = self._answered_at is None and (status is not None or not self._ours)
        if unexplained and self._stacked is not None and (status is None or self._stacked.traced.final != status):
            # the message itself says more (Retry-After, a second Reason), and comes by another way, a moment behind
            asyncio.get_running_loop().call_later(
                TRACED_SECS if status is None else SURELY_TRACED_SECS, self._conclude, text
            )
            self._stacked.traced.on_final = lambda: self._traced(status, text)
        else:
            self._conclude(text)

    def _traced(self, status: int | None, text: str) -> None:
        if self._stacked is not None and status is not None and self._stacked.traced.final == status:
            self._conclude(text)

    def _conclude(self, text: str) -> None:
        if self._concluded:
            return
        self._concluded = True
        status, q850 = read_text(text)
        traced = self._stacked.traced if self._stacked is not None else Traced()
        end = End(
            text=text,
            status=status,
            q850=traced.q850 if q850 is None else q850,
            retry_after=traced.retry_after,
            heard=self._told_sent or status is not None or traced.heard,
            heard_late=self._heard_late,
            rang=self._rang or traced.rang,
            accepted=traced.final is not None and traced.final < 300,
            answered=self._answered_at is not None,
            ours=self._ours,
        )
        log.info("call ended", call=self._order.call_key, said=text[:80], ours=self._ours or None)
        self._finish(self._final(classify(end), rang=end.rang))

    def _final(self, verdict: Verdict, *, rang: bool) -> CallEvent:
        match verdict:
            case Throttled(retry_after):
                return self._event(EventKind.THROTTLED, reason="throttled", retry_after=retry_after)
            case Unsent(reason):
                return self._event(EventKind.UNSENT, reason=reason)
            case Doubtful(reason):
                return self._event(EventKind.DOUBTFUL, reason=reason)
        result = self._talk.result() if self._talk is not None and self._answered_at is not None else None
        if result is not None and result.machine and verdict.outcome is Outcome.COMPLETED:
            verdict = replace(verdict, outcome=Outcome.VOICEMAIL, reason=verdict.reason or "beep")
        if result is not None and result.keys:
            verdict = replace(verdict, detail={**verdict.detail, "keys": result.keys})
        return replace(
            self._event(EventKind.ENDED, ending=verdict),
            said=result.said if result else (),
            answered_at=self._answered_at,
            rang=rang,
        )

    # --- telling

    def _tell(self, kind: EventKind) -> None:
        self._events.put_nowait(self._event(kind))

    def _finish(self, event: CallEvent) -> None:
        self._events.put_nowait(event)
        self._events.put_nowait(None)

    def _event(
        self, kind: EventKind, *, reason: str = "", ending: Ending | None = None, retry_after: float | None = None
    ) -> CallEvent:
        return CallEvent(
            self._order.call_key,
            kind,
            self._lines.clock.now(),
            provider_call_id=self._stacked.call_id if self._stacked is not None else None,
            reason=reason,
            ending=ending,
            retry_after=retry_after,
        )


def _nothing() -> None:
    """Nobody wants to know."""


def uri(trunk: Trunk, number: str) -> str:
    """The number at the trunk."""
    return f"sip:{number}@{trunk.domain}"


def headers(trunk: Trunk, order: CallOrder) -> dict[str, str]:
    """What the INVITE says beside what the stack says."""
    told = {
        KEY_HEADER: order.call_key,
        "P-Asserted-Identity": f"<sip:{order.caller}@{trunk.domain}>",
        # should this process die while it rings, nobody cancels: the far end gives up by itself (RFC 3261 13.3.1)
        "Expires": str(max(1, round(order.ring_secs))),
    }
    told.update(trunk.headers)
    for name, header in trunk.variable_headers:
        if order.variables.get(name) is not None:
            told[header] = header_value(order.variables[name])
    return told
