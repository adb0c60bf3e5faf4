"""Disks that are full: by a limit on the size of a process's files, or a small file system of its own."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def no_room(pid: int) -> Iterator[None]:
    """No file of this process can grow, or change behind its first page; needs no right."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


class SmallDisk:
    """A file system in memory."""

    def __init__(self, folder: Path, *, mebibytes: int) -> None:
        """Mount it there; PermissionError where that may not be done."""
        self.folder = folder
        folder.mkdir()
        size = f"size={mebibytes}m,mode=755"
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True, capture_output=True, text=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            folder.rmdir()
            raise PermissionError(getattr(error, "stderr", "").strip() or str(error)) from error

    @contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is free."""
        filler = self.folder / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, psutil.disk_usage(str(self.folder)).free)
        try:
            yield
        finally:
            filler.unlink()

    def remove(self) -> None:
        """Gone with all that is in it, also if somebody still looks at it."""
        subprocess.run(["umount", "--lazy", self.folder], check=True)
        self.folder.rmdir()
