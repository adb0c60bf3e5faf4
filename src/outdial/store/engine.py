"""What the committer and the readers ask of a database engine, and how its errors are told apart."""

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from outdial.store.op import Reads, Tx
from outdial.store.queries import Queries

PATIENCE_SECS = 10.0


class Trouble(StrEnum):
    """What an exception from the database means for whoever asked."""

    CONFLICT = "conflict"
    """Somebody else was in the way (deadlock, lock or statement time-out): the same again may work."""
    LOST = "lost"
    """The connection is gone, or the server can't take one now: connect again, then the same again."""
    UNUSABLE = "unusable"
    """The database can't write now: disk full, an I/O error. Nothing was changed."""
    OURS = "ours"
    """The request or the code is wrong: the same again fails again."""


class WriteSession(Protocol):
    """One connection that writes, used by one thread."""

    def begin(self, *, lock_wait: float | None = None) -> Tx:
        """Open a transaction; `lock_wait` are the seconds it waits for each lock, if not the usual ones."""
        ...

    def seal(self, token: int) -> None:
        """The last writes before the commit: notifications, and the token where a COMMIT can be ambiguous."""
        ...

    def commit(self) -> None:
        """Commit. If this raises LOST, only `committed` can tell what became of it."""
        ...

    def rollback(self) -> None:
        """Undo; raises nothing."""
        ...

    def committed(self, token: int) -> bool:
        """Whether the last sealed transaction, with this token, is committed: asked on a new session of the same owner.

        Waits until the old session is over on the server's side.
        """
        ...

    def close(self) -> None:
        """Let go; raises nothing."""
        ...


class ReadSession(Protocol):
    """One connection that only reads, used by one thread at a time."""

    def snapshot(self) -> AbstractContextManager[Reads]:
        """Everything that is read inside is of one instant."""
        ...

    def alone(self) -> AbstractContextManager[Reads]:
        """Each statement by itself, in no transaction: for questions of one statement that are asked while idle."""
        ...

    def close(self) -> None:
        """Let go; raises nothing."""
        ...


class Engine(Protocol):
    """A database."""

    name: str
    queries: Queries
    shared: bool
    """Whether several processes serve on it."""
    patience_secs: float
    """How long those who write wait for it; those who read half as long."""

    def open(self, *, serving: bool) -> None:
        """Check that it can be used, migrate it, and take what a serving process holds alone; raises BadSetting."""
        ...

    def writer(self, owner: str) -> WriteSession:
        """A new connection for the writer thread of this name."""
        ...

    def reader(self) -> ReadSession:
        """A new connection for reading."""
        ...

    def trouble(self, error: BaseException) -> Trouble:
        """What the exception means."""
        ...

    def close(self) -> None:
        """Let go of everything; forgives being called twice."""
        ...
