"""The way of one call: prepare, pace, GO, send once, report. And the owner of all calls that this node has in hand."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from outdial.calls.alarm import Alarm
from outdial.calls.callback_keys import CallbackKeys
from outdial.calls.intake import Intake
from outdial.calls.network import Network, Networks
from outdial.calls.pace import Gates
from outdial.calls.prepare import Hand, prepare
from outdial.calls.tenure import Tenure
from outdial.domain.backoff import backoff
from outdial.domain.call import SEND_SECS, CallEvent, EventKind
from outdial.domain.window import open_through
from outdial.ports.lines import CallOrder
from outdial.ports.store import GoRequest, GoVerdict, Store
from outdial.runtime.clock import Clock
from outdial.runtime.failpoint import reach
from outdial.runtime.log import get_logger

VOID_TRIES = 8
MOST_TOLD = 10_000

log = get_logger()


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What calls need to know."""

    public_url: str
    """Under which networks reach us."""
    longest_wait_secs: float = 10.0
    """A call whose turn at its number's rate is further away goes back to the hopper."""
    drain_secs: float = 0.0
    """How long a stop waits for calls in hand to end by themselves."""


class Calls:
    """Runs calls as tasks, and ends them in order when the node stops."""

    def __init__(
        self,
        store: Store,
        networks: Networks,
        intake: Intake,
        *,
        clock: Clock,
        tenure: Tenure,
        checks: Alarm,
        keys: CallbackKeys,
        settings: CallSettings,
    ) -> None:
        self._store = store
        self._networks = networks
        self._intake = intake
        self._clock = clock
        self._tenure = tenure
        self._checks = checks
        self._keys = keys
        self._settings = settings
        self._gates = Gates()
        self._exact_gates = Gates()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unsent: set[str] = set()
        """Calls in hand that are not given to their lines yet."""
        self._dropped: set[str] = set()
        """Those of them that must not be sent any more."""
        self._told: set[tuple[int, str]] = set()
        """Batches and what is wrong with their orders, as far as it was logged."""
        self._per_provider: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self.busy_until = 0.0
        """Boottime at which the last call that this node sent must be over, whoever reports on it."""
        self.done: Callable[[], None] = _nobody
        """Called whenever a call is off our hands."""
        self.given_back: Callable[[], None] = _nobody
        """Called whenever a claimed recipient waits again."""

    # --- Service

    async def start(self) -> None:
        self._stopping.clear()

    async def quiesce(self) -> None:
        """Send nothing new: intents are voided, what has GO and is not sent goes back. Returns when that is done."""
        self._stopping.set()
        unsent = [task for key, task in self._tasks.items() if key in self._unsent]
        if unsent:
            await asyncio.wait(unsent, timeout=SEND_SECS + 1)

    async def stop(self) -> None:
        await self.quiesce()
        tasks = list(self._tasks.values())
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=max(self._settings.drain_secs, 1.0))
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    # --- for dispatch and hang-ups

    def in_hand(self, provider: str) -> int:
        """How many calls of a provider this node follows."""
        return self._per_provider[provider]

    def room(self, provider: str) -> int:
        """How many more it can."""
        network = self._networks.get(provider)
        return 0 if network is None else max(0, network.capacity - self._per_provider[provider])

    def tried_first(self, provider: str) -> bool:
        """Whether a trunk of this provider has to prove itself before all may go."""
        network = self._networks.get(provider)
        return network is not None and network.traits.tried_first

    def holds(self, call_key: str) -> bool:
        """Whether this call is in hand here."""
        return call_key in self._tasks

    def begin(self, hand: Hand) -> None:
        """Run this call from here on."""
        key, provider = hand.claimed.call_key, hand.number.provider
        self._unsent.add(key)
        self._per_provider[provider] += 1
        task = self._tasks[key] = asyncio.create_task(self._run(hand), name=f"call {key}")
        task.add_done_callback(lambda _: self._off(key, provider))

    def drop(self, call_key: str) -> None:
        """If it is not with its lines yet, it is never to be."""
        if call_key in self._unsent:
            self._dropped.add(call_key)

    def _off(self, key: str, provider: str) -> None:
        self._tasks.pop(key, None)
        self._unsent.discard(key)
        self._dropped.discard(key)
        self._per_provider[provider] -= 1
        self.done()

    # --- one call

    async def _run(self, hand: Hand) -> None:
        key = hand.claimed.call_key
        try:
            if (order := await self._permitted(hand)) is not None:
                await self._send(hand, order)
        except Exception:
            log.exception("call failed inside", call=key, batch=hand.batch.public_id)
            await self._withdraw(hand, reason="failed_inside")

    async def _permitted(self, hand: Hand) -> CallOrder | None:
        """The order with its send deadline, once GO is committed; None when it was given back instead."""
        key = hand.claimed.call_key
        network = self._networks[hand.number.provider]
        prepared = prepare(hand, keys=self._keys, public_url=self._settings.public_url, now=self._clock.now())
        self._warn(hand, prepared.warnings)
        if not await self._pass(self._gates, hand, longest=self._settings.longest_wait_secs):
            await self._withdraw(hand, reason="stopping" if self._stopping.is_set() else "paced")
            return None
        order = replace(prepared.order, send_by=self._clock.boottime() + SEND_SECS)
        reach("before_go")
        if not self._tenure.holds(hand.lease):
            log.warning("intent dropped: this node's lease is over", call=key)
            await self._withdraw(hand, reason="lease_over")
            return None
        verdict = await self._store.go(hand.lease, self._request(hand, order, network), now=self._clock.now())
        if verdict is not GoVerdict.GO:
            log.info("call not permitted", call=key, verdict=str(verdict))
            self.given_back()  # when to look again has to be worked out anew
            return None
        reach("after_go")
        return order

    def _warn(self, hand: Hand, warnings: Sequence[str]) -> None:
        """Once a batch: the same gap in a hundred thousand orders is one piece of news."""
        for gap in warnings:
            if (hand.batch.id, gap) not in self._told:
                if len(self._told) >= MOST_TOLD:
                    self._told.clear()
                self._told.add((hand.batch.id, gap))
                log.warning("order has a gap", call=hand.claimed.call_key, batch=hand.batch.public_id, gap=gap)

    def _request(self, hand: Hand, order: CallOrder, network: Network) -> GoRequest:
        now, traits = self._clock.now(), network.traits
        check_at = now + SEND_SECS + traits.place_timeout_secs + traits.horizon_secs
        self._checks.at(check_at)
        return GoRequest(
            call_key=order.call_key,
            batch_id=hand.claimed.batch_id,
            generation=hand.claimed.generation,
            window_open=open_through(hand.hours, hand.zones, self._clock.utc(), timedelta(seconds=SEND_SECS)),
            check_at=check_at,
            ring_secs=order.ring_secs,
            talk_secs=order.talk_secs,
            horizon_secs=traits.horizon_secs,
            hours_version=None if hand.batch.calling_hours is not None else hand.batch.hours_version,
            send_by=now + SEND_SECS,
        )

    async def _send(self, hand: Hand, order: CallOrder) -> None:
        """Hand the order to its lines, once, and keep what they report."""
        if (reason := await self._too_late(hand, order)) is not None:
            unsent = CallEvent(order.call_key, EventKind.UNSENT, self._clock.now(), reason=reason)
            await self._intake.keep([unsent])
            return
        self._unsent.discard(order.call_key)
        self._intake.meters.call_started(order.provider)
        must_be_over = self._clock.boottime() + SEND_SECS + order.ring_secs + order.talk_secs
        self.busy_until = max(self.busy_until, must_be_over)
        events = self._networks[order.provider].lines.start(order)
        # the next report is not held up by the commit of this one: what comes together is settled together
        async with asyncio.TaskGroup() as keeping:
            try:
                async for event in events:
                    keeping.create_task(self._intake.keep([event]))
            except Exception:
                log.exception("lines failed", call=order.call_key)
                doubt = CallEvent(order.call_key, EventKind.DOUBTFUL, self._clock.now(), reason="lines_failed")
                keeping.create_task(self._intake.keep([doubt]))
            finally:
                await _close(events)

    async def _too_late(self, hand: Hand, order: CallOrder) -> str | None:
        """Why the order must not be sent after all, although it has GO; waits for its exact place at the gate."""
        left = order.send_by - self._clock.boottime()
        if not await self._pass(self._exact_gates, hand, longest=left):
            return "stopping" if self._stopping.is_set() else "paced"
        if order.call_key in self._dropped:
            return "given_up"
        if self._stopping.is_set():
            return "stopping"
        return "too_late" if self._clock.boottime() > order.send_by else None

    async def _pass(self, gates: Gates, hand: Hand, *, longest: float) -> bool:
        """Wait for this number's turn; False if it is too far away or the node stops meanwhile."""
        number, rate, now = hand.number.id, hand.number.max_calls_per_second, self._clock.boottime()
        if self._stopping.is_set() or gates.full(number, rate, now, longest=longest):
            return False
        wait = gates.reserve(number, rate, now)
        if wait <= 0:
            return True
        stopped = asyncio.ensure_future(self._stopping.wait())
        slept = asyncio.ensure_future(self._clock.sleep(wait))
        try:
            await asyncio.wait({stopped, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            slept.cancel()
        return not self._stopping.is_set()

    async def _withdraw(self, hand: Hand, *, reason: str) -> None:
        """Give an attempt back that was not sent, whether its GO was committed or not."""
        key = hand.claimed.call_key
        if key not in self._unsent:
            return
        for n in range(VOID_TRIES):
            try:
                if not await self._store.void(hand.lease, key, reason=reason, now=self._clock.now()):
                    # no intent of ours any more: if it has GO, say that it was never sent
                    unsent = CallEvent(key, EventKind.UNSENT, self._clock.now(), reason=reason)
                    await self._intake.take([unsent])
            except Exception:
                log.exception("intent could not be voided yet", call=key, tries=n)
                await self._clock.sleep(backoff(n) / 4)
            else:
                self.given_back()
                return


async def _close(events: AsyncIterator[CallEvent]) -> None:
    """A generator that was left in the middle is ended now, not whenever it is collected."""
    if (close := getattr(events, "aclose", None)) is not None:
        with contextlib.suppress(Exception):
            await close()


def _nobody() -> None:
    """Nobody listens yet."""
