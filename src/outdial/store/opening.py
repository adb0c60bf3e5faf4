"""From a URL to its engine, and how new its database may be."""

from pathlib import Path
from urllib.parse import unquote

from outdial.domain.errors import BadSetting
from outdial.store import postgres, sqlite
from outdial.store.engine import PATIENCE_SECS, Engine
from outdial.store.migrate import migrations
from outdial.store.postgres.engine import PostgresEngine
from outdial.store.sqlite.engine import SqliteEngine


def engine_of(url: str, *, patience_secs: float = PATIENCE_SECS) -> Engine:
    """The engine behind a URL, not opened; raises BadSetting."""
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        path = unquote(url.removeprefix("sqlite:///"))
        if not url.startswith("sqlite:///") or not path or "?" in path:
            raise BadSetting(f"OUTDIAL_DATABASE is {url!r}; for SQLite it reads sqlite:///path/to/file.db")
        return SqliteEngine(Path(path).absolute(), patience_secs=patience_secs)
    if scheme in {"postgresql", "postgres"}:
        return PostgresEngine(url, patience_secs=patience_secs)
    raise BadSetting("OUTDIAL_DATABASE must begin with sqlite:/// or postgresql://")


def newest_schema(engine: Engine) -> int:
    """The schema version that this program writes."""
    package = postgres if engine.shared else sqlite
    return sum(1 for _ in migrations(Path(package.__path__[0]) / "migrations"))
