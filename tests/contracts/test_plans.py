"""How SQLite goes about each query: none may read what grows with a list to find the few rows that are asked for."""

import re
import sqlite3

import pytest

from outdial.store.queries import Query, load, named
from outdial.store.sqlite.engine import FOLDER

QUERIES = load(FOLDER, named)
GROWING = {"recipient", "attempt", "due", "conversation", "event", "request", "outbox", "suppression"}
"""Tables with rows for each person, call or request."""
OF_WHAT_IS_OPEN = {"attempt_open", "batch_undone"}
"""Indexes that a row leaves when it is done with: walking one costs what is going on now, not what ever was."""
WHOLE = {"outbox_prune"}
"""Queries that may read all of such a table, since nobody waits for them: what takes old rows away."""


@pytest.fixture(scope="module")
def database() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    for migration in sorted((FOLDER / "migrations").glob("*.sql")):
        database.executescript(migration.read_text("utf-8"))
    database.execute("create table schema_version (version integer primary key, applied_at integer not null)")
    return database


def plan(database: sqlite3.Connection, query: Query) -> list[str]:
    steps = database.execute(f"explain query plan {query.sql}", dict.fromkeys(query.params))
    return [str(step[3]) for step in steps]


def read_whole(query: Query, step: str) -> str:
    """The growing table that this step reads from one end to the other, or nothing."""
    scanned = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
    if scanned is None or scanned[2] in OF_WHAT_IS_OPEN:
        return ""
    named_so = re.findall(rf"\b(\w+) (?:as )?{scanned[1]}\b", query.sql)
    return next((table for table in (scanned[1], *named_so) if table in GROWING), "")


@pytest.mark.parametrize("query", [q for q in QUERIES if not q.name.startswith("audit_")], ids=lambda query: query.name)
def test_no_query_reads_a_whole_list(database: sqlite3.Connection, query: Query) -> None:
    whole = [step for step in plan(database, query) if read_whole(query, step)]
    assert whole == [] or query.name in WHOLE, whole


@pytest.mark.parametrize(("name", "table"), [("audit_placed", "attempt"), ("audit_people", "recipient")])
def test_one_that_does_is_found_out(database: sqlite3.Connection, name: str, table: str) -> None:
    assert table in {read_whole(QUERIES[name], step) for step in plan(database, QUERIES[name])}


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("in_doubt", "INDEX attempt_open"),
        ("trying_of", "INDEX attempt_trying"),
        ("hopper_front", "KEY (batch_id=? AND generation=? AND window_class=?)"),
    ],
)
def test_what_every_get_asks_is_found_in_a_small_index(database: sqlite3.Connection, name: str, index: str) -> None:
    steps = plan(database, QUERIES[name])
    assert any(index in step for step in steps), steps
