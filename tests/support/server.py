"""A whole server for tests: `outdial serve` as a process of its own, on a free port, with its own phone network."""

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from outdial.store.blobs import BlobFolder
from tests.support.postgres import Databases

PATIENCE_SECS = 30.0
SECRET = "a secret of thirty-two characters"


@dataclass
class Server:
    """One running server."""

    folder: Path
    database: str
    settings: dict[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    port: int = 0
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        ours = {
            "OUTDIAL_DATABASE": self.database,
            "OUTDIAL_API_KEY": self.key,
            "OUTDIAL_SECRET_KEY": SECRET,
            "OUTDIAL_CARRIER_RING_SECS": "0.05",
            "OUTDIAL_CARRIER_TALK_SECS": "0.05",
            "OUTDIAL_CARRIER_LOG": str(self.carrier_log),
            "OUTDIAL_RECORDINGS": str(self.folder / "recordings"),
            "OUTDIAL_STOP_SECS": "1",
            **self.settings,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
        command = [sys.executable, "-m", "outdial.cli.main", "serve", "--port", str(self.port), "--json"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env={**inherited, **ours})
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], PATIENCE_SECS)[0], self.log
        line = self.process.stdout.readline()
        assert line, self.log
        self.url = json.loads(line)["listening"]
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(PATIENCE_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    @property
    def carrier_log(self) -> Path:
        return self.folder / "carrier.log"

    def record(self, conversation_id: str, recording: bytes) -> None:
        """Put a recording of this call where the call worker would."""
        blobs, name = BlobFolder(self.folder / "recordings"), conversation_id.removeprefix("conv_") + ".mp3"
        with blobs.create(name) as file:
            file.write(recording)
        blobs.keep(name)

    def rang(self, number: str) -> int:
        """How often this number was dialled: the network's log is the judge."""
        lines = self.carrier_log.read_text().splitlines() if self.carrier_log.exists() else []
        return sum(e["event"] == "dialled" and e["number"] == number for e in map(json.loads, lines))

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=headers or {"xi-api-key": self.key}, timeout=30)

    def environment(self) -> dict[str, str]:
        """For commands."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
        return {**inherited, "OUTDIAL_URL": self.url, "OUTDIAL_API_KEY": self.key, "OUTDIAL_DATABASE": self.database}


@dataclass
class Desk:
    """A client of a server, with an agent and a number of its own."""

    server: Server
    http: httpx.Client
    agent_id: str
    number_id: str
    prefix: str = "/v1/convai"

    def order(self, numbers: list[str], **changes: Any) -> dict[str, Any]:
        return {
            "call_name": "a test",
            "agent_id": self.agent_id,
            "agent_phone_number_id": self.number_id,
            "recipients": [{"phone_number": number} for number in numbers],
            **changes,
        }

    def path(self, batch_id: str, rest: str = "") -> str:
        return f"{self.prefix}/batch-calling/{batch_id}{rest}"

    def submit(self, numbers: list[str], **changes: Any) -> dict[str, Any]:
        return answered(self.http.post(f"{self.prefix}/batch-calling/submit", json=self.order(numbers, **changes)))

    def get(self, batch_id: str) -> dict[str, Any]:
        return answered(self.http.get(self.path(batch_id)))

    def until_over(self, batch_id: str) -> dict[str, Any]:
        return until(lambda: self.get(batch_id), lambda batch: batch["status"] in {"completed", "failed", "cancelled"})


def answered(response: httpx.Response) -> Any:
    """The answer of a request that went well."""
    assert response.status_code == 200, (response.status_code, response.text)
    return response.json()


def until(look: Callable[[], Any], fact: Callable[[Any], bool]) -> Any:
    """Look until it is so, and return what was seen."""
    deadline = time.monotonic() + PATIENCE_SECS
    while not fact(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.03)
    return seen


def open_desk(server: Server, prefix: str = "/v1/convai") -> Desk:
    http = server.client()
    agent = answered(http.post("/v1/convai/agents/create", json={"name": "Ada", "conversation_config": {}}))
    number = {"provider": "loopback", "phone_number": "+49305550100", "label": "tests"}
    made = answered(http.post("/v1/convai/phone-numbers", json=number))
    return Desk(server, http, agent["agent_id"], made["phone_number_id"], prefix)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server for the module's tests, once for each engine."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "sqlite":
        yield from _running(Server(folder, f"sqlite:///{folder}/outdial.db"))
        return
    databases: Databases = request.getfixturevalue("postgres_databases")
    url = databases.create()
    try:
        yield from _running(Server(folder, url))
    finally:
        databases.drop(url)


def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["/v1/convai", "/v1/voiceai"])
def desk(request: pytest.FixtureRequest, server: Server) -> Iterator[Desk]:
    """A client with an agent and a number of its own, once for each dialect."""
    opened = open_desk(server, request.param)
    yield opened
    opened.http.close()
