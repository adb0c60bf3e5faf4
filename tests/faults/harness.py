"""A world to do harm to: nodes, their call workers and a phone network as processes of their own, and a patient client.

Nodes reach the network over HTTP, as the provider `loopback` does, or over SIP, as a trunk: then a `Trunk` is given.
Whatever is random in a scenario comes from its seed. Processes are killed and stopped by their ids; what dies is
started again; every fault is noted with its time, because the judge wants to know.
"""

import os
import random
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx

from tests.faults.judge import (
    FINAL,
    RETRIED,
    Decision,
    Fault,
    Judgement,
    Line,
    MakesJudgement,
    Phase,
    Trial,
    Verdict,
    judge,
    read_log,
)
from tests.faults.over_sip import DEAF, LONGEST_CALL_SECS, RING_LIMIT_SECS, THROTTLED, SipJudgement, unreached
from tests.faults.unreliable import UnreliableWay
from tests.support.carrier import Carrier
from tests.support.fault_table import RESULTS
from tests.support.postgres import Databases, PostgresServer

UP_WITHIN_SECS = 30.0
BOUND_SECS = 60.0
"""Within so long after the last fault a batch is over."""
SECRET = "a secret of thirty-two characters"
LOOK_SECS = 0.05
STOOD_STILL_SECS = 0.7
"""Beyond this a pause of our own is one of the whole machine."""
MOST_ROUNDS = 3
"""Without faults, until everybody is reached who can be."""
ENDINGS = (
    *("0000",) * 22,
    *("0486", "0408", "0480", "0603", "0404", "0503", "0607", "0301"),
    *("1486", "1408", "1503", "1301", "2486", "2408"),
    *("0900", "0901", "0902", "0903", "0904"),
)
"""Of the numbers on a list; half of the people simply answer."""
RTP_PORTS = "10000-19999"
SIP_PORTS = range(20_000, 30_000)
"""Where the network listens: nobody takes these by chance while it is away."""


def children_of(pid: int) -> list[int]:
    """Direct children that live."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found


def command_of(pid: int) -> bytes:
    """Its command line, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def workers_of(pid: int) -> list[int]:
    """The call workers among a server's children."""
    return [child for child in children_of(pid) if b"outdial.app.worker" in command_of(child)]


def _has_sip_stack(pid: int) -> bool:
    """Whether it is a call worker for SIP, and up: every other one has no such library."""
    try:
        return b"baresip" in Path(f"/proc/{pid}/maps").read_bytes()
    except OSError:
        return False


def _state_of(pid: int) -> str:
    """As in /proc: `T` is stopped; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_sip_port() -> int:
    """One that is free for TCP and for UDP."""
    for port in random.SystemRandom().sample(SIP_PORTS, 50):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port for SIP")


@dataclass(frozen=True)
class Trunk:
    """Calls go over SIP."""

    transport: str = "udp"
    workers: int = 2
    rate: int = 30
    """Calls a second: a worker can tear down 20 that were answered."""
    reply_secs: float = 10
    """How long a trunk may say nothing at all."""
    holding_up: bool = True
    """Whether numbers are called that hold a round up: one is deaf, one is throttled three times."""
    port: int = field(default_factory=_free_sip_port)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def network_options(self) -> tuple[str, ...]:
        """Nobody waits long for an agent that says nothing."""
        return ("--sip-port", str(self.port), "--listen-secs", "0.1")

    @property
    def settings(self) -> dict[str, str]:
        """Of the nodes."""
        return {
            "OUTDIAL_SIP_INTERFACE": "127.0.0.1",
            "OUTDIAL_SIP_RTP_PORTS": RTP_PORTS,
            "OUTDIAL_SIP_WORKERS": str(self.workers),
            "OUTDIAL_SIP_MEDIA_LOST_SECS": "2",
            "OUTDIAL_SIP_REPLY_SECS": str(self.reply_secs),
            "OUTDIAL_SIP_HORIZON_SECS": "0.5",
        }

    @property
    def number(self) -> dict[str, Any]:
        """A phone number that calls over it."""
        return {
            "provider": "sip_trunk",
            "max_calls_per_second": self.rate,
            "outbound_trunk_config": {"address": self.address, "transport": self.transport},
        }


@dataclass
class Node:
    """`outdial serve` on a port that it keeps over its lives; leads a process group of its own."""

    name: str
    folder: Path
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    failpoints: str = ""
    seen_workers: frozenset[int] = frozenset()
    stopped: bool = False
    """By SIGSTOP."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}-{self.port}.log"

    def launch(self, failpoints: str = "") -> None:
        """Start it, without waiting."""
        self.failpoints, self.stopped, self.seen_workers = failpoints, False, frozenset()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
        ours = {"OUTDIAL_NODE": self.name, "OUTDIAL_PORT": str(self.port), **self.settings}
        if failpoints:
            ours["OUTDIAL_FAILPOINTS"] = failpoints
        command = [sys.executable, "-m", "outdial.cli.main", "serve", "--json"]
        with self.log.open("ab") as log:
            log.write(f"--- started with {failpoints or 'no fail points'}\n".encode())
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, env={**inherited, **ours}, start_new_session=True
            )

    def wait_up(self) -> bool:
        """Until it listens; False if it died before."""
        assert self.process is not None
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], UP_WITHIN_SECS)[0], f"{self.name} did not start: {self.log}"
        return bool(self.process.stdout.readline())

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def bury(self) -> None:
        """After a kill: wait for its end, and for that of its worker, which ends with it."""
        if self.process is None:
            return
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None


@dataclass
class Result:
    """One line of the final table."""

    scenario: str
    engine: str
    seed: int
    kills: int
    stops: int
    restarts: int
    event_faults: int
    verdict: Verdict
    secs: float
    notes: str = ""

    def __str__(self) -> str:
        return (
            f"{self.scenario:<34} {self.engine:<8} seed={self.seed:<5} kills={self.kills:<3} stops={self.stops:<2} "
            f"restarts={self.restarts:<2} events={self.event_faults:<4} dialled={self.verdict.dialled:<4} "
            f"{self.verdict} {self.secs:.1f}s {self.notes}"
        )


class NotOver(AssertionError):
    """A batch was not over within our patience."""


class World:
    """Everything that one scenario needs; a context manager that leaves nothing behind."""

    def __init__(
        self,
        folder: Path,
        database: str,
        *,
        seed: int,
        nodes: int = 1,
        own_carrier: bool = False,
        unreliable: float | None = None,
        settings: dict[str, str] | None = None,
        postgres: PostgresServer | None = None,
        one_dials: bool = False,
        armed: Callable[[random.Random], str] | None = None,
        trunk: Trunk | None = None,
        patience: tuple[float, float] | None = None,
    ) -> None:
        """Make it.

        `own_carrier`: serve starts the network; `unreliable`: share of the reports that come to harm; `one_dials`: the
        other nodes only serve; `armed`: draws the fail points for the first life of the first node; `trunk`: calls go
        over SIP; `patience`: how long phones ring and people talk, at random if it is not given.
        """
        self.folder, self.database, self.seed = folder, database, seed
        self.engine = "sqlite" if database.startswith("sqlite") else "postgres"
        self.chance = random.Random(seed)
        self.key = secrets.token_urlsafe(24)
        self.faults: list[Fault] = []
        self.trials: list[Trial] = []
        self.counts: Counter[str] = Counter()
        self.postgres = postgres
        self.own_carrier = own_carrier
        self.ring, self.talk = patience or (self.chance.uniform(0.1, 0.3), self.chance.uniform(0.2, 0.5))
        self.trunk = trunk
        options = trunk.network_options if trunk is not None else ()
        self.carrier = Carrier(folder / "carrier.log", self.ring, self.talk, options=options)
        self.way = None if unreliable is None else UnreliableWay(seed, self._urls, unreliable)
        self._endings = [one for one in ENDINGS if trunk is None or trunk.holding_up or one not in {DEAF, THROTTLED}]
        self._more = settings or {}
        self._one_dials = one_dials
        self.armed = "" if armed is None else armed(self.chance)
        self._names = [f"n{i}" for i in range(nodes)]
        self.nodes: list[Node] = []
        self._http = httpx.Client(timeout=8, headers={"xi-api-key": self.key})
        self._people = 0
        self.reviving = True
        """Whether what dies is started again."""
        self._over = threading.Event()
        self._pulse = threading.Thread(target=self._feel_pulse, daemon=True)
        self._stopped_at = 0.0
        self._avoided: Node | None = None
        """One that is asleep."""

    def _urls(self) -> list[str]:
        return [node.url for node in self.nodes if node.runs and not node.stopped and node is not self._avoided]

    def _settings(self) -> dict[str, str]:
        settings = {
            "OUTDIAL_DATABASE": self.database,
            "OUTDIAL_API_KEY": self.key,
            "OUTDIAL_SECRET_KEY": SECRET,
            "OUTDIAL_NODE_TIMEOUT_SECS": "2.5",
            "OUTDIAL_LOOK_UP_SECS": "1.5",
            "OUTDIAL_CARRIER_PLACE_TIMEOUT_SECS": "1",
            "OUTDIAL_CARRIER_HORIZON_SECS": "1",
            "OUTDIAL_STOP_SECS": "1",
            "OUTDIAL_CARRIER_RING_SECS": str(self.ring),
            "OUTDIAL_CARRIER_TALK_SECS": str(self.talk),
            "OUTDIAL_CARRIER_LOG": str(self.carrier.log),
        }
        if not self.own_carrier:
            settings["OUTDIAL_CARRIER_URL"] = self.carrier.url
        if self.way is not None:
            settings["OUTDIAL_PUBLIC_URL"] = self.way.url
        if self.trunk is not None:
            settings |= {**self.trunk.settings, "OUTDIAL_RECORDINGS": str(self.folder / "recordings")}
        return {**settings, **self._more}

    def _feel_pulse(self) -> None:
        """Note when the machine stands still: timers of ours then end before what had come is read."""
        last = time.monotonic()
        while not self._over.wait(LOOK_SECS):
            last, before = time.monotonic(), last
            if last - before > STOOD_STILL_SECS:
                self.faults.append(Fault("machine", time.time() - (last - before), time.time()))

    def __enter__(self) -> Self:
        try:
            self._pulse.start()
            if not self.own_carrier:
                self.carrier.start()
            if self.way is not None:
                self.way.__enter__()
            self.nodes = [Node(name, self.folder, self._settings()) for name in self._names]
            for node in self.nodes[1:] if self._one_dials else []:
                node.settings |= {"OUTDIAL_ROLE": "api", "OUTDIAL_PUBLIC_URL": self.nodes[0].url}
            for node in self.nodes:
                node.launch(self.armed if node is self.nodes[0] else "")
                assert node.wait_up() or node.failpoints, node.log.read_text()[-4000:]
            self._agent, self._number = self._make_agent(), self._make_number()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.close()
        for node in self.nodes:
            if node.process is not None:
                node.signal(signal.SIGCONT, group=True)
                node.signal(signal.SIGKILL, group=True)
                node.bury()
        if self.carrier.process is not None:
            self.carrier.stop(signal.SIGKILL)
        if self.way is not None:
            self.way.__exit__()

    def _make_agent(self) -> str:
        config = {} if self.trunk is None else {"conversation": {"max_duration_seconds": LONGEST_CALL_SECS}}
        made = self.post("/v1/convai/agents/create", {"name": "Ada", "conversation_config": config})
        return str(made["agent_id"])

    def _make_number(self) -> str:
        kind = {"provider": "loopback"} if self.trunk is None else self.trunk.number
        made = self.post("/v1/convai/phone-numbers", {"phone_number": "+49305550100", "label": "faults", **kind})
        return str(made["phone_number_id"])

    # --- a patient client

    def ask(self, method: str, path: str, body: Any = None, *, patience: float = BOUND_SECS) -> Any:
        """Ask some node until one answers; the same act however often it was sent."""
        headers = {"Idempotency-Key": str(uuid.UUID(int=self.chance.getrandbits(128)))} if method == "POST" else {}
        until = time.monotonic() + patience
        while True:
            self.tend()
            urls = self._urls()
            why: object = "no node runs"
            if urls:
                try:
                    answer = self._http.request(method, self.chance.choice(urls) + path, json=body, headers=headers)
                except httpx.TransportError as error:
                    why = repr(error)
                else:
                    if answer.status_code < 300:
                        return answer.json()
                    assert answer.status_code >= 500 or answer.status_code == 429, (
                        path,
                        answer.status_code,
                        answer.text,
                    )
                    why = answer.text
            assert time.monotonic() < until, f"{method} {path} was not answered: {why}"
            time.sleep(LOOK_SECS)

    def post(self, path: str, body: Any = None) -> Any:
        return self.ask("POST", path, body if body is not None else {})

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    # --- batches

    def submit(self, people: int, *, at_once: int = 20) -> Trial:
        """A list of people whose numbers were never used before; nobody may be called twice by chance."""
        numbers = []
        for _ in range(people):
            self._people += 1
            numbers.append(f"+4915{self._people:06d}{self.chance.choice(self._endings)}")
        order: dict[str, Any] = {
            "call_name": f"seed {self.seed}",
            "agent_id": self._agent,
            "agent_phone_number_id": self._number,
            "target_concurrency_limit": at_once,
            "recipients": [{"phone_number": number} for number in numbers],
        }
        if self.trunk is not None:
            order["telephony_call_config"] = {"ringing_timeout_secs": RING_LIMIT_SECS}
        began = time.time()
        made = self.post("/v1/convai/batch-calling/submit", order)
        trial = Trial(made["id"], tuple(numbers), [Phase(0, began)])
        self.trials.append(trial)
        return trial

    def look(self, trial: Trial, *, people: bool = False) -> dict[str, Any]:
        seen: dict[str, Any] = self.get(
            f"/v1/convai/batch-calling/{trial.batch_id}" + ("" if people else "?recipients=0")
        )
        return seen

    def over(self, trial: Trial) -> bool:
        """Whether everybody on the list has ended just now."""
        seen = self.look(trial)
        ended = seen["status"] in {"completed", "failed", "cancelled"}
        return bool(ended and seen["total_calls_finished"] == seen["total_calls_scheduled"])

    def dialled(self, trial: Trial) -> int:
        """How many calls the network has dialled for it."""
        ours = set(trial.numbers)
        return sum(line.event == "dialled" and line.number in ours for line in self.log)

    def finish(self, trial: Trial, *, within: float = BOUND_SECS) -> Phase:
        """Wait until it is over, and note how it ended: the facts for the judge."""
        phase = trial.phases[-1]
        until = time.monotonic() + within
        while not self.over(trial) and time.monotonic() < until:
            time.sleep(LOOK_SECS)
        seen = self.look(trial, people=True)
        phase.over = time.time()
        preview = self.get(f"/v1/convai/batch-calling/{trial.batch_id}/retry-preview")
        # what was unknown may become known between two looks: then look again, until both say the same
        while (again := self.look(trial, people=True)) != seen:
            seen, phase.over = again, time.time()
            preview = self.get(f"/v1/convai/batch-calling/{trial.batch_id}/retry-preview")
        phase.batch, phase.recipients, phase.by_outcome = seen, seen["recipients"], preview["by_outcome"]
        phase.unfinished = [one for one in phase.recipients if one["status"] not in FINAL]
        for one in phase.recipients:
            if one["outcome"] in {"unknown", "network_error"} and one["conversation_id"]:
                talk = self.get(f"/v1/convai/conversations/{one['conversation_id']}")
                phase.conversations[one["conversation_id"]] = talk
        return phase

    def retry(self, trial: Trial, *include: str) -> bool:
        """Begin another round; False if there was nobody to call."""
        phase = trial.phases[-1]
        phase.retried_outcomes = RETRIED | set(include)
        began = phase.over = time.time()
        batch = self.post(f"/v1/convai/batch-calling/{trial.batch_id}/retry", {"include": list(include)})
        if batch["retry_count"] == phase.round:
            phase.over = float("inf")
            return False
        trial.phases.append(Phase(batch["retry_count"], began))
        return True

    def cancel(self, trial: Trial, *, hang_up: bool = False) -> None:
        """Call nobody new; notes when it was answered."""
        path = f"/v1/convai/batch-calling/{trial.batch_id}/cancel" + ("?hang_up=true" if hang_up else "")
        answer = self.post(path)
        if answer["status"] == "cancelled":
            trial.phases[-1].cancel_answered = time.time()

    def decide(self, trial: Trial, kind: str, *include: str) -> None:
        """Retry or cancel a batch that goes on."""
        asked = time.time()
        self.post(f"/v1/convai/batch-calling/{trial.batch_id}/{kind}", {"include": list(include)} if include else None)
        trial.decisions.append(Decision(kind, asked, time.time()))

    # --- harm

    def kill(self, node: Node, *, group: bool = False, away: float = 0.0, failpoints: str = "") -> None:
        """kill -9 of a server, or of all its process group, and its next life after a while."""
        began = time.time()
        node.signal(signal.SIGKILL, group=group)
        self.counts["kills"] += 1
        node.bury()
        time.sleep(away)
        self._revive(node, "group" if group else "server", began, failpoints)
        if self.own_carrier:
            self.faults.append(Fault("carrier", began, time.time()))

    @contextmanager
    def dying(self, node: Node, after: float, what: str = "server") -> Iterator[None]:
        """kill -9 of a server while something is asked of it; who asks finds it dead and starts it again.

        Or of its `reader` of bodies alone.
        """
        victim = node.process
        assert victim is not None
        if what == "reader":
            yield from self._dying_reader(node, after)
            return
        killer = threading.Timer(after, victim.kill)
        killer.start()
        try:
            yield
        finally:
            killer.join()
            victim.wait(10)
            self.tend()

    def _dying_reader(self, node: Node, after: float) -> Iterator[None]:
        """The server keeps it, and starts another."""

        def kill() -> None:
            for pid in self._children(node, b"outdial.api.reader"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                self.counts["kills"] += 1

        killer = threading.Timer(after, kill)
        killer.start()
        try:
            yield
        finally:
            killer.join()

    def kill_for_good(self, node: Node) -> None:
        """kill -9 of the whole process group of a node that does not come back."""
        began = time.time()
        node.signal(signal.SIGKILL, group=True)
        self.counts["kills"] += 1
        node.bury()
        self.nodes.remove(node)
        self.faults.append(Fault("node", began, began + 4))

    def kill_while_starting(self, node: Node, after: float) -> None:
        """kill -9 of a server, and again of its next life before it is up."""
        began = time.time()
        node.signal(signal.SIGKILL)
        node.bury()
        node.launch()
        time.sleep(after)
        node.signal(signal.SIGKILL)
        node.bury()
        self.counts["kills"] += 2
        self._revive(node, "server", began, "")
        if self.own_carrier:
            self.faults.append(Fault("carrier", began, time.time()))

    def kill_worker(self, node: Node) -> bool:
        """kill -9 of a call worker; its server starts another. False if there is none just now."""
        workers = [pid for pid in workers_of(node.pid) if self.trunk is None or _has_sip_stack(pid)]
        if not workers:
            return False
        began = time.time()
        with suppress(ProcessLookupError):
            os.kill(self.chance.choice(workers), signal.SIGKILL)
        self.counts["kills"] += 1
        node.seen_workers = frozenset()
        self.faults.append(Fault("worker", began, began + 1))
        return True

    def kill_carrier(self, *, away: float = 0.0) -> None:
        """kill -9 of the network: its calls are lost; it comes back on the same port."""
        began = time.time()
        if self.own_carrier:
            self._kill_own_carrier()
        else:
            self.carrier.stop(signal.SIGKILL)
            time.sleep(away)
            self.carrier.start()
        self.counts["kills"] += 1
        self.faults.append(Fault("carrier", began, time.time() + (1 if self.own_carrier else 0)))

    def _kill_own_carrier(self) -> None:
        for node in self.nodes:
            for pid in self._children(node, b"outdial.lab.carrier"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _children(node: Node, module: bytes) -> list[int]:
        return [pid for pid in children_of(node.pid) if module in command_of(pid)]

    @contextmanager
    def stopped(self, node: Node, what: str) -> Iterator[None]:
        """SIGSTOP of the `group`, the `server` or the `worker` of a node; continued afterwards."""
        pids = {"server": [node.pid], "worker": workers_of(node.pid), "group": [node.pid, *workers_of(node.pid)]}[what]
        began = time.time()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self.counts["stops"] += 1
        node.stopped = what != "worker"
        node.seen_workers = frozenset()
        try:
            yield
        finally:
            node.stopped = False
            self.faults.append(Fault("worker stopped" if what == "worker" else "stopped", began, time.time()))
            for pid in reversed(pids):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def wait_asleep(self, node: Node, within: float) -> None:
        """Until a server does not answer, but no longer; from then on the others are asked, if there are any."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            try:
                httpx.get(f"{node.url}/healthz", timeout=0.25)
            except httpx.TimeoutException:
                self._avoided = node
                return
            except httpx.TransportError:
                self.tend()
            time.sleep(0.01)

    def slept(self, since: float, *, worker: bool) -> None:
        """A process slept now and then since that time: what it then sent or heard too late is in doubt."""
        self.faults.append(Fault("worker asleep" if worker else "asleep", since, time.time()))

    def wait_stopped(self, node: Node, within: float) -> list[int]:
        """The processes of a node that a fail point stopped; a stopped one answers nobody, so nobody is asked."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            pids = [pid for pid in (node.pid, *workers_of(node.pid)) if _state_of(pid) == "T"]
            if pids:
                self.counts["stops"] += 1
                node.stopped = node.pid in pids
                self._stopped_at = time.time() - LOOK_SECS
                return pids
            time.sleep(LOOK_SECS)
        return []

    def continue_(self, node: Node, pids: Sequence[int], *, past: float = 2.8) -> None:
        """Continue them once they were stopped for longer than a lease lasts."""
        time.sleep(max(0.0, self._stopped_at + past - time.time()))
        what = "asleep" if node.stopped else "worker asleep"
        self.faults.append(Fault(what, self._stopped_at, time.time()))
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        node.stopped = False

    def restart_postgres(self, how: signal.Signals, *, away: float = 0.0) -> None:
        """As a crash (SIGQUIT: `pg_ctl stop -m immediate`; SIGKILL: the postmaster alone), and up again."""
        assert self.postgres is not None
        began = time.time()
        self.postgres.stop(how=how)
        time.sleep(away)
        self.postgres.start()
        self.counts["restarts"] += 1
        self.faults.append(Fault("postgres", began, time.time()))

    @contextmanager
    def frozen_postgres(self) -> Iterator[None]:
        """SIGSTOP of the database server with all its processes; they go on where they were."""
        assert self.postgres is not None
        began = time.time()
        with self.postgres.frozen():
            self.counts["stops"] += 1
            yield
        self.faults.append(Fault("postgres", began, time.time()))

    def double(self, node: Node) -> Node:
        """Another process under the name of a node, which takes over what that one held."""
        other = Node(node.name, node.folder, node.settings)
        other.launch()
        assert other.wait_up(), other.log.read_text()[-4000:]
        self.nodes.append(other)
        return other

    def tend(self) -> None:
        """Notice what died at a fail point, and start it again without one."""
        if not self.reviving:
            return
        for node in self.nodes:
            if node.stopped or node.process is None:
                continue
            if not node.runs:
                self.counts["kills"] += 1
                node.bury()
                self._revive(node, "server", time.time() - 1, "")
            elif node.failpoints:
                self._tend_workers(node)

    def _tend_workers(self, node: Node) -> None:
        now = frozenset(workers_of(node.pid))
        if node.seen_workers - now and "kill" in node.failpoints:
            self.counts["kills"] += 1
            self.faults.append(Fault("worker", time.time() - 1, time.time()))
            self.kill(node)  # its workers inherit the fail points: they would die again and again
        elif now:
            node.seen_workers = now

    def _revive(self, node: Node, what: str, began: float, failpoints: str) -> None:
        for _ in range(5):
            node.launch(failpoints)
            if node.wait_up():
                break
            node.bury()
            self.counts["kills"] += 1
            failpoints = ""
        else:
            raise AssertionError(f"{node.name} does not start any more:\n{node.log.read_text()[-4000:]}")
        self.faults.append(Fault(what, began, time.time()))

    def pass_time(self, secs: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let it work for a while."""
        over = time.monotonic() + secs
        while time.monotonic() < over and not until():
            self.tend()
            time.sleep(min(LOOK_SECS, max(0.0, over - time.monotonic())))

    # --- the end

    @property
    def log(self) -> list[Line]:
        return read_log(self.carrier.log)

    def verdict(self, scenario: str, began: float, *, gentle: bool = False, notes: str = "") -> Result:
        """Judge, print the line, and keep it for the table."""
        self._calm()
        found = judge(self.trials, self.log, self.faults, gentle=gentle, by=self._judgement)
        events = sum(self.way.done.values()) if self.way is not None else 0
        result = Result(
            scenario,
            self.engine,
            self.seed,
            self.counts["kills"],
            self.counts["stops"],
            self.counts["restarts"],
            events,
            found,
            time.monotonic() - began,
            notes,
        )
        RESULTS.append(result)
        print(f"\n{result}", flush=True)  # noqa: T201 - the line that the scenario is for
        for kind, words in found.findings.items():
            print(f"    {kind}:", *words[:8], sep="\n        ", flush=True)  # noqa: T201
        return result

    @property
    def _judgement(self) -> MakesJudgement:
        if self.trunk is None:
            return Judgement
        return partial(SipJudgement, udp=self.trunk.transport == "udp", alone=len(self._names) == 1)

    def _calm(self) -> None:
        """Whatever may still come is to come before the verdict: nobody is dialled when all is over."""
        time.sleep(0.5)


def run_rounds(world: World, trials: Sequence[Trial], *, include: tuple[str, ...] = ()) -> None:
    """After the faults: everything ends, and a retry is judged as the first round is."""
    for trial in trials:
        world.finish(trial)
    for trial in trials:
        if not trial.phases[-1].unfinished and world.retry(trial, *include):
            world.finish(trial)


def reach_everybody(world: World, trials: Sequence[Trial], *include: str) -> None:
    """After the faults: retried until nobody is left who can be reached; some answer from the third time on."""
    left = list(trials)
    for _ in range(MOST_ROUNDS):
        ended = [world.finish(trial) for trial in left]
        left = [trial for trial, phase in zip(left, ended, strict=True) if unreached(phase) and not phase.unfinished]
        left = [trial for trial in left if world.retry(trial, *include)]
    for trial in left:
        world.finish(trial)
    for trial in trials:
        trial.to_the_end = True


def check(result: Result) -> None:
    """The verdict must be good."""
    assert result.verdict.good, f"{result}\n{result.verdict.findings}"


def side_by_side(*scenarios: Callable[[], Result]) -> None:
    """Run scenarios at the same time, each in a world of its own: most of their time is waiting."""
    with ThreadPoolExecutor(len(scenarios)) as pool:
        running = [pool.submit(scenario) for scenario in scenarios]
    for one in running:
        check(one.result())


def fresh_database(engine: str, folder: Path, databases: Databases | None) -> str:
    """A URL of an empty database."""
    if engine == "sqlite":
        return f"sqlite:///{folder}/outdial.db"
    assert databases is not None
    return databases.create()
