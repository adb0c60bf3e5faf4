"""Every setting of the server: what it is called, what it means, and what it may be. Read once, at start.

A flag of the command line wins over the environment, the environment over the default. A value that can't be used is
told by name, with what would do.
"""

import contextlib
import difflib
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from outdial.domain.errors import BadSetting
from outdial.telephony.sip.config import is_range

PREFIX = "OUTDIAL_"
_CARRIERS = ("SIP_PORT", "SIP_USER", "SIP_PASSWORD", "LISTEN_SECS", "AUDIO", "LOSS", "JITTER", "SEED")
ELSEWHERE = frozenset(
    {"OUTDIAL_URL", "OUTDIAL_FAILPOINTS", "OUTDIAL_TEST_POSTGRES", *(f"OUTDIAL_CARRIER_{name}" for name in _CARRIERS)}
)
"""Variables that are read by others: commands, fail points, benches, the network in a box."""
T = TypeVar("T")


class Role(StrEnum):
    """What one node does."""

    ALL = "all"
    API = "api"
    """Serves HTTP and dials nobody."""
    DIALER = "dialer"
    """Dials, and serves only what its calls need: callbacks and health."""


# --- how a text becomes a value: each raises ValueError with what would do --------------------------------------------


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text")
    return text


def _ports(text: str) -> str:
    if not is_range(text):
        raise ValueError("two ports, the lower first, as in 10000-20000")
    return text


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"seconds from {low:g} to {high:g}")
        return value

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def _database(text: str) -> str:
    if text.startswith(("postgresql://", "postgres://")):
        return text
    if text.startswith("sqlite:///") and text != "sqlite:///" and not {"?", "\0"} & set(unquote(text)):
        return text
    raise ValueError("sqlite:///PATH or postgresql://…")


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("a URL such as https://calls.example.org") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or not port_ok:
        raise ValueError("a URL such as https://calls.example.org")
    return text.rstrip("/")


def _at_least(characters: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if len(text) < characters:
            raise ValueError(f"a text of at least {characters} characters")
        return _text(text)

    return read


def _one_of(words: type[StrEnum] | tuple[str, ...]) -> Callable[[str], Any]:
    known = tuple(words)

    def read(text: str) -> Any:  # noqa: ANN401 - the word's own type
        if text not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return words(text) if isinstance(words, type) else text

    return read


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise ValueError("1 to 64 of letters, digits, dot, - and _")
    return text


def _setting(read: Callable[[str], T], meaning: str, *, default: Any = MISSING, secret: bool = False) -> Any:  # noqa: ANN401 - a dataclass field
    meta = {"read": read, "meaning": meaning, "secret": secret}
    if callable(default):
        return field(default_factory=default, repr=not secret, metadata=meta)
    return field(default=default, repr=not secret, metadata=meta)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The server's settings; the variable of each is OUTDIAL_ and its name in capitals."""

    database: str = _setting(_database, "Where everything is kept", default="sqlite:///outdial.db")
    host: str = _setting(_text, "Address to listen on", default="127.0.0.1")
    port: int = _setting(_whole(0, 65_535), "Port to listen on; 0 takes a free one", default=8080)
    public_url: str | None = _setting(
        _url, "How phone networks reach this server; absent: where it listens", default=None
    )
    role: Role = _setting(  # noqa: RUF009 - a field as the others; the linter trusts no enum
        _one_of(Role), "What this node does; other than all needs PostgreSQL", default=Role.ALL
    )
    node: str | None = _setting(
        _name, "Name of this node; a second one of the same name takes over; absent: machine and port", default=None
    )
    api_key: str | None = _setting(
        _at_least(20), "A first key; it may create workspaces and keys", default=None, secret=True
    )
    secret_key: str | None = _setting(
        _at_least(32), "All other keys derive from it; absent on SQLite: made, in a file beside the database",
        default=None, secret=True,
    )  # fmt: skip
    replay_secs: float = _setting(
        _seconds(0, 86_400), "How long a request sent again gets the first answer; 0: never", default=10.0
    )
    database_secs: float = _setting(
        _seconds(1, 60),
        "How long a write waits for a database that is away or stands still, then it is 503; a read half as long",
        default=10.0,
    )
    workspace_concurrency: int = _setting(_whole(1, 1_000_000), "Calls at once of one workspace", default=100)
    workers: int = _setting(_whole(1, 64), "Call workers of each provider", default=1)
    calls_per_worker: int = _setting(_whole(1, 100_000), "Calls that one call worker has at once", default=1_000)
    look_up_secs: float = _setting(
        _seconds(0.5, 3_600),
        "A call of which nothing is heard for so long is looked up, where that is possible",
        default=10.0,
    )
    node_timeout_secs: float = _setting(_seconds(1, 3_600), "A node silent this long is dead", default=10.0)
    halted_secs: float = _setting(
        _seconds(1, 30 * 86_400), "After this long on a halted trunk, waiting people end as expired", default=86_400.0
    )
    probe_secs: float = _setting(
        _seconds(0, 86_400),
        "A halted trunk is asked so often whether it is there (SIP: OPTIONS), for status_reason; 0: never",
        default=60.0,
    )
    sip_workers: int = _setting(_whole(0, 64), "Call workers for SIP trunks; 0: no calls over SIP", default=1)
    sip_calls_per_worker: int = _setting(
        _whole(1, 1_000), "Calls that one of them has at once; 60 leave room for audio", default=60
    )
    sip_teardowns_per_sec: float = _setting(
        _seconds(0.1, 1_000), "Answered calls that one of them hangs up in a second", default=20.0
    )
    sip_interface: str | None = _setting(
        _text, "Network interface or address for SIP; absent: what leads to the trunk, never 127.0.0.1", default=None
    )
    sip_rtp_ports: str | None = _setting(
        _ports, "Ports for audio, as a firewall has them: 10000-20000; absent: any", default=None
    )
    sip_cafile: str | None = _setting(_text, "PEM file with who vouches for trunks; absent: the system's", default=None)
    sip_media_lost_secs: float = _setting(
        _seconds(0, 3_600), "A call without any audio from the far end for so long is over; 0: never", default=20.0
    )
    sip_reply_secs: float = _setting(
        _seconds(0.5, 120), "A trunk that says nothing at all for so long leaves its call in doubt", default=10.0
    )
    sip_horizon_secs: float = _setting(
        _seconds(0, 600), "So long after its time-out a call over SIP is taken for lost", default=5.0
    )
    recordings: str | None = _setting(
        _text, "Folder for recordings; absent: recordings, beside the SQLite database or here", default=None
    )
    stop_secs: float = _setting(_seconds(0, 3_600), "How long live calls may go on when the server stops", default=30.0)
    carrier_url: str | None = _setting(
        _url, "The network in a box, if one was started by hand; absent: the server starts its own", default=None
    )
    carrier_ring_secs: float = _setting(_seconds(0, 600), "How long phones of our own network ring", default=1.0)
    carrier_talk_secs: float = _setting(_seconds(0, 3_600), "How long people of our own network talk", default=2.0)
    carrier_log: str | None = _setting(_text, "File for the own network's log", default=None)
    carrier_place_timeout_secs: float = _setting(
        _seconds(0.1, 60), "How long the network in a box may take to answer", default=10.0
    )
    carrier_horizon_secs: float = _setting(
        _seconds(0.1, 600), "A call that it does not know this long after its deadline was never placed", default=5.0
    )
    metrics: str = _setting(
        _one_of(("on", "off")), "Whether /metrics answers, to anybody who reaches the port", default="on"
    )
    log_style: str = _setting(_one_of(("console", "json")), "How log lines look", default="console")
    log_level: str = _setting(_one_of(("debug", "info", "warning", "error")), "From what on to log", default="info")

    def node_name(self, port: int) -> str:
        """The name under which this node dials; `port` is where it listens.

        With SQLite there is one, whatever its machine is called today: in a container that is new at each start, and
        what the server before held must be taken back at once.
        """
        if self.sqlite_path is not None:
            return "alone"
        machine = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:50] or "node"
        return self.node or f"{machine}-{port}"

    @property
    def recordings_path(self) -> Path:
        """Where recordings go."""
        if self.recordings:
            return Path(self.recordings)
        return self.sqlite_path.parent / "recordings" if self.sqlite_path else Path("recordings")

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, None on PostgreSQL."""
        if not self.database.startswith("sqlite:///"):
            return None
        return Path(unquote(self.database.removeprefix("sqlite:///")))  # as the store reads it


def load(environment: Mapping[str, str] = os.environ, **flags: object) -> Settings:
    """The settings; BadSetting for the first value that can't be used. A flag that is None was not given."""
    values: dict[str, Any] = {}
    for each in fields(Settings):
        variable = PREFIX + each.name.upper()
        flag = flags.get(each.name)
        text = str(flag) if flag is not None else environment.get(variable, "")
        if text:
            values[each.name] = _read(variable, text, each.metadata)
    settings = Settings(**values)
    _check_together(settings)
    return settings


def table() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting: the documentation is made of it."""
    rows = []
    for each in fields(Settings):
        default = "" if each.default in {MISSING, None} else str(each.default)
        rows.append((PREFIX + each.name.upper(), default, each.metadata["meaning"]))
    return rows


def strangers(environment: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
    """Variables that are called like settings and are none, each with the nearest that is one, else an empty text."""
    known = {PREFIX + each.name.upper() for each in fields(Settings)} | ELSEWHERE
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return [(name, next(iter(difflib.get_close_matches(name, sorted(known), n=1)), "")) for name in unknown]


def own_secret(settings: Settings) -> str:
    """The secret key: as set, else the one in a file beside the SQLite database, which is made when it is missing."""
    if settings.secret_key is not None:
        return settings.secret_key
    path = key_file(settings)
    try:
        _make_secret(path)
    except OSError as error:
        raise BadSetting(
            f"{path} can't be made: {error.strerror}; it keeps the key of the database beside it"
        ) from error
    return _kept(path)


def withdraw_secret(settings: Settings) -> None:
    """Remove the key file that was made for a database which can't be one: a mistyped path leaves nothing behind.

    Where a database is, whoever made it, it may be sealed with that key: then the file stays.
    """
    path = settings.sqlite_path
    if settings.secret_key is None and path is not None and not _may_be_database(path):
        with contextlib.suppress(OSError):
            key_file(settings).unlink()


def kept_secret(settings: Settings) -> str:
    """As `own_secret`, but BadSetting where there is none: for who only looks."""
    if settings.secret_key is not None:
        return settings.secret_key
    return _kept(key_file(settings))


def key_file(settings: Settings) -> Path:
    """Where the secret key is kept unless it is set: beside the SQLite database."""
    path = settings.sqlite_path
    if path is None:
        raise BadSetting(
            "OUTDIAL_SECRET_KEY is needed with PostgreSQL: the same text, of 32 characters or more, on all nodes"
        )
    return path.with_name(path.name + ".key")


def _may_be_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(16) in {b"", b"SQLite format 3\0"}
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False
    except OSError:
        return True


def _kept(path: Path) -> str:
    try:
        kept = path.read_text().strip()
    except OSError as error:
        raise BadSetting(
            f"{path} can't be used: {error.strerror}; it keeps the key of the database beside it"
        ) from error
    if len(kept) < 32:
        raise BadSetting(f"{path} holds no key of 32 characters; restore it, or set OUTDIAL_SECRET_KEY")
    return kept


def _make_secret(path: Path) -> None:
    """Write the file where it is missing: whole or not at all, for nobody else's eyes, and the first one wins."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _read(variable: str, text: str, meta: Mapping[str, Any]) -> Any:  # noqa: ANN401 - each setting's own type
    try:
        return meta["read"](text)
    except ValueError as error:
        # a mistyped URL may hold a password
        shown = "" if meta["secret"] else f"={re.sub(r'//.*@', '//…@', text)[:80]!r}"
        raise BadSetting(f"{variable}{shown} can't be used: it is {error}") from None


def _check_together(settings: Settings) -> None:
    if settings.role is not Role.ALL and settings.sqlite_path is not None:
        raise BadSetting(f"OUTDIAL_ROLE={settings.role.value!r} needs PostgreSQL; with SQLite one server does it all")
    if settings.public_url is None and settings.role is not Role.ALL:
        raise BadSetting("OUTDIAL_PUBLIC_URL is needed when more than one node runs: how phone networks reach them")
