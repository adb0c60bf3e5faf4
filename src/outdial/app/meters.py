"""The meters as Prometheus reads them: what was counted, and what is looked up when somebody asks.

Labels are words of closed lists: providers, outcomes, verdicts, lanes, states. Nothing here grows with lists or people.
"""

import platform
from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from outdial import __version__
from outdial.app.phones import Crew, Phones
from outdial.dispatch.lag import Lag
from outdial.domain.attempt import AttemptState
from outdial.domain.outcome import Outcome
from outdial.ports.meters import Verdict
from outdial.runtime.clock import Clock
from outdial.store.committer import GroupCommitter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
"""The provider of a report for one that this server does not know."""
STORE_SECS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WAIT_SECS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
IN_PROGRESS = (AttemptState.DIALING, AttemptState.RINGING, AttemptState.LIVE)

disable_created_metrics()  # type: ignore[no-untyped-call] # half of the lines otherwise, and nobody reads them


class PrometheusMeters:
    """The port `Meters`, over a registry of our own."""

    def __init__(self, providers: Iterable[str]) -> None:
        """Make it; the providers' series begin at 0, so that a first event is seen as a rise."""
        self.registry = registry = CollectorRegistry()
        self._providers = tuple(providers)
        self._started = Counter(
            "outdial_calls_started",
            "Calls that got GO and were handed to their lines.",
            ["provider"],
            registry=registry,
        )
        self._ended = Counter(
            "outdial_calls", "Calls that ended or were lost, by outcome.", ["provider", "outcome"], registry=registry
        )
        self._unknown = Counter(
            "outdial_unknown_attempts",
            "Attempts of which nobody could say what became.",
            ["provider"],
            registry=registry,
        )
        self._late = Counter(
            "outdial_unknown_attempts_resolved",
            "Unknown attempts whose truth came late.",
            ["provider"],
            registry=registry,
        )
        self._callbacks = Counter(
            "outdial_callbacks", "Reports of phone networks, by verdict.", ["provider", "verdict"], registry=registry
        )
        self._waited = Histogram(
            "outdial_dispatch_wait_seconds",
            "For each turn that claimed: how long the longest-waiting could have been claimed before.",
            buckets=WAIT_SECS,
            registry=registry,
        )
        self._store = Histogram(
            "outdial_store_seconds",
            "From asking the store to its answer, by lane (hot, control, bulk, read).",
            ["lane"],
            buckets=STORE_SECS,
            registry=registry,
        )
        self.in_progress = Gauge(
            "outdial_calls_in_progress",
            "Calls of this node that were sent and are not over.",
            ["provider", "state"],
            registry=registry,
        )
        build = Gauge("outdial_build", "1, labelled with what runs.", ["version", "python"], registry=registry)
        build.labels(__version__, platform.python_version()).set(1)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self._lanes = {lane: self._store.labels(lane) for lane in ("hot", "control", "bulk", "read")}
        for provider in self._providers:
            self._begin(provider)

    def _begin(self, provider: str) -> None:
        self._started.labels(provider)
        self._unknown.labels(provider)
        self._late.labels(provider)
        for outcome in Outcome:
            self._ended.labels(provider, outcome.value)
        for verdict in Verdict:
            self._callbacks.labels(provider, verdict.value)

    # --- the port

    def call_started(self, provider: str) -> None:
        self._started.labels(provider).inc()

    def call_ended(self, provider: str, outcome: Outcome) -> None:
        self._ended.labels(provider, outcome.value).inc()
        if outcome is Outcome.UNKNOWN:
            self._unknown.labels(provider).inc()

    def truth_came_late(self, provider: str) -> None:
        self._late.labels(provider).inc()

    def callback(self, provider: str, verdict: Verdict) -> None:
        self._callbacks.labels(provider or OTHER, verdict.value).inc()

    def dispatch_waited(self, seconds: float) -> None:
        self._waited.observe(seconds)

    def store_answered(self, lane: str, seconds: float) -> None:
        self._lanes[lane].observe(seconds)

    # --- asked for

    def set_in_progress(self, calls: Mapping[tuple[str, AttemptState], int] | None) -> None:
        """As the store has it now; None: it can't say, and the series are left out."""
        self.in_progress.clear()
        if calls is None:
            return
        for provider in {*self._providers, *(provider for provider, _ in calls)}:
            for state in IN_PROGRESS:
                self.in_progress.labels(provider, state.value).set(calls.get((provider, state), 0))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class NodeCollector(Collector):
    """What is read off the node's parts when somebody asks."""

    def __init__(self, *, writer: GroupCommitter, clock: Clock, lag: Lag | None, phones: Phones | None) -> None:
        """`lag` and `phones`: None on a node that dials nobody."""
        self._writer = writer
        self._clock = clock
        self._lag = lag
        self._phones = phones

    def collect(self) -> Iterable[Metric]:
        """The samples."""
        stats = self._writer.stats
        for name, meaning, value in (
            ("transactions", "Groups of writes that were committed.", stats.groups),
            ("writes", "Requests in them.", stats.requests),
            ("reruns", "Transactions that had to be done again.", stats.reruns),
            ("lost_connections", "Connections that broke.", stats.lost),
            ("doubtful_commits", "Commits whose answer never came.", stats.doubts),
        ):
            yield CounterMetricFamily(f"outdial_store_{name}", meaning, value=value)
        if self._lag is not None:
            yield GaugeMetricFamily(
                "outdial_dispatch_lag_seconds",
                "Age of the oldest due that could be claimed, as the latest turn found it; 0: nobody waited.",
                value=self._lag.at(self._clock.now()),
            )
        if self._phones is not None:
            yield from self._crews(self._phones.crews())

    @staticmethod
    def _crews(crews: Mapping[str, Crew]) -> Iterable[Metric]:
        up = GaugeMetricFamily("outdial_call_workers", "Call workers that take orders.", labels=["provider"])
        wanted = GaugeMetricFamily("outdial_call_workers_wanted", "Call workers that are set.", labels=["provider"])
        restarts = CounterMetricFamily("outdial_call_worker_restarts", "Call workers replaced.", labels=["provider"])
        for provider, crew in crews.items():
            up.add_metric([provider], crew.up)
            wanted.add_metric([provider], crew.wanted)
            restarts.add_metric([provider], crew.restarts)
        return [up, wanted, restarts]
