"""All of a dialling node, put together: what the app starts before and after the phone lines."""

from collections.abc import Callable
from dataclasses import dataclass

from outdial.calls.alarm import Alarm
from outdial.calls.call import Calls, CallSettings
from outdial.calls.callback_keys import CallbackKeys
from outdial.calls.checker import Checker, CheckerSettings
from outdial.calls.hangups import Hangups
from outdial.calls.intake import Intake
from outdial.calls.network import Networks
from outdial.calls.tenure import Tenure
from outdial.dispatch.dispatcher import Dispatcher
from outdial.dispatch.node import Node
from outdial.dispatch.sorter import Sorter
from outdial.dispatch.sweeper import HALTED_SECS, Sweeper
from outdial.ports.meters import UNMETERED, Meters
from outdial.ports.signal import Signal
from outdial.ports.store import Store
from outdial.runtime.clock import Clock
from outdial.runtime.service import Service


@dataclass(frozen=True, slots=True)
class DiallerSettings:
    """What a dialling node needs to know."""

    node: str
    calls: CallSettings
    node_timeout_secs: float = 10.0
    """OUTDIAL_NODE_TIMEOUT_SECS."""
    alone: bool = True
    """The only node of its store (SQLite): nothing is polled, no peers are reaped."""
    look_up_every: float = 10.0
    """A call that was found and goes on is looked up again after so many seconds without news."""
    poll_secs: float = 1.0
    """How often the store is looked at without a signal, where other nodes may write to it."""
    halted_secs: float = HALTED_SECS


class Dialler:
    """The services of a node that dials."""

    def __init__(
        self,
        store: Store,
        networks: Networks,
        signal: Signal,
        *,
        clock: Clock,
        keys: CallbackKeys,
        settings: DiallerSettings,
        over: Callable[[str], None] | None = None,
        meters: Meters = UNMETERED,
    ) -> None:
        """Put it together; `over` is told each call that ended (workers need not give it up any more)."""
        timeout = settings.node_timeout_secs
        poll = None if settings.alone else settings.poll_secs
        work, checks = Alarm(clock), Alarm(clock)
        tenure = self.tenure = Tenure(clock, timeout_secs=timeout)
        self.intake = Intake(
            store,
            signal,
            clock=clock,
            checks=checks,
            give_up=lambda _batch_id: self.hangups.soon(),
            over=over or _forget_nothing,
            meters=meters,
        )
        self.calls = Calls(
            store, networks, self.intake, clock=clock, tenure=tenure, checks=checks, keys=keys, settings=settings.calls
        )
        self.checker = Checker(
            store,
            networks,
            self.intake,
            self.calls,
            clock=clock,
            tenure=tenure,
            checks=checks,
            settings=CheckerSettings(settings.look_up_every),
        )
        self.hangups = Hangups(store, networks, self.calls, signal, clock=clock, poll_secs=poll)
        self.node = Node(
            store,
            settings.node,
            clock=clock,
            tenure=tenure,
            work=work,
            checks=checks,
            timeout_secs=timeout,
            reap_secs=None if settings.alone else timeout / 2,
        )
        self.sweeper = Sweeper(store, signal, clock=clock, halted_secs=settings.halted_secs)
        self.sorter = Sorter(store, clock=clock, work=work)
        self.dispatcher = Dispatcher(
            store, self.calls, signal, clock=clock, tenure=tenure, work=work, poll_secs=poll, meters=meters
        )
        self.dispatcher.sort = self.sorter.want

    @property
    def below_the_lines(self) -> list[tuple[str, Service]]:
        """To be started before the lines, so that what they report while they stop still finds somebody."""
        return [("intake", self.intake), ("calls", self.calls)]

    @property
    def above_the_lines(self) -> list[tuple[str, Service]]:
        """To be started after the lines, in this order."""
        return [
            ("node", self.node),
            ("checker", self.checker),
            ("hang-ups", self.hangups),
            ("sweeper", self.sweeper),
            ("sorter", self.sorter),
            ("dispatcher", self.dispatcher),
        ]


def _forget_nothing(_call_key: str) -> None:
    """Lines without workers have nothing to forget."""
