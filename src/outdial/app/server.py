"""The main of `outdial serve`: what is built of what, in which order it starts and stops."""

import asyncio
import contextlib
import gc
import math
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import uvicorn
from starlette.routing import Route

from outdial.api.application import application
from outdial.api.context import Context
from outdial.api.edge import Edge
from outdial.api.reader import Reader
from outdial.app.carrier import Carrier, CarrierSettings
from outdial.app.health import Readiness, metrics_route, readiness_route, under_way
from outdial.app.http import HttpProtocol
from outdial.app.meters import NodeCollector, PrometheusMeters
from outdial.app.phones import Drain, Phones
from outdial.app.pool import PoolSettings
from outdial.app.settings import Role, Settings, key_file, own_secret, strangers, withdraw_secret
from outdial.app.trunks import asks, sip_settings
from outdial.batches.desk import Desk
from outdial.batches.replay import Twins
from outdial.callbacks.inbox import Inbox
from outdial.calls.alarm import Alarm
from outdial.calls.call import CallSettings
from outdial.calls.callback_keys import CallbackKeys
from outdial.calls.intake import Intake
from outdial.calls.tenure import Tenure
from outdial.dispatch.dialler import Dialler, DiallerSettings
from outdial.dispatch.prober import Prober
from outdial.domain.errors import BadSetting
from outdial.ports.meters import UNMETERED, Meters
from outdial.ports.store import ClaimLimits
from outdial.runtime.clock import Clock, SystemClock
from outdial.runtime.log import configure, get_logger
from outdial.runtime.service import Service, ServiceGroup
from outdial.runtime.tuning import tune
from outdial.store.blobs import BlobFolder
from outdial.store.signals import LocalSignal, open_signal
from outdial.store.store import SqlStore, open_store
from outdial.telephony.registry import installed
from outdial.workspace.keys import KeyRing, key_hash

CLOSE_WITHIN_SECS = 3
"""How long requests under way may go on once the server stops listening."""
BACKLOG = 2_048
SAME_SIGNAL_SECS = 0.5

log = get_logger()


def run(settings: Settings, *, as_json: bool = False) -> int:
    """Serve until SIGTERM or SIGINT; the exit code is 0 for a stop that was asked for."""
    configure(style=settings.log_style, level=settings.log_level)
    for variable, nearest in strangers():
        log.warning("setting is unknown", variable=variable, **({"nearest": nearest} if nearest else {}))
    tune()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, tell=_teller(as_json=as_json)))
    return 0


async def serve(settings: Settings, *, tell: Callable[[str], None]) -> None:
    """Run one node; `tell` is told where it listens, once it does."""
    stopped, hurry = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop_signal(stopped, hurry))
    listening = _listen(settings.host, settings.port)  # first: nothing else should start where the port is taken
    try:
        node = _build(settings, listening, hurry)
        group = ServiceGroup(node.services, start_within=60.0, stop_within=settings.stop_secs + 10.0)
        await group.start()
        try:
            _spare_the_collector()
            tell(node.url)
            log.info("server started", url=node.url, role=str(settings.role))
            await stopped.wait()
            log.info("server stops", within_s=settings.stop_secs)
        finally:
            node.readiness.stopping = True  # it still answers, and balancers send nobody new
            await group.stop()
    finally:
        listening.close()


@dataclass(frozen=True, slots=True)
class _Node:
    """One node, not started."""

    url: str
    services: Sequence[tuple[str, Service]]
    readiness: Readiness


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the parts of a node stand on."""

    settings: Settings
    store: SqlStore
    rings: LocalSignal
    clock: Clock
    keys: CallbackKeys
    public_url: str
    node: str
    """Its name."""
    meters: Meters
    hurry: asyncio.Event
    """Set when a stopping node must not wait for live calls any more."""


def _build(settings: Settings, listening: socket.socket, hurry: asyncio.Event) -> _Node:
    clock = SystemClock()
    new_key = settings.secret_key is None and not key_file(settings).exists()
    secret = own_secret(settings)
    url = _url_of(settings.host, listening)
    public_url = settings.public_url or url
    store = open_store(
        settings.database,
        secret=secret,
        node_timeout_secs=settings.node_timeout_secs,
        limits=ClaimLimits(settings.workspace_concurrency, settings.look_up_secs),
        patience_secs=settings.database_secs,
    )
    rings = open_signal(settings.database, clock)
    keys = CallbackKeys(secret.encode())
    named = settings.node_name(listening.getsockname()[1])
    meters = PrometheusMeters(installed()) if settings.metrics == "on" else None
    ground = _Ground(settings, store, rings, clock, keys, public_url, named, meters or UNMETERED, hurry)
    dialling = _dialling(ground)
    readiness = Readiness(store, dialling.tenure, dialling.phones)
    reader = Reader()
    context = Context(
        desk=Desk(store, rings, clock, Twins(store, clock), dials=frozenset(installed())),
        keys=KeyRing(store, clock),
        reader=reader,
        providers={name: spec.check_settings for name, spec in installed().items()},
        blobs=BlobFolder(settings.recordings_path),
        replay_secs=settings.replay_secs,
    )
    callbacks = {name: spec.read_callback for name, spec in installed().items()}
    inbox = Inbox(callbacks, keys, dialling.intake.take, public_url, ground.meters)
    routes = [inbox.route(), readiness_route(readiness)]
    if meters is not None:
        routes.append(_metered(ground, dialling, meters))
    dialects = settings.role is not Role.DIALER
    web = Edge(application(context, before=routes, dialects=dialects))
    services: list[tuple[str, Service]] = [
        ("store", _Database(store, settings, new_key=new_key)),
        ("keys", _Keys(settings.api_key, store, clock)),
    ]
    services += [("signal", rings), ("reader", reader)] if dialects else [("signal", rings)]
    return _Node(url, [*services, *dialling.below, ("http", Http(web, listening)), *dialling.above], readiness)


def _metered(ground: _Ground, dialling: "_Dialling", meters: PrometheusMeters) -> Route:
    """Let the parts be read off; the route that tells."""
    ground.store.metered(meters)
    lag = None if dialling.dialler is None else dialling.dialler.dispatcher.lag
    meters.registry.register(
        NodeCollector(writer=ground.store.writer, clock=ground.clock, lag=lag, phones=dialling.phones)
    )
    return metrics_route(meters, ground.store, dialling.tenure)


_Services = list[tuple[str, Service]]


@dataclass(frozen=True, slots=True)
class _Dialling:
    """What a node does with phones."""

    below: _Services
    """Started before HTTP."""
    above: _Services
    """Started after it."""
    intake: Intake
    """Where reports arrive."""
    dialler: Dialler | None = None
    """None on a node that only serves."""
    phones: Phones | None = None

    @property
    def tenure(self) -> Tenure | None:
        """The node's right to dial."""
        return None if self.dialler is None else self.dialler.tenure


def _dialling(ground: _Ground) -> _Dialling:
    settings, store, clock = ground.settings, ground.store, ground.clock
    if settings.role is Role.API:
        bare = Intake(
            store,
            ground.rings,
            clock=clock,
            checks=Alarm(clock),
            give_up=lambda _batch: None,
            over=lambda _call: None,
            meters=ground.meters,
        )
        return _Dialling([("intake", bare)], [], bare)
    phones = Phones(clock)
    dialler = Dialler(
        store,
        phones.networks,
        ground.rings,
        clock=clock,
        keys=ground.keys,
        settings=_dialler_settings(settings, ground.public_url, ground.node),
        over=phones.over,
        meters=ground.meters,
    )
    carrier: _Services = []
    url = settings.carrier_url
    child = None
    if url is None:
        own = CarrierSettings(settings.carrier_ring_secs, settings.carrier_talk_secs, settings.carrier_log)
        child = Carrier(own, clock=clock)
        carrier = [("network in a box", child)]
    lines = _Lines(phones, settings, dialler, lambda: url or (child.url if child else ""))
    *first, last = dialler.above_the_lines

    async def left() -> int | None:
        calls = await under_way(store, dialler.tenure)
        return None if calls is None else sum(calls.values())

    drain = Drain(phones, clock=clock, within_secs=settings.stop_secs, hurry=ground.hurry, left=left)
    # the dispatcher stops first; then calls that are up may end while everything that ends them still runs
    prober = Prober(store, asks(settings), clock=clock, every=settings.probe_secs)
    above = [("call workers", lines), *first, ("prober", prober), ("drain", drain), last]
    return _Dialling([*carrier, *dialler.below_the_lines], above, dialler.intake, dialler, phones)


def _dialler_settings(settings: Settings, public_url: str, node: str) -> DiallerSettings:
    return DiallerSettings(
        node=node,
        calls=CallSettings(public_url),
        node_timeout_secs=settings.node_timeout_secs,
        alone=settings.sqlite_path is not None,
        halted_secs=settings.halted_secs,
    )


class _Lines:
    """A Service: the call workers, made once it is known where the networks are."""

    def __init__(self, phones: Phones, settings: Settings, dialler: Dialler, carrier_url: Callable[[], str]) -> None:
        self._phones = phones
        self._settings = settings
        self._dialler = dialler
        self._carrier_url = carrier_url

    async def start(self) -> None:
        pool = self._phones.add(
            PoolSettings(
                provider="loopback",
                settings={
                    "carrier_url": self._carrier_url(),
                    "horizon_secs": self._settings.carrier_horizon_secs,
                    "place_timeout_secs": self._settings.carrier_place_timeout_secs,
                },
                workers=self._settings.workers,
                cap=self._settings.calls_per_worker,
                log_style=self._settings.log_style,
                log_level=self._settings.log_level,
            )
        )
        pool.on_death = self._dialler.checker.orphaned
        if "sip_trunk" in installed() and self._settings.sip_workers:
            self._phones.add(self._sip()).on_death = self._dialler.checker.orphaned
        await self._phones.start()

    def _sip(self) -> PoolSettings:
        """The workers for SIP trunks: they start with the first call."""
        given = self._settings
        return PoolSettings(
            provider="sip_trunk",
            settings=sip_settings(given),
            workers=given.sip_workers,
            cap=given.sip_calls_per_worker,
            log_style=given.log_style,
            log_level=given.log_level,
            asleep=replace(
                installed()["sip_trunk"].traits,
                place_timeout_secs=given.sip_reply_secs,
                horizon_secs=given.sip_horizon_secs,
            ),
        )

    async def stop(self) -> None:
        await self._phones.stop()


class _Database:
    """A Service: the store; a key that was made for it does not outlive a start that finds no database there."""

    def __init__(self, store: SqlStore, settings: Settings, *, new_key: bool) -> None:
        self._store = store
        self._settings = settings
        self._new_key = new_key

    async def start(self) -> None:
        try:
            await self._store.start()
        except BadSetting:
            if self._new_key:
                withdraw_secret(self._settings)
            raise

    async def stop(self) -> None:
        await self._store.stop()


class _Keys:
    """A Service: the secret key fits the database, and the API key of the settings, if there is one, is kept."""

    def __init__(self, key: str | None, store: SqlStore, clock: Clock) -> None:
        self._key = key
        self._store = store
        self._clock = clock

    async def start(self) -> None:
        await self._store.check_secret()
        if self._key is not None:
            await self._store.bootstrap_key(key_hash(self._key), now=self._clock.now())

    async def stop(self) -> None:
        """It stays."""


# --- HTTP ----------------------------------------------------------------------------------------------------------


class Http:
    """uvicorn as a Service, on a socket that is ours."""

    def __init__(self, app: Edge, listening: socket.socket) -> None:
        self._listening = listening
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                lifespan="off",
                log_config=None,
                access_log=False,  # addresses hold the tokens of callbacks
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=CLOSE_WITHIN_SECS,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._server.serve([self._listening]), name="http")
            while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self._server.should_exit = True
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait({task})


class _Uvicorn(uvicorn.Server):
    """Signals are handled by `serve`: the dialler stops before HTTP does."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    """A socket that no child inherits; BadSetting where the address can't be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        raise BadSetting(f"OUTDIAL_HOST={host!r} OUTDIAL_PORT={port} can't be listened on: {error.strerror}") from error
    return listening


def _url_of(host: str, listening: socket.socket) -> str:
    """Where this node listens, as seen from this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - the reverse of binding
    return f"http://{shown}:{listening.getsockname()[1]}"


def _spare_the_collector() -> None:
    """What is loaded by now stays for good: looking through it again would stop every request for 50 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


# --- small things --------------------------------------------------------------------------------------------------


def _stop_signal(stopped: asyncio.Event, hurry: asyncio.Event) -> Callable[[], None]:
    """The first signal asks for an orderly stop, the second ends live calls at once, the third ends it here and now.

    `timeout` and others send it to the process and to its group: what comes twice at once is one signal.
    """
    times, last = 0, -math.inf

    def heard() -> None:
        nonlocal times, last
        now = time.monotonic()
        if now - last < SAME_SIGNAL_SECS:
            return
        times, last = times + 1, now
        stopped.set()
        if times == 2:
            log.warning("told twice: live calls are ended now")
            hurry.set()
        if times >= 3:
            log.error("server ends at once: told three times")
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)

    return heard


def _teller(*, as_json: bool) -> Callable[[str], None]:
    def tell(url: str) -> None:
        line = msgspec.json.encode({"listening": url}).decode() if as_json else f"Outdial listens on {url}"
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    return tell


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
