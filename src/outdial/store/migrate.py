"""Migrations: numbered `.sql` files that only go forward, each in one transaction."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from outdial.domain.errors import BadSetting
from outdial.runtime.log import get_logger

log = get_logger()

_FILE = re.compile(r"(?P<version>\d{4})\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step."""

    version: int
    sql: str


class Migrator(Protocol):
    """What an engine does for its migrations."""

    def version(self) -> int:
        """The version of the database, 0 when it is empty."""
        ...

    def apply(self, migration: Migration) -> bool:
        """Take the step and note the version, in one transaction. False if somebody else took it meanwhile."""
        ...


def migrations(folder: Path) -> Iterator[Migration]:
    """The steps of a folder in order; their numbers have no gaps."""
    files = sorted(file for file in folder.glob("*.sql") if _FILE.fullmatch(file.name))
    for expected, file in enumerate(files, 1):
        if int(file.stem) != expected:
            raise ValueError(f"{file}: migration {expected:04} is missing before it")
        yield Migration(expected, file.read_text("utf-8"))


def migrate(migrator: Migrator, folder: Path) -> int:
    """Bring the database to the newest version, which is returned; refuses one that is newer than this program."""
    steps = list(migrations(folder))
    version = migrator.version()
    if version > len(steps):
        raise BadSetting(
            f"the database has schema version {version}, this program knows versions up to {len(steps)}: "
            "start the newer outdial that wrote it"
        )
    for step in steps[version:]:
        if migrator.apply(step):
            log.info("database migrated", version=step.version)
    return len(steps)
