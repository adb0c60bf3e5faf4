"""Phone numbers that we call from, as stored: their settings are sealed, their limits are buckets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from outdial.domain.errors import InUse, NotFound
from outdial.ports.signal import Topic
from outdial.ports.store import NumberRow
from outdial.store.desk import Desk
from outdial.store.instants import micros, seconds
from outdial.store.op import Footprint, Reads, Row, Single, Tx
from outdial.store.secrets import Vault

_TRUNK = "t:"


def number_row(row: Row, vault: Vault) -> NumberRow:
    """From a row of `number_by_id` or its kin."""
    return NumberRow(
        id=row.id,
        workspace_id=row.workspace_id,
        public_id=row.public_id,
        provider=row.provider,
        phone_number=row.phone_number,
        label=row.label,
        settings=vault.open(row.settings, of=row.public_id),
        trunk=row.trunk,
        max_concurrent_calls=row.max_concurrent_calls,
        max_calls_per_second=row.max_calls_per_second,
        agent_id=row.agent_id,
        created_at=seconds(row.created_at),
        updated_at=seconds(row.updated_at),
        halted_reason=row.halted_reason,
        agent_public_id=row.agent_public_id,
        agent_name=row.agent_name,
    )


def bucket_of(number_id: int) -> str:
    """The key of a number's limits."""
    return f"n:{number_id}"


def trunk_key(trunk: str) -> str:
    """The key of a trunk's health, whoever named the trunk."""
    return trunk if trunk.startswith(_TRUNK) else _TRUNK + trunk


@dataclass(frozen=True, slots=True)
class Writing:
    """A number to be kept, its settings sealed already."""

    workspace_id: int
    number: NumberRow
    settings: str
    vault: Vault
    now: float

    def columns(self) -> dict[str, Any]:
        """What its row is to hold."""
        number = self.number
        return {
            "workspace_id": self.workspace_id,
            "public_id": number.public_id,
            "provider": number.provider,
            "phone_number": number.phone_number,
            "label": number.label,
            "settings": self.settings,
            "trunk": trunk_key(number.trunk),
            "max_concurrent_calls": number.max_concurrent_calls,
            "max_calls_per_second": number.max_calls_per_second,
            "agent_id": number.agent_id,
            "now": micros(self.now),
        }

    def written(self, tx: Tx, number_id: int) -> NumberRow:
        """Its buckets are as its row says; the row, as it is now."""
        number = self.number
        tx.run("trunk_open", key=trunk_key(number.trunk))
        tx.run(
            "bucket_limit", key=bucket_of(number_id), cap=number.max_concurrent_calls, rate=number.max_calls_per_second
        )
        return number_row(tx.one("number_by_id", id=number_id), self.vault)


class CreateNumber(Single[Writing, NumberRow]):
    """A new one, with its buckets; an account that other numbers use too keeps its own."""

    name: ClassVar[str] = "create_number"
    order: ClassVar[int] = 77

    def one(self, tx: Tx, request: Writing) -> NumberRow:
        return request.written(tx, tx.value("number_create", **request.columns()))


class UpdateNumber(Single[Writing, NumberRow]):
    """Everything of it anew. Changed settings are tried by a few calls, by one where they lift a halt."""

    name: ClassVar[str] = "update_number"
    order: ClassVar[int] = 78

    def footprint(self, tx: Reads, requests: Sequence[Writing]) -> Footprint:
        before = _footprint(tx, [(request.workspace_id, request.number.public_id) for request in requests])
        return before | Footprint(frozenset(trunk_key(request.number.trunk) for request in requests))

    def one(self, tx: Tx, request: Writing) -> NumberRow:
        before = number_row(_known(tx, request.workspace_id, request.number.public_id), request.vault)
        tx.run("number_update", **request.columns())
        if before.settings != request.number.settings:
            key = trunk_key(request.number.trunk)
            tx.run("trunk_try_again", key=key, now=micros(request.now))
            tx.run("trunk_unproven", key=key)
            tx.run("tried_before", key=key)
        tx.notify(Topic.WORK)
        return request.written(tx, before.id)


@dataclass(frozen=True, slots=True)
class Changing:
    """A number that is to become another."""

    workspace_id: int
    public_id: str
    change: Callable[[NumberRow], NumberRow]
    vault: Vault
    now: float


class ChangeNumber(Single[Changing, NumberRow]):
    """Read it under the lock of its buckets, and write what it becomes: two changes at once are both kept."""

    name: ClassVar[str] = "change_number"
    order: ClassVar[int] = 78

    def footprint(self, tx: Reads, requests: Sequence[Changing]) -> Footprint:
        return _footprint(tx, [(request.workspace_id, request.public_id) for request in requests])

    def one(self, tx: Tx, request: Changing) -> NumberRow:
        before = number_row(_known(tx, request.workspace_id, request.public_id), request.vault)
        after = request.change(before)
        sealed = request.vault.seal(after.settings, of=after.public_id)
        return _UPDATE.one(tx, Writing(request.workspace_id, after, sealed, request.vault, request.now))


@dataclass(frozen=True, slots=True)
class Naming:
    """A number that is to go."""

    workspace_id: int
    public_id: str
    now: float


class DeleteNumber(Single[Naming, None]):
    """Out of sight; calls under way and batches that are over still need it."""

    name: ClassVar[str] = "delete_number"
    order: ClassVar[int] = 79

    def footprint(self, tx: Reads, requests: Sequence[Naming]) -> Footprint:
        return _footprint(tx, [(request.workspace_id, request.public_id) for request in requests])

    def one(self, tx: Tx, request: Naming) -> None:
        row = _known(tx, request.workspace_id, request.public_id)
        if batch := tx.value("number_used_by", id=row.id):
            raise InUse("phone number", request.public_id, by=f"batch {batch!r}")
        tx.run("number_delete", id=row.id, now=micros(request.now))


def _known(tx: Reads, workspace_id: int, public_id: str) -> Row:
    row = tx.one("number_by_public_id", workspace_id=workspace_id, public_id=public_id)
    if row is None:
        raise NotFound("phone number", public_id)
    return row


def _footprint(tx: Reads, named: Sequence[tuple[int, str]]) -> Footprint:
    rows = [tx.one("number_by_public_id", workspace_id=w, public_id=p) for w, p in named]
    return Footprint(frozenset(key for row in rows if row is not None for key in (bucket_of(row.id), row.trunk)))


_CREATE, _UPDATE, _CHANGE, _DELETE = CreateNumber(), UpdateNumber(), ChangeNumber(), DeleteNumber()


class Numbers(Desk):
    """The store's methods for phone numbers."""

    async def create_number(self, workspace_id: int, number: NumberRow, *, now: float) -> NumberRow:
        """See ports.store.Store."""
        return await self._ask(_CREATE, self._sealed(workspace_id, number, now))

    async def update_number(self, workspace_id: int, number: NumberRow, *, now: float) -> NumberRow:
        """Replace the number with this public id; NotFound."""
        return await self._ask(_UPDATE, self._sealed(workspace_id, number, now))

    async def change_number(
        self, workspace_id: int, public_id: str, change: Callable[[NumberRow], NumberRow], *, now: float
    ) -> NumberRow:
        """See ports.store.Store."""
        return await self._ask(_CHANGE, Changing(workspace_id, public_id, change, self.vault, now))

    async def delete_number(self, workspace_id: int, public_id: str, *, now: float) -> None:
        """Hide it; NotFound, InUse while an open batch needs it."""
        await self._ask(_DELETE, Naming(workspace_id, public_id, now))

    async def number(self, workspace_id: int, public_id: str) -> NumberRow:
        """See ports.store.Store."""
        return await self._read(lambda tx: number_row(_known(tx, workspace_id, public_id), self.vault))

    async def number_by_id(self, number_id: int) -> NumberRow:
        """See ports.store.Store."""

        def read(tx: Reads) -> NumberRow:
            row = tx.one("number_by_id", id=number_id)
            if row is None:
                raise NotFound("phone number", str(number_id))
            return number_row(row, self.vault)

        return await self._read(read)

    async def numbers(self, workspace_id: int) -> list[NumberRow]:
        """All of the workspace, oldest first."""
        return await self._read(
            lambda tx: [number_row(row, self.vault) for row in tx.rows("numbers", workspace_id=workspace_id)]
        )

    async def check_secret(self) -> None:
        """Raises BadSetting if OUTDIAL_SECRET_KEY is not the one that the newest number was sealed with."""

        def read(tx: Reads) -> None:
            if (row := tx.one("number_newest")) is not None:
                number_row(row, self.vault)

        await self._read(read)

    def _sealed(self, workspace_id: int, number: NumberRow, now: float) -> Writing:
        sealed = self.vault.seal(number.settings, of=number.public_id)
        return Writing(workspace_id, number, sealed, self.vault, now)
