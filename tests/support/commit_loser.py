"""A proxy between a program and PostgreSQL that loses a COMMIT, or its answer, when told to."""

import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

Loss = Literal["question", "answer"]

# PostgreSQL's protocol: whether a statement comes alone or behind others in one packet, its text ends with NUL
_COMMIT = b"commit\x00"
_WRITER = b" committer "
"""Only sessions that write say so; a reader's COMMIT is none."""


class CommitLoser:
    """Listens on a socket of its own; everything passes but the COMMIT that it was told to lose."""

    def __init__(self, url: str, *, server_lingers: float = 0.3) -> None:
        """`server_lingers`: seconds for which the server does not notice that its client is gone."""
        self._server = _socket_of(url)
        self._folder = Path(tempfile.mkdtemp(prefix="outdial-px-"))
        self._lingers = server_lingers
        self._loss: Loss | None = None
        self._passing = 0
        self._for_good = False
        self.lost = threading.Event()
        self.url = urlunsplit(urlsplit(url)._replace(query=f"host={quote(str(self._folder), safe='')}"))
        self._listen()

    def lose_next(self, loss: Loss, *, passing: int = 0, for_good: bool = False) -> None:
        """Lose the next COMMIT itself (`question`: it never reaches the server) or what the server says to it.

        `passing`: so many COMMITs are let through before. `for_good`: nobody can connect after that, until `reopen`.
        """
        self.lost.clear()
        self._passing = passing
        self._loss = loss
        self._for_good = for_good

    def reopen(self) -> None:
        """Whoever comes is let through again."""
        self._folder.mkdir(exist_ok=True)
        self._listen()

    def close(self) -> None:
        """Nobody can connect any more."""
        shutil.rmtree(self._folder, ignore_errors=True)
        _hang_up(self._listener)

    def _listen(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / ".s.PGSQL.5432"))
        self._listener.listen(20)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                answers_lost = threading.Event()
                for way in (self._ask, self._answer):
                    threading.Thread(target=way, args=(client, server, answers_lost), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, answers_lost: threading.Event) -> None:
        writes = False
        with suppress(OSError):
            while data := client.recv(65536):
                writes = writes or _WRITER in data
                loss = self._loss if writes and _COMMIT in data else None
                if loss is not None and self._passing:
                    self._passing -= 1
                    loss = None
                if loss is None:
                    server.sendall(data)
                    continue
                self._loss = None
                answers_lost.set()
                if loss == "answer":
                    server.sendall(data)
                self._lose(client, server)
                return
        _hang_up(server)

    def _lose(self, client: socket.socket, server: socket.socket) -> None:
        self.lost.set()
        if self._for_good:
            self.close()
        _hang_up(client)
        threading.Timer(self._lingers, _hang_up, [server]).start()

    @staticmethod
    def _answer(client: socket.socket, server: socket.socket, answers_lost: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if not answers_lost.is_set():
                    client.sendall(data)
        _hang_up(client)


def reachable(url: str) -> bool:
    """Whether the server of this URL listens on a local socket, which the proxy needs."""
    return Path(_socket_of(url)).exists()


def _socket_of(url: str) -> str:
    return f"{parse_qs(urlsplit(url).query).get('host', ['/nowhere'])[0]}/.s.PGSQL.5432"


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        end.close()
