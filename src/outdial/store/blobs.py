"""Blobs in a folder, which nodes may share."""

import os
import re
from pathlib import Path
from typing import BinaryIO

_NAME = re.compile(r"[A-Za-z0-9_-]{2,100}(\.[a-z0-9]{1,8})?")
_PART = ".part"


class BlobFolder:
    """The port `Blobs`: a file each, in a subfolder by the end of its name, so that no folder grows without bound."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, name: str) -> BinaryIO:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            path.with_name(path.name + _PART), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        return os.fdopen(descriptor, "w+b")

    def keep(self, name: str) -> None:
        path = self._path(name)
        path.with_name(path.name + _PART).replace(path)

    def open(self, name: str) -> BinaryIO:
        return self._path(name).open("rb")

    def delete(self, name: str) -> None:
        path = self._path(name)
        path.unlink(missing_ok=True)
        path.with_name(path.name + _PART).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is no name of a blob")
        return self._folder / name.partition(".")[0][-2:] / name
