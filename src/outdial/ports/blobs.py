"""Recordings and other big things that are kept outside of the database."""

from typing import BinaryIO, Protocol


class Blobs(Protocol):
    """Named bytes. Its methods may wait for a disk: call them from a thread."""

    def create(self, name: str) -> BinaryIO:
        """A new one, to be written and closed, and seekable; it has its name only once it is kept."""
        ...

    def keep(self, name: str) -> None:
        """What was written under this name and closed is complete."""
        ...

    def open(self, name: str) -> BinaryIO:
        """To be read; raises FileNotFoundError."""
        ...

    def delete(self, name: str) -> None:
        """Gone afterwards, whether it was there or not."""
        ...
