"""A small world on a store: a workspace, an agent, a number, batches, and the moves of one node; and a recount."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import psycopg

from outdial.domain.call import CallEvent, EventKind
from outdial.domain.decision import outcomes_taken
from outdial.domain.outcome import Ending, Outcome
from outdial.domain.recipient import FINAL, RecipientStatus
from outdial.ports.store import (
    AgentRow,
    BatchRow,
    ClaimAnswer,
    Claimed,
    ClaimWish,
    GoRequest,
    GoVerdict,
    NewBatch,
    NewRecipient,
    NodeLease,
    NumberRow,
    RecipientRow,
    RequestKey,
    Taken,
)
from outdial.runtime.ids import new_public_id
from outdial.store import audit
from outdial.store.store import SqlStore

NOW = 1_800_000_000.0
"""Where the clock of these tests begins, unix seconds. It stands still unless a test moves it."""


def agent_row(**changes: Any) -> AgentRow:
    values: dict[str, Any] = {
        "id": 0,
        "workspace_id": 0,
        "public_id": new_public_id("agent_"),
        "name": "Ada",
        "conversation_config": {"agent": {"first_message": "Hello {{name}}"}},
        "platform_settings": {},
        "workflow": None,
        "tags": (),
        "created_at": NOW,
        "updated_at": NOW,
        "concurrency_limit": None,
    }
    return AgentRow(**{**values, **changes})


def number_row(**changes: Any) -> NumberRow:
    values: dict[str, Any] = {
        "id": 0,
        "workspace_id": 0,
        "public_id": new_public_id("phnum_"),
        "provider": "loopback",
        "phone_number": "+15550001000",
        "label": "box",
        "settings": {},
        "trunk": "t:loopback:1",
        "max_concurrent_calls": None,
        "max_calls_per_second": None,
        "agent_id": None,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return NumberRow(**{**values, **changes})


def number_of(i: int) -> str:
    return f"+1555{i:07d}"


@dataclass
class World:
    """One workspace and one node on a store."""

    store: SqlStore
    url: str
    workspace_id: int
    agent: AgentRow
    number: NumberRow
    lease: NodeLease
    now: float = NOW
    ids: Any = field(default_factory=count)

    @classmethod
    async def make(cls, store: SqlStore, url: str, *, agent: dict[str, Any] | None = None, **number: Any) -> "World":
        workspace_id, _ = await store.create_workspace("test", now=NOW)
        kept = await store.create_agent(workspace_id, agent_row(**(agent or {})), now=NOW)
        phone = await store.create_number(workspace_id, number_row(**number), now=NOW)
        lease = await store.register_node("one", now=NOW)
        return cls(store, url, workspace_id, kept, phone, lease)

    async def submit(
        self, numbers: int | Sequence[str], *, request: RequestKey | None = None, **batch: Any
    ) -> BatchRow:
        listed = [number_of(i) for i in range(numbers)] if isinstance(numbers, int) else numbers
        people = [NewRecipient(f"r{i}", number, "{}") for i, number in enumerate(listed)]
        new = NewBatch(
            **{
                "workspace_id": self.workspace_id,
                "public_id": new_public_id("btcal_"),
                "name": "a batch",
                "agent_id": self.agent.id,
                "number_id": self.number.id,
                "scheduled_at": self.now,
                **batch,
            }
        )
        batch_id = await self.store.stage(new, people, now=self.now)
        return (await self.store.seal(batch_id, request, now=self.now)).batch

    async def answer(
        self, batch: BatchRow, want: int = 50, *, tried_first: bool = False, lease: NodeLease | None = None
    ) -> ClaimAnswer:
        wish = ClaimWish(batch.id, want, (0,), tried_first=tried_first)
        return (await self.store.claim(lease or self.lease, [wish], now=self.now))[0]

    async def claim(self, batch: BatchRow, want: int = 50) -> list[Claimed]:
        return list((await self.answer(batch, want)).claimed)

    async def go(self, claimed: Claimed, *, lease: NodeLease | None = None, window_open: bool = True) -> GoVerdict:
        request = GoRequest(
            claimed.call_key, claimed.batch_id, claimed.generation, window_open, self.now + 17, 60, 600, 5
        )
        return await self.store.go(lease or self.lease, request, now=self.now)

    async def dial(self, batch: BatchRow, want: int = 50) -> list[Claimed]:
        """Claim and get GO for all of them."""
        claimed = await self.claim(batch, want)
        for one in claimed:
            assert await self.go(one) is GoVerdict.GO
        return claimed

    async def report(self, call_key: str, kind: EventKind, **more: Any) -> Taken:
        event_id = more.pop("event_id", f"e{next(self.ids)}")
        event = CallEvent(call_key, kind, self.now, event_id=event_id, **more)
        return (await self.store.take([event], now=self.now))[0]

    async def end(self, call_key: str, outcome: Outcome, **more: Any) -> Taken:
        return await self.report(call_key, EventKind.ENDED, ending=Ending(outcome), **more)

    async def dial_all(self, batch: BatchRow, outcome: Outcome | Sequence[Outcome]) -> None:
        """Everybody who is due, to this end; a sequence is used in turn."""
        outcomes = [outcome] if isinstance(outcome, Outcome) else list(outcome)
        while claimed := await self.claim(batch, 500):
            for one in claimed:
                await self.go(one)
            events = [
                CallEvent(c.call_key, EventKind.ENDED, self.now, ending=Ending(outcomes[c.ord % len(outcomes)]))
                for c in claimed
            ]
            await self.store.take(events, now=self.now)

    async def sweep(self) -> None:
        while await self.store.sweep(now=self.now):
            pass

    async def read(self, batch: BatchRow) -> BatchRow:
        return await self.store.batch(self.workspace_id, batch.public_id)

    async def people(self, batch: BatchRow) -> list[RecipientRow]:
        return list((await self.store.recipients(batch, limit=1_000_000)).rows)

    async def statuses(self, batch: BatchRow) -> Counter[RecipientStatus]:
        return Counter(person.status for person in await self.people(batch))

    async def retry(self, batch: BatchRow, *include: RecipientStatus, request: RequestKey | None = None) -> Any:
        return await self.store.retry(
            self.workspace_id, batch.public_id, outcomes_taken(include), request, now=self.now
        )

    async def cancel(self, batch: BatchRow, *, hang_up: bool = False) -> Any:
        return await self.store.cancel(self.workspace_id, batch.public_id, hang_up=hang_up, now=self.now)

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database past the store."""
        return ask(self.url, query)

    async def assert_recount(self, batch: BatchRow) -> None:
        """Counters, tallies, slots and the hopper are what the rows say."""
        now = await self.read(batch)
        people = await self.people(batch)
        statuses = Counter(person.status for person in people)
        assert now.counters.scheduled == len(people)
        assert now.counters.dispatched == len(people) - statuses[RecipientStatus.PENDING]
        assert now.counters.finished == sum(n for status, n in statuses.items() if status in FINAL)
        tally = dict(self.sql(f"select outcome, n from tally where batch_id = {batch.id} and n <> 0"))
        assert tally == Counter(str(p.outcome) for p in people if p.status in FINAL)
        slots = dict(self.sql("select key, live from bucket where live <> 0"))
        held = self.sql("select workspace_id, agent_id, number_id, trunk, batch_id from attempt where holds")
        keys = Counter(key for w, a, n, trunk, b in held for key in (f"w:{w}", f"a:{a}", f"n:{n}", trunk, f"b:{b}"))
        assert slots == keys
        assert found_by_doctor(self.store) == []


def found_by_doctor(store: SqlStore) -> list[audit.Damage]:
    """What a recount of the whole database finds."""
    reader = store.engine.reader()
    try:
        return [damage for part in audit.PARTS.values() for damage in audit.run(reader.snapshot, part)]
    finally:
        reader.close()


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query on a connection of its own."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            return connection.execute(query).fetchall()
    with psycopg.connect(url) as other:
        return other.execute(query).fetchall()
