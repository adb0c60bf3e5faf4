"""Agents as stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from outdial.domain.errors import InUse, NotFound
from outdial.ports.signal import Topic
from outdial.ports.store import AgentRow, AgentUse, AgentWish
from outdial.store.desk import Desk
from outdial.store.instants import maybe_seconds, micros, seconds
from outdial.store.op import Footprint, Reads, Row, Single, Tx


def agent_row(row: Row) -> AgentRow:
    """From a row of `agent`."""
    return AgentRow(
        id=row.id,
        workspace_id=row.workspace_id,
        public_id=row.public_id,
        name=row.name,
        conversation_config=msgspec.json.decode(row.conversation_config),
        platform_settings=msgspec.json.decode(row.platform_settings),
        workflow=None if row.workflow is None else msgspec.json.decode(row.workflow),
        tags=tuple(msgspec.json.decode(row.tags)),
        created_at=seconds(row.created_at),
        updated_at=seconds(row.updated_at),
        concurrency_limit=row.concurrency_limit,
        daily_limit=row.daily_limit,
    )


def bucket_of(agent_id: int) -> str:
    """The key of an agent's limits."""
    return f"a:{agent_id}"


@dataclass(frozen=True, slots=True)
class Writing:
    """An agent to be kept."""

    workspace_id: int
    agent: AgentRow
    now: float

    def columns(self) -> dict[str, Any]:
        """What its row is to hold."""
        agent = self.agent
        return {
            "workspace_id": self.workspace_id,
            "public_id": agent.public_id,
            "name": agent.name,
            "conversation_config": agent.conversation_config,
            "platform_settings": agent.platform_settings,
            "workflow": agent.workflow,
            "tags": agent.tags,
            "concurrency_limit": agent.concurrency_limit,
            "daily_limit": agent.daily_limit,
            "now": micros(self.now),
        }


class CreateAgent(Single[Writing, AgentRow]):
    """A new one, with its bucket."""

    name: ClassVar[str] = "create_agent"
    order: ClassVar[int] = 74

    def one(self, tx: Tx, request: Writing) -> AgentRow:
        row = tx.one("agent_create", **request.columns())
        tx.run("bucket_limit", key=bucket_of(row.id), cap=row.concurrency_limit, rate=None)
        return agent_row(row)


@dataclass(frozen=True, slots=True)
class Naming:
    """An agent that is to go."""

    workspace_id: int
    public_id: str
    now: float


class UpdateAgent(Single[Writing, AgentRow]):
    """Everything of it anew; calls from now on are of the new one."""

    name: ClassVar[str] = "update_agent"
    order: ClassVar[int] = 75

    def footprint(self, tx: Reads, requests: Sequence[Writing]) -> Footprint:
        return _footprint(tx, [(request.workspace_id, request.agent.public_id) for request in requests])

    def one(self, tx: Tx, request: Writing) -> AgentRow:
        row = tx.one("agent_update", **request.columns())
        if row is None:
            raise NotFound("agent", request.agent.public_id)
        tx.run("bucket_limit", key=bucket_of(row.id), cap=row.concurrency_limit, rate=None)
        tx.notify(Topic.WORK)
        return agent_row(row)


@dataclass(frozen=True, slots=True)
class Changing:
    """An agent that is to become another."""

    workspace_id: int
    public_id: str
    change: Callable[[AgentRow], AgentRow]
    now: float


class ChangeAgent(Single[Changing, AgentRow]):
    """Read it under the lock of its bucket, and write what it becomes: two changes at once are both kept."""

    name: ClassVar[str] = "change_agent"
    order: ClassVar[int] = 75

    def footprint(self, tx: Reads, requests: Sequence[Changing]) -> Footprint:
        return _footprint(tx, [(request.workspace_id, request.public_id) for request in requests])

    def one(self, tx: Tx, request: Changing) -> AgentRow:
        before = agent_row(_known(tx, request.workspace_id, request.public_id))
        return _UPDATE.one(tx, Writing(request.workspace_id, request.change(before), request.now))


class DeleteAgent(Single[Naming, None]):
    """Out of sight; conversations and batches that are over still name it."""

    name: ClassVar[str] = "delete_agent"
    order: ClassVar[int] = 76

    def footprint(self, tx: Reads, requests: Sequence[Naming]) -> Footprint:
        return _footprint(tx, [(request.workspace_id, request.public_id) for request in requests])

    def one(self, tx: Tx, request: Naming) -> None:
        row = _known(tx, request.workspace_id, request.public_id)
        if batch := tx.value("agent_used_by", id=row.id):
            raise InUse("agent", request.public_id, by=f"batch {batch!r}")
        tx.run("agent_delete", id=row.id, now=micros(request.now))


def _known(tx: Reads, workspace_id: int, public_id: str) -> Row:
    row = tx.one("agent_by_public_id", workspace_id=workspace_id, public_id=public_id)
    if row is None:
        raise NotFound("agent", public_id)
    return row


def _footprint(tx: Reads, named: Sequence[tuple[int, str]]) -> Footprint:
    rows = [tx.one("agent_by_public_id", workspace_id=w, public_id=p) for w, p in named]
    return Footprint(frozenset(bucket_of(row.id) for row in rows if row is not None))


_CREATE, _UPDATE, _CHANGE, _DELETE = CreateAgent(), UpdateAgent(), ChangeAgent(), DeleteAgent()


class Agents(Desk):
    """The store's methods for agents."""

    async def create_agent(self, workspace_id: int, agent: AgentRow, *, now: float) -> AgentRow:
        """See ports.store.Store."""
        return await self._ask(_CREATE, Writing(workspace_id, agent, now))

    async def update_agent(self, workspace_id: int, agent: AgentRow, *, now: float) -> AgentRow:
        """Replace the agent with this public id; NotFound."""
        return await self._ask(_UPDATE, Writing(workspace_id, agent, now))

    async def change_agent(
        self, workspace_id: int, public_id: str, change: Callable[[AgentRow], AgentRow], *, now: float
    ) -> AgentRow:
        """See ports.store.Store."""
        return await self._ask(_CHANGE, Changing(workspace_id, public_id, change, now))

    async def delete_agent(self, workspace_id: int, public_id: str, *, now: float) -> None:
        """Hide it; NotFound, InUse while an open batch needs it."""
        await self._ask(_DELETE, Naming(workspace_id, public_id, now))

    async def agent(self, workspace_id: int, public_id: str) -> AgentRow:
        """See ports.store.Store."""
        return await self._read(lambda tx: agent_row(_known(tx, workspace_id, public_id)))

    async def agents(self, workspace_id: int) -> list[AgentRow]:
        """All of the workspace, oldest first."""
        return await self._read(lambda tx: [agent_row(row) for row in tx.rows("agents", workspace_id=workspace_id)])

    async def agents_listed(
        self, workspace_id: int, wish: AgentWish, *, limit: int, skip: int, now: float
    ) -> list[AgentUse]:
        """See ports.store.Store."""

        def read(tx: Reads) -> list[AgentUse]:
            cards = [card for card in tx.rows("agent_cards", workspace_id=workspace_id) if _wished(card, wish)]
            calls: dict[int, int] = {}
            if wish.sort_by == "call_count_7d":
                since = micros(now - WEEK_SECS)
                rows = tx.rows("agents_calls_since", workspace_id=workspace_id, since=since)
                calls = {row.agent_id: row.n for row in rows}
            cards.sort(key=lambda card: _rank(card, wish, calls), reverse=not wish.ascending)
            return _used(tx, [card.id for card in cards[skip : skip + limit]])

        return await self._read(read)


WEEK_SECS = 7 * 86_400.0


def _wished(card: Row, wish: AgentWish) -> bool:
    if wish.search and wish.search.casefold() not in card.name.casefold():
        return False
    if wish.tags and not wish.tags <= set(msgspec.json.decode(card.tags)):
        return False
    if wish.archived is None:
        return True
    return bool(msgspec.json.decode(card.platform_settings).get("archived")) is wish.archived


def _rank(card: Row, wish: AgentWish, calls: dict[int, int]) -> tuple[Any, int]:
    match wish.sort_by:
        case "name":
            return card.name.casefold(), card.id
        case "call_count_7d":
            return calls.get(card.id, 0), card.id
        case _:
            return card.created_at, card.id


def _used(tx: Reads, ids: list[int]) -> list[AgentUse]:
    if not ids:
        return []
    rows = {row.id: agent_row(row) for row in tx.rows("agents_by_id", ids=ids)}
    last = {row.id: row.at for row in tx.rows("agents_last_calls", ids=ids)}
    return [AgentUse(rows[one], maybe_seconds(last.get(one))) for one in ids]
