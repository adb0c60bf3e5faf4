"""`outdial doctor`: what is wrong with an installation, what it means, and what to do.

It changes nothing and takes no lock, so it runs beside a server as well as without one.
"""

import asyncio
import ctypes
import json
import os
import shutil
import stat
import time
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from outdial.app.settings import Role, Settings, kept_secret
from outdial.app.trunks import asks
from outdial.domain.errors import BadSetting
from outdial.ports.provider import Reach
from outdial.ports.store import NumberRow
from outdial.store import audit
from outdial.store.engine import Engine, ReadSession
from outdial.store.instants import micros, seconds
from outdial.store.numbers import number_row
from outdial.store.op import Reads
from outdial.store.opening import engine_of, newest_schema
from outdial.store.secrets import Vault
from outdial.telephony.registry import PROVIDERS

ANSWER_SECS = 4.0
"""How long whoever is asked over the network may take."""
COUNT_SECS = 60.0
"""How long the database may take for one question: some read a whole table."""
ASKED_AT_ONCE = 20
"""Trunks."""
SHOWN = 10
"""Findings of one kind that are listed; the others are counted."""
MIB = 1024 * 1024
LEAST_FREE = 200 * MIB
COMFORTABLY_FREE = 1024 * MIB
LONG_LOG = 512 * MIB
OVERDUE_SECS = 300.0
CLOCK_SECS = 2.0
"""The clocks of nodes and database may differ by this much."""
FUTURE_SECS = 60.0


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says."""

    check: str
    state: State
    says: str
    do: str = ""
    """What to do about it, for people."""
    details: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "check": self.check,
            "state": self.state.value,
            "says": self.says,
            "do": self.do,
            "details": list(self.details),
        }


def ok(check: str, says: str) -> Finding:
    """Nothing to do."""
    return Finding(check, State.OK, says)


def warning(check: str, says: str, do: str, details: Sequence[str] = ()) -> Finding:
    """It works, and somebody should know."""
    return Finding(check, State.WARNING, says, do, tuple(details))


def failed(check: str, says: str, do: str, details: Sequence[str] = ()) -> Finding:
    """It does not work, or not for long."""
    return Finding(check, State.FAILED, says, do, tuple(details))


Check = Callable[[], Iterator[Finding]]


def examine(read_settings: Callable[[], Settings], *, server_url: str | None = None) -> Iterator[Finding]:
    """Every check in turn. `server_url`: where commands expect the server (OUTDIAL_URL), None: as the settings say."""
    try:
        settings = read_settings()
    except BadSetting as wrong:
        yield failed("settings", str(wrong), "Set it to what is said there; the server does not start otherwise.")
        return
    yield ok("settings", f"they can be used; role {settings.role}")
    providers: list[str] = []
    numbers: list[NumberRow] = []
    yield from _Database(settings, providers, numbers).findings()
    yield from _safely("disk", lambda: disk(settings))
    yield from _safely("clock", machine_clock)
    yield from _safely("network", lambda: network(settings, providers, server_url))
    yield from _safely("trunks", lambda: reach(settings, numbers))


def _safely(check: str, work: Check) -> Iterator[Finding]:
    """One check's own failure is a finding, and the others go on."""
    try:
        yield from work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
        yield failed(check, f"this could not be checked: {type(error).__name__}: {error}", "Look into this first.")


# --- the database --------------------------------------------------------------------------------------------------


class _Database:
    """Everything that is asked of the database, on one reading connection."""

    def __init__(self, settings: Settings, providers: list[str], numbers: list[NumberRow]) -> None:
        """Make it; `providers` is filled with those that phone numbers are of, `numbers` with these."""
        self._settings = settings
        self._providers = providers
        self._numbers = numbers
        self._path = settings.sqlite_path

    def findings(self) -> Iterator[Finding]:
        """Stops where nothing further can be read."""
        if self._path is not None and not self._path.exists():
            yield failed(
                "database",
                f"there is no {self._path}",
                "Start the server once, or name the right file (OUTDIAL_DATABASE, --database).",
            )
            return
        try:
            engine = engine_of(self._settings.database, patience_secs=COUNT_SECS)
            reader = engine.reader()
        except Exception as error:  # noqa: BLE001 - any driver's
            yield failed(
                "database", f"it can't be opened: {_first_line(error)}", "Is it running, and is the URL right?"
            )
            return
        try:
            yield from self._all(engine, reader)
        finally:
            reader.close()

    def _all(self, engine: Engine, reader: ReadSession) -> Iterator[Finding]:
        try:
            with reader.snapshot() as tx:
                found = int(tx.value("schema_version"))
        except Exception as error:  # noqa: BLE001 - any driver's
            yield failed(
                "database",
                f"it can't be read, or is none of ours: {_first_line(error)}",
                "Restore a backup, or start the server once on an empty database.",
            )
            return
        newest = newest_schema(engine)
        yield ok("database", f"{engine.name}, schema {found}")
        checks: list[tuple[str, Callable[[Reads], Iterator[Finding]]]] = [("engine", _engine_check(engine))]
        if found == newest:
            checks += [("secret key", self._secret), ("nodes", self._nodes), ("trunks", _trunks), ("calls", _overdue)]
            checks += [("clock", _database_clock)]
        else:
            yield self._other_schema(found, newest)
        for name, check in checks:
            yield from _safely(name, lambda check=check: _on_snapshot(reader, check))  # type: ignore[misc]
        if found == newest:
            for name, part in audit.PARTS.items():
                yield from _safely(name, lambda name=name, part=part: _recount(reader, name, part))  # type: ignore[misc]

    @staticmethod
    def _other_schema(found: int, newest: int) -> Finding:
        if found > newest:
            return failed(
                "schema",
                f"the database has schema {found}, this program knows {newest}",
                "Run the newer outdial that wrote it.",
            )
        return warning(
            "schema",
            f"the database has schema {found}, this program writes {newest}; rows were not recounted",
            "Make a backup, then start the server: it migrates.",
        )

    def _secret(self, tx: Reads) -> Iterator[Finding]:
        self._providers += [row.provider for row in tx.rows("audit_providers")]
        try:
            vault = Vault(kept_secret(self._settings))
            self._numbers += [number_row(row, vault) for row in tx.rows("audit_numbers")]
        except BadSetting as wrong:
            yield failed(
                "secret key",
                str(wrong),
                "Restore the key that belongs to this database; without it its phone numbers' secrets are lost.",
            )
        else:
            yield ok("secret key", "it opens what is sealed in the database")

    def _nodes(self, tx: Reads) -> Iterator[Finding]:
        alive = [row for row in tx.rows("audit_nodes") if row.alive]
        if self._path is not None:
            return
        if self._settings.role is Role.ALL and not alive:
            yield warning("nodes", "no node dials on this database", "Start one: outdial serve.")
            return
        old = [row for row in alive if time.time() - seconds(row.heartbeat_at) > self._settings.node_timeout_secs]
        if old:
            yield warning(
                "nodes",
                f"{len(old)} of {len(alive)} nodes have gone silent",
                "Nodes that live take over what these held; start another if none does.",
                [f"{row.name}, epoch {row.epoch}: {time.time() - seconds(row.heartbeat_at):.0f} s" for row in old],
            )
        else:
            yield ok("nodes", f"{len(alive)} dial on this database")


def _on_snapshot(reader: ReadSession, check: Callable[[Reads], Iterator[Finding]]) -> Iterator[Finding]:
    with reader.snapshot() as tx:
        tx.rows("audit_begin")
        yield from list(check(tx))


_RECOUNTED = {
    "counters": "counters and tallies are what the rows say",
    "ends": "batches are over exactly when everybody in them is; no decision's row work is lost",
    "slots": "every limit has in use what attempts hold",
    "days": "every agent's calls a day are the attempts that were placed",
    "hopper": "exactly those who wait are in the hopper",
    "attempts": "recipients stand where the log of their attempts leads",
}
_DAMAGED = {
    "counters": "Progress and retry counts of these batches are wrong.",
    "ends": "These batches never end, or ended too early.",
    "slots": "A limit that counts too many calls lets too few begin; one that counts too few, too many.",
    "days": "A limit of calls a day let too many or too few begin. (A day on which an older version ran beside this "
    "one counts too few; a week later it is forgotten.)",
    "hopper": "People who wait outside of the hopper are never called.",
    "attempts": "What is told of these people is not what happened.",
}


def _recount(reader: ReadSession, name: str, part: audit.Audit) -> Iterator[Finding]:
    found = audit.run(reader.snapshot, part)
    if not found:
        yield ok(name, _RECOUNTED[name])
        return
    lines = [f"{damage.where}: {damage.what}" for damage in found]
    if len(lines) > SHOWN:
        lines = [*lines[:SHOWN], f"and {len(lines) - SHOWN} more"]
    yield failed(
        name,
        f"{len(found)} things do not fit. {_DAMAGED[name]}",
        "Nothing in outdial writes so: was the database changed by hand, or restored in parts? Restore a backup that "
        "this command finds sound; without such changes it is a bug, please report these lines.",
        lines,
    )


def _trunks(tx: Reads) -> Iterator[Finding]:
    halted = tx.rows("audit_halted")
    if halted:
        yield warning(
            "trunks",
            f"{len(halted)} refuse every call alike and are halted",
            _to_mend([row.waiting for row in halted if row.waiting]),
            [f"{row.public_id} ({row.provider}): {row.halted_reason}" for row in halted],
        )
    else:
        yield ok("trunks", "none is halted")


def _to_mend(waiting: Sequence[str]) -> str:
    """How a halted trunk is mended; `waiting`: batches that go on then."""
    change = "Change the number's settings with PATCH /v1/convai/phone-numbers/{id}"
    elsewhere = "what is wrong at the provider (balance, caller id) is mended there"
    if not waiting:
        return f"{change}; {elsewhere}. No batch waits for it: `outdial retry` calls those who were not reached."
    return f"{change}, which lets calls go on; {elsewhere}, and then `outdial resume {waiting[0]}`."


def _overdue(tx: Reads) -> Iterator[Finding]:
    now = time.time()
    row = tx.one("audit_overdue", before=micros(now - OVERDUE_SECS))
    if row is not None and row.n:
        yield warning(
            "calls",
            f"{row.n} calls should have been looked up, the first {now - seconds(row.since):.0f} s ago",
            "Is a server running that dials? It looks them up as soon as it starts; see its log if it does not.",
        )
    else:
        yield ok("calls", "nobody forgot to look one up")


def _database_clock(tx: Reads) -> Iterator[Finding]:
    newest = tx.value("audit_newest")
    ahead = seconds(newest) - time.time() if newest is not None else 0.0
    if ahead > FUTURE_SECS:
        yield failed(
            "clock",
            f"the latest change in the database lies {ahead:.0f} s in the future",
            "The machine's clock was set back, or is wrong: people are called too late until it has caught up.",
        )


def _engine_check(engine: Engine) -> Callable[[Reads], Iterator[Finding]]:
    return postgres if engine.shared else sqlite


def sqlite(tx: Reads) -> Iterator[Finding]:
    """The file's own structure."""
    wrong = [str(row[0]) for row in tx.rows("file_check") if row[0] != "ok"]
    if wrong:
        yield failed("file", "its structure is damaged", "Stop the server and restore a backup.", wrong)
    elif (journal := tx.value("file_journal")) != "wal":
        yield warning("file", f"its journal is {journal!r}, not wal", "Nothing: the server sets it when it starts.")
    else:
        yield ok("file", "its structure is sound")


def postgres(tx: Reads) -> Iterator[Finding]:
    """The server's durability, its standbys, its clock."""
    settings = {row.name: row.setting for row in tx.rows("server_settings")}
    state = tx.one("server_state")
    standbys = tx.one("server_standbys")
    yield ok("postgresql", f"version {settings.get('server_version', '?')}, {state.bytes / MIB:.0f} MiB")
    if state.standby:
        yield failed("postgresql", "this server is a standby", "Name the primary in OUTDIAL_DATABASE.")
    yield from _durability(settings)
    yield from _standbys(settings.get("synchronous_standby_names", ""), standbys.n, standbys.waited_for)
    if (apart := abs(state.now - time.time())) > CLOCK_SECS:
        yield warning(
            "clock",
            f"this machine and the database differ by {apart:.1f} s",
            "Keep both by NTP: due times, windows and leases are judged by them.",
        )
    if state.connections > 0.9 * int(settings.get("max_connections", "100")):
        yield warning(
            "connections",
            f"{state.connections} of {settings['max_connections']} are in use",
            "A node needs eight; raise max_connections.",
        )


def _durability(settings: Mapping[str, str]) -> Iterator[Finding]:
    off = [name for name in ("fsync", "full_page_writes") if settings.get(name) == "off"]
    if off:
        yield failed(
            "durability",
            f"{' and '.join(off)} {'is' if len(off) == 1 else 'are'} off: after a crash calls may be made twice",
            "Turn them on in postgresql.conf.",
        )
    elif settings.get("synchronous_commit") in {"off", "local"}:
        # our sessions set `on` themselves; what we see here is what they got
        yield failed(
            "durability",
            f"synchronous_commit is {settings['synchronous_commit']!r} in our sessions",
            "Something between us and the server (a pooler?) overrides it: connect directly.",
        )
    else:
        yield ok(
            "durability", f"synchronous_commit is {settings.get('synchronous_commit')!r} in our sessions, fsync is on"
        )


def _standbys(names: str, connected: int, waited_for: int) -> Iterator[Finding]:
    if not connected and not names:
        yield ok("standby", "there is none, so a failover can lose nothing; backups are all there is")
    elif connected and not names:
        yield warning(
            "standby",
            f"{connected} are connected, and commits wait for none of them",
            "A failover may lose the last permissions to send, and those people ring twice: set "
            "synchronous_standby_names.",
        )
    elif not connected:
        yield failed(
            "standby",
            f"synchronous_standby_names is {names!r}, and no standby is connected: every commit waits for ever",
            "Bring the standby back, or empty the setting until it is.",
        )
    elif not waited_for:
        yield warning(
            "standby",
            f"synchronous_standby_names is {names!r}; whether a connected standby is one of them can't be seen",
            "Grant pg_monitor to outdial's role, or look at pg_stat_replication yourself.",
        )
    else:
        yield ok("standby", f"commits wait for {waited_for} of {connected}")


# --- the machine ---------------------------------------------------------------------------------------------------


def disk(settings: Settings) -> Iterator[Finding]:
    """Room beside the database, and who may read its key."""
    path = settings.sqlite_path
    folder = path.absolute().parent if path is not None else Path.cwd()
    if not folder.is_dir():
        yield failed("disk", f"there is no folder {folder}", "Make it, for the user who runs outdial.")
        return
    free = shutil.disk_usage(folder).free
    size = _bytes(path)
    if free < LEAST_FREE:
        yield failed("disk", f"{free // MIB} MiB are free in {folder}", "Make room now: without it nothing is dialled.")
    elif free < max(COMFORTABLY_FREE, size):
        yield warning(
            "disk",
            f"{free // MIB} MiB are free in {folder}, the database has {size // MIB} MiB",
            "Make room: a backup, or a big list, needs as much again.",
        )
    else:
        yield ok("disk", f"{free // MIB} MiB are free in {folder}")
    if path is None:
        return
    log = _bytes(path.with_name(path.name + "-wal"))
    if log > LONG_LOG:
        yield warning(
            "disk",
            f"the write-ahead log has {log // MIB} MiB",
            "Some program keeps an old snapshot open and so keeps the log from being cut: end it.",
        )
    if not os.access(folder, os.W_OK):
        yield warning("disk", f"this user may not write to {folder}", "Run the doctor as the user who runs the server.")
    yield from _files(path)


def _files(path: Path) -> Iterator[Finding]:
    for file, what in (
        (path.with_name(path.name + ".key"), "all keys derive from it"),
        (path, "it holds numbers and words"),
    ):
        if file.exists() and (open_to := stat.S_IMODE(file.stat().st_mode) & 0o007):
            yield warning(
                "files", f"everybody on this machine may open {file} ({open_to:o}); {what}", f"chmod o= {file}"
            )


def _bytes(path: Path | None) -> int:
    return path.stat().st_size if path is not None and path.exists() else 0


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), as long as any kernel's; with modes 0 it only reads."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_char * 252))


TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""


def machine_clock() -> Iterator[Finding]:
    """Whether somebody keeps the clock, and whether zones are known."""
    if "Europe/Berlin" not in zoneinfo.available_timezones():
        yield failed("clock", "this machine has no time zone data", "Install tzdata: calling hours need it.")
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(_Timex()))
    except (AttributeError, OSError):
        state = -1
    if state == TIME_ERROR:
        yield warning("clock", "the kernel says that nobody keeps the clock", "Run an NTP client on the host.")
    else:
        yield ok("clock", "it is kept" if state >= 0 else "whether it is kept can't be seen from here")


# --- the network ---------------------------------------------------------------------------------------------------


def network(settings: Settings, providers: Sequence[str], server_url: str | None) -> Iterator[Finding]:
    """The server, the way that networks take to it, and the network in a box."""
    url = server_url or _server_url(settings)
    running = False
    if url is not None:
        status, answer = _ask(f"{url}/readyz")
        running = status in {200, 503}
        yield _readiness(url, status, answer)
    yield from _public(settings, providers, running=running)
    if settings.carrier_url is not None:
        status, answer = _ask(settings.carrier_url + "/")
        if status == 200:
            yield ok("carrier", f"the network in a box answers at {settings.carrier_url}")
        else:
            yield failed(
                "carrier", f"OUTDIAL_CARRIER_URL={settings.carrier_url}: {answer}", "Start it: outdial carrier."
            )


def reach(settings: Settings, numbers: Sequence[NumberRow]) -> Iterator[Finding]:
    """Whether the trunk of each number answers, for those that can be asked without calling anybody."""
    asked = asks(settings)
    can_be_asked = [number for number in numbers if number.provider in asked]

    def ask(number: NumberRow) -> Reach:
        return asyncio.run(asked[number.provider](number))

    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        answers = list(threads.map(ask, can_be_asked))
    for number, found in zip(can_be_asked, answers, strict=True):
        check = f"trunk of {number.public_id}"
        took = "" if found.took_ms is None else f" in {found.took_ms:.0f} ms"
        yield ok(check, found.says + took) if found.there else failed(check, found.says + took, found.do)


def _server_url(settings: Settings) -> str | None:
    if settings.port == 0:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104 - as a client
    return f"http://{host}:{settings.port}"


def _readiness(url: str, status: int, answer: str) -> Finding:
    if status == 200:
        return ok("server", f"it runs at {url} and is ready")
    if status == 503:
        try:
            reasons = [str(reason) for reason in json.loads(answer)["reasons"]]
        except (ValueError, KeyError, TypeError):
            reasons = [answer]
        return failed("server", f"it runs at {url} and is not ready", "See its log.", reasons)
    return warning("server", f"none is ready at {url}: {answer}", "Start it (outdial serve), or set OUTDIAL_URL.")


def _public(settings: Settings, providers: Sequence[str], *, running: bool) -> Iterator[Finding]:
    foreign = sorted(name for name in set(providers) - {"loopback"} if name not in PROVIDERS or PROVIDERS[name].reports)
    public = settings.public_url
    if public is None:
        if foreign:
            yield failed(
                "public URL",
                f"OUTDIAL_PUBLIC_URL is not set, and there are numbers of {', '.join(foreign)}",
                "Set it to an https URL at which those networks reach this server, or nobody reports how calls go.",
            )
        else:
            yield ok("public URL", "it is not set, and no number here needs one")
        return
    if foreign and urlsplit(public).scheme != "https":
        yield warning(
            "public URL",
            f"{public} is not https: what is said in calls travels in the clear",
            "Put a proxy with a certificate before the server.",
        )
    if not running:
        yield warning("public URL", f"{public} was not tried, since no server runs here", "Start the server first.")
        return
    status, answer = _ask(f"{public}/healthz")
    if status == 200 and '"ok"' in answer:
        yield ok("public URL", f"{public} leads to a server")
    else:
        yield failed(
            "public URL",
            f"{public} does not lead to this server: {answer if status != 200 else 'somebody else answers there'}",
            "Mend name, proxy or firewall: without reports every call must be looked up, or ends as unknown.",
        )


def _ask(url: str) -> tuple[int, str]:
    """(status, beginning of the answer); status 0 and why, where there was none. Proxies are not used."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECS) as answer:
            return answer.status, answer.read(10_000).decode("utf-8", "replace")
    except HTTPError as error:
        return error.code, error.read(10_000).decode("utf-8", "replace")
    except OSError as error:
        return 0, f"no answer ({getattr(error, 'reason', None) or error})"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
