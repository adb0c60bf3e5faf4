"""Conversations: every call that was sent, listed in the order of their starts, and erased one by one.

A list is merged of two: calls that are over have a row in `conversation`, whose indexes find them; calls under way hold
a slot each, so they are few.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from outdial.domain.attempt import AttemptState
from outdial.domain.call import Utterance
from outdial.domain.errors import NotFound, StillGoing
from outdial.ports.store import ConversationPage, ConversationPlace, ConversationRow, ConversationScope
from outdial.runtime.ids import conversation_id
from outdial.store.desk import Desk
from outdial.store.dialling import UNDER_WAY
from outdial.store.instants import maybe_seconds, micros, seconds
from outdial.store.op import Footprint, Reads, Row, Single, Tx
from outdial.store.settling import ending_of

CHUNK = 250
"""Conversations looked at in one go while those that fit are looked for."""
MOST_LOOKED_AT = 2_000
"""In one request: 0.1 to 0.2 s."""
EVER = 2**62
"""Micros; later than anything starts."""

Fits = Callable[[ConversationRow], bool]
_Words = dict[str, tuple[str, str]]
"""(client data, what was said) by call_key, as JSON text."""


def conversation_row(row: Row, *, client_data: str | None = None, said: str | None = None) -> ConversationRow:
    """From a row of `call_view`."""
    return ConversationRow(
        call_key=row.call_key,
        workspace_id=row.workspace_id,
        state=AttemptState(row.state),
        agent_public_id=row.agent_public_id,
        agent_name=row.agent_name,
        number_public_id=row.number_public_id,
        provider=row.provider,
        caller=row.caller,
        number=row.number,
        batch_public_id=row.batch_public_id,
        recipient_id=row.recipient_id,
        round=row.round,
        started_at=seconds(row.go_at or row.claimed_at),
        ringing_at=maybe_seconds(row.ringing_at),
        answered_at=maybe_seconds(row.answered_at),
        ended_at=maybe_seconds(row.ended_at),
        ending=ending_of(row.ending),
        provider_call_id=row.provider_call_id,
        client_data=msgspec.json.decode(client_data or "{}"),
        said=tuple(msgspec.json.decode(said or "[]", type=list[Utterance])),
        branch_id=row.branch_id,
        environment=row.environment,
        timezone=row.timezone,
    )


@dataclass(slots=True)
class _Listing:
    """One page, while it is put together."""

    tx: Reads
    workspace_id: int
    scope: ConversationScope
    agent_id: int | None
    batch_id: int | None

    def page(self, limit: int, after: tuple[int, str] | None, fits: Fits | None) -> ConversationPage:
        found: list[ConversationRow] = []
        looked_at = 0
        under_way = self._under_way(after)
        while True:
            chunk = limit + 1 if fits is None else CHUNK
            over = self._over(chunk, after)
            last = not over or len(over) < chunk
            # what is under way stands between those that are over; beyond the chunk's end it waits for the next one
            here = [place for place in under_way if last or not self._behind(place, over[-1])]
            under_way = under_way[len(here) :]
            merged = sorted({*over, *here}, key=self._order)
            for place, row in zip(merged, self._rows(merged), strict=True):
                if row is not None and self._in_scope(row) and (fits is None or fits(row)):
                    found.append(row)
                    if len(found) > limit:
                        return ConversationPage(tuple(found[:limit]), _place(found[limit - 1]))
                after = place
            looked_at += len(merged)
            if last:
                return ConversationPage(tuple(found), None)
            if looked_at >= MOST_LOOKED_AT and after is not None:
                return ConversationPage(tuple(found), (seconds(after[0]), after[1]))

    def _order(self, place: tuple[int, str]) -> tuple[int, tuple[int, ...]]:
        sign = -1 if self.scope.newest_first else 1
        return sign * place[0], tuple(sign * ord(letter) for letter in place[1])

    def _behind(self, one: tuple[int, str], other: tuple[int, str]) -> bool:
        return self._order(one) > self._order(other)

    def _over(self, limit: int, after: tuple[int, str] | None) -> list[tuple[int, str]]:
        """Places of calls that are over, from the index that is narrowest."""
        place = "batch" if self.batch_id is not None else "agent" if self.agent_id is not None else "workspace"
        rows = self.tx.rows(
            f"conversations_of_{place}_{'down' if self.scope.newest_first else 'up'}",
            workspace_id=self.workspace_id,
            agent_id=self.agent_id,
            batch_id=self.batch_id,
            from_at=self._from if self.scope.newest_first or after is None else max(self._from, after[0]),
            until_at=min(self._until, after[0] + 1) if self.scope.newest_first and after is not None else self._until,
            after_at=None if after is None else after[0],
            after_key=None if after is None else after[1],
            limit=limit,
        )
        return [(row.started_at, row.call_key) for row in rows]

    def _under_way(self, after: tuple[int, str] | None) -> list[tuple[int, str]]:
        rows = self.tx.rows(
            "conversations_under_way", workspace_id=self.workspace_id, agent_id=self.agent_id, batch_id=self.batch_id
        )
        places = ((row.go_at, row.call_key) for row in rows if self._from <= row.go_at < self._until)
        return sorted((p for p in places if after is None or self._behind(p, after)), key=self._order)

    @property
    def _from(self) -> int:
        return 0 if self.scope.from_at is None else micros(self.scope.from_at)

    @property
    def _until(self) -> int:
        return EVER if self.scope.until_at is None else micros(self.scope.until_at)

    def _rows(self, places: Sequence[tuple[int, str]]) -> list[ConversationRow | None]:
        keys = [key for _, key in places]
        calls = {row.call_key: row for row in self.tx.rows("calls_by_key", keys=keys)} if keys else {}
        words = words_of(self.tx, keys)
        return [
            conversation_row(calls[key], client_data=words[key][0], said=words[key][1]) if key in calls else None
            for key in keys
        ]

    def _in_scope(self, row: ConversationRow) -> bool:
        """The narrowest index was read; what else is asked for is seen here."""
        if row.workspace_id != self.workspace_id:
            return False
        return self.scope.agent_id is None or row.agent_public_id == self.scope.agent_id


def _place(row: ConversationRow) -> ConversationPlace:
    return row.started_at, row.call_key


def words_of(tx: Reads, call_keys: Iterable[str]) -> _Words:
    """What was said in these calls, and what was known: of those under way from their recipients."""
    keys = list(call_keys)
    words: _Words = dict.fromkeys(keys, ("{}", "[]"))
    if keys:
        words |= {row.call_key: (row.client_data, row.said) for row in tx.rows("words_by_key", keys=keys)}
        if bare := [key for key in keys if words[key] == ("{}", "[]")]:
            words |= {row.call_key: (row.client_data, "[]") for row in tx.rows("client_data_under_way", keys=bare)}
    return words


@dataclass(frozen=True, slots=True)
class Naming:
    """A conversation that is to go."""

    workspace_id: int
    call_key: str
    now: float


class DeleteConversation(Single[Naming, None]):
    """What was said and known goes; that somebody was called stays, the batch counts it."""

    name: ClassVar[str] = "delete_conversation"
    order: ClassVar[int] = 80

    def footprint(self, tx: Reads, requests: Sequence[Naming]) -> Footprint:
        """A late report of the same call waits, and then finds it deleted."""
        keys = sorted({request.call_key for request in requests})
        rows = tx.rows("attempt_footprints", keys=keys)
        return Footprint(batches=frozenset(row.batch_id for row in rows))

    def one(self, tx: Tx, request: Naming) -> None:
        public_id = conversation_id(request.call_key)
        row = tx.one("conversation_by_key", workspace_id=request.workspace_id, call_key=request.call_key)
        if row is None:
            raise NotFound("conversation", public_id)
        if row.state in UNDER_WAY:
            raise StillGoing(public_id)
        tx.run("conversation_delete", call_key=request.call_key, now=micros(request.now))


_DELETE = DeleteConversation()


class Conversations(Desk):
    """The store's methods for conversations."""

    async def conversations(
        self,
        workspace_id: int,
        scope: ConversationScope,
        *,
        limit: int,
        after: ConversationPlace | None = None,
        fits: Fits | None = None,
    ) -> ConversationPage:
        """See ports.store.Store."""
        begin = None if after is None else (micros(after[0]), after[1])

        def read(tx: Reads) -> ConversationPage:
            agent_id = known_id(tx, "agent", workspace_id, scope.agent_id, param="agent_id")
            batch_id = known_id(tx, "batch", workspace_id, scope.batch_id, param="batch_call_id")
            return _Listing(tx, workspace_id, scope, agent_id, batch_id).page(limit, begin, fits)

        return await self._read(read)

    async def delete_conversation(self, workspace_id: int, call_key: str, *, now: float) -> None:
        """See ports.store.Store."""
        await self._ask(_DELETE, Naming(workspace_id, call_key, now))

    async def calls(self, call_keys: Sequence[str]) -> dict[str, ConversationRow]:
        """See ports.store.Store."""
        if not call_keys:
            return {}
        return await self._read(
            lambda tx: {row.call_key: conversation_row(row) for row in tx.rows("calls_by_key", keys=call_keys)}
        )

    async def call_of_single(self, batch_id: int) -> ConversationRow | None:
        """See ports.store.Store."""

        def read(tx: Reads) -> ConversationRow | None:
            row = tx.one("call_of_batch", batch_id=batch_id)
            return None if row is None else conversation_row(row)

        return await self._read(read)


def known_id(tx: Reads, thing: str, workspace_id: int, public_id: str | None, *, param: str) -> int | None:
    """The id of what a list is filtered by; NotFound where the workspace never had it."""
    if public_id is None:
        return None
    found = tx.value(f"{thing}_known", workspace_id=workspace_id, public_id=public_id)
    if found is None:
        raise NotFound(thing, public_id, param=param)
    return int(found)
