"""What an operation on the database is: a kind, its requests, and the transaction that it sees.

Operations are written once, against `Tx`; the SQL behind the names is written twice, in `sqlite/` and `postgres/`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from outdial.domain.errors import Refused

Row: TypeAlias = Any
"""A named tuple: columns by name, by position and by slice. It is where types end and the database begins."""

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Footprint:
    """The shared rows that operations will change: locked before anything else, in one order everywhere."""

    buckets: frozenset[str] = frozenset()
    """Keys of `bucket`."""
    batches: frozenset[int] = frozenset()
    """Ids of `batch`, each with its control row."""

    def __or__(self, other: "Footprint") -> "Footprint":
        return Footprint(self.buckets | other.buckets, self.batches | other.batches)

    @staticmethod
    def union(footprints: Collection["Footprint"]) -> "Footprint":
        """All of them as one."""
        buckets: frozenset[str] = frozenset().union(*(f.buckets for f in footprints))
        batches: frozenset[int] = frozenset().union(*(f.batches for f in footprints))
        return Footprint(buckets, batches)


NOWHERE = Footprint()


class Reads(Protocol):
    """Named queries that change nothing, all of one snapshot.

    Parameters: text, numbers, booleans, bytes and None go to the engine as they are, an enum as its value. Lists,
    tuples, sets and dicts go as one JSON text. One that the query does not name is left out.
    """

    def rows(self, name: str, /, **params: object) -> list[Row]:
        """Every row."""
        ...

    def one(self, name: str, /, **params: object) -> Row:
        """The first row, None without one."""
        ...

    def value(self, name: str, /, **params: object) -> Any:  # noqa: ANN401 - as Row
        """The first column of the first row, None without a row."""
        ...


class Later(Protocol):
    """The answer to a question that is sent together with others."""

    def rows(self) -> list[Row]:
        """Every row; waits for them if they are not here yet."""
        ...


class Tx(Reads, Protocol):
    """One transaction of the writer."""

    @property
    def locks(self) -> bool:
        """Whether others may write at the same time: what was read before `lock` must then be read again after it."""
        ...

    def run(self, name: str, /, **params: object) -> int:
        """Change rows; how many."""
        ...

    def put(self, name: str, /, **params: object) -> None:
        """Change rows, however many: sent together with what is asked next, so that many cost one round trip.

        What is wrong with it is raised by then at the latest, or by the commit.
        """
        ...

    def ask(self, name: str, /, **params: object) -> Later:
        """As `rows`, for questions of which none needs another's answer: asked together, they cost one round trip."""
        ...

    def bulk(self, name: str, rows: Sequence[Mapping[str, object]], /) -> int:
        """Write many rows in the quickest way; how many.

        The query is an INSERT with a parameter for each key on SQLite. On PostgreSQL it is `COPY table (keys…) FROM
        STDIN`, or any statement that takes them all as the JSON parameter `:rows`.
        """
        ...

    def lock(self, footprint: Footprint) -> None:
        """Lock buckets by key, control rows by batch, batch rows by id. Creates no rows; a missing one is left out."""
        ...

    def notify(self, topic: str) -> None:
        """Wake the listeners of all nodes when this transaction is committed."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A result that is raised to its caller alone; only for a request that wrote nothing."""

    exception: Exception


class Lane(StrEnum):
    """Whose turn it is."""

    HOT = "hot"
    """Claim, GO, reports: first, many in a transaction."""
    CONTROL = "control"
    """What people ask for: in the same transactions as the hot ones."""
    BULK = "bulk"
    """Long work in chunks: one at a time, in a transaction of its own, after each hot one."""


class Kind(ABC, Generic[Q, A]):
    """A kind of operation. Its requests of one group are carried out together."""

    name: ClassVar[str]
    lane: ClassVar[Lane] = Lane.HOT
    order: ClassVar[int] = 50
    """The kinds of one group run in this order."""

    def footprint(self, tx: Reads, requests: Sequence[Q]) -> Footprint:
        """What `run` will change of the shared rows."""
        return NOWHERE

    @abstractmethod
    def run(self, tx: Tx, requests: Sequence[Q]) -> Sequence[A | Failure]:
        """Carry the requests out, one result for each. An exception undoes the group; it is then rerun one by one."""


class Single(Kind[Q, A]):
    """A kind whose requests are carried out one after the other, in the order they came."""

    lane = Lane.CONTROL

    def run(self, tx: Tx, requests: Sequence[Q]) -> Sequence[A | Failure]:
        return [self._answer(tx, request) for request in requests]

    def _answer(self, tx: Tx, request: Q) -> A | Failure:
        try:
            return self.one(tx, request)
        except Refused as refusal:
            return Failure(refusal)

    @abstractmethod
    def one(self, tx: Tx, request: Q) -> A:
        """Carry one request out. Refuse (domain.errors.Refused) before anything is written, never after."""
