"""What a run stands on: an open store with a workspace, an agent and a number, every limit of which is set."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from outdial.lab.bench.place import Place
from outdial.lab.bench.plain import Plain
from outdial.ports.store import AgentRow, BatchRow, ClaimLimits, NewBatch, NewRecipient, NumberRow
from outdial.runtime.ids import new_public_id
from outdial.store.store import SqlStore, open_store

SECRET = "the bench keeps nothing, so its key may be known"  # noqa: S105
HIGH = 100_000
"""Limits that are checked and don't bind."""
TRUNK = "t:bench"


@dataclass(slots=True)
class Ground:
    """A store and who owns the calls."""

    place: Place
    store: SqlStore
    workspace_id: int
    agent: AgentRow
    number: NumberRow
    people: int = 0
    """Given a phone number so far; each has one of his own."""

    async def submit(self, people: int, *, later: float = 0.0) -> BatchRow:
        """A new list, through the store; it begins in so many seconds."""
        first, self.people = self.people, self.people + people
        recipients = [
            NewRecipient(f"r{i}", f"+1555{i:08d}", '{"dynamic_variables":{"name":"Ada"}}')
            for i in range(first, first + people)
        ]
        new = NewBatch(
            self.workspace_id,
            new_public_id("btcal_"),
            "bench",
            self.agent.id,
            self.number.id,
            time.time() + later,
            target_concurrency_limit=HIGH,
        )
        batch_id = await self.store.stage(new, recipients, now=time.time())
        return (await self.store.seal(batch_id, None, now=time.time())).batch

    async def read(self, batch: BatchRow) -> BatchRow:
        """As it is now."""
        return await self.store.batch(self.workspace_id, batch.public_id)

    def plain(self) -> Plain:
        """A plain connection to the same database."""
        return Plain(self.place)


@asynccontextmanager
async def open_ground(place: Place) -> AsyncIterator[Ground]:
    """Open the store and set all five limits: workspace, agent, number, trunk and batch."""
    store = open_store(place.url, secret=SECRET, limits=ClaimLimits(HIGH))
    await store.start()
    try:
        now = time.time()
        workspace_id, _ = await store.create_workspace("default", now=now)
        agent = await store.create_agent(workspace_id, _agent(now), now=now)
        number = await store.create_number(workspace_id, _number(now), now=now)
        with Plain(place) as plain:
            plain.run("plain_cap", cap=HIGH, key=TRUNK)
            plain.commit()
        yield Ground(place, store, workspace_id, agent, number)
    finally:
        await store.stop()


def _agent(now: float) -> AgentRow:
    config = {
        "agent": {"first_message": "Hello {{name}}, this is a call.", "prompt": {"prompt": "Be brief, {{name}}."}}
    }
    return AgentRow(0, 0, new_public_id("agent_"), "bench", config, {}, None, (), now, now, HIGH)


def _number(now: float) -> NumberRow:
    return NumberRow(
        0, 0, new_public_id("phnum_"), "loopback", "+15550001000", "bench", {}, TRUNK, HIGH, float(HIGH), None, now, now
    )
