"""A real server, as `outdial serve` runs it: a process of its own, reached over HTTP alone."""

import http.client
import json
import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from outdial.domain.errors import OutdialError
from outdial.lab.bench.ground import SECRET
from outdial.lab.bench.place import Place

UP_WITHIN_SECS = 60.0
PREFIX = "/v1/convai"


class Refused(OutdialError):
    """The server answered otherwise than the bench needs."""


class Http:
    """One connection that is kept, as a client of the server has it."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._url, self._key = url, key
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        self._headers = {"xi-api-key": key, "Content-Type": "application/json"}

    def again(self) -> "Http":
        """A second connection to the same server."""
        return Http(self._url, self._key)

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """The answer's JSON; Refused unless it is 2xx. Bytes are a body that is JSON already."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        self._connection.request(method, PREFIX + path, data, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise Refused(f"{method} {path}: {answer.status} {text[:300].decode(errors='replace')}")
        return json.loads(text)

    def timed(self, path: str) -> float:
        """Seconds of one GET, from the question to its last byte."""
        began = time.perf_counter()
        self._connection.request("GET", PREFIX + path, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise Refused(f"GET {path}: {answer.status}")
        return time.perf_counter() - began


@contextmanager
def serving(place: Place, settings: Mapping[str, str]) -> Iterator[Http]:
    """A server on the place's database; ended afterwards."""
    key = secrets.token_urlsafe(24)
    ours = {
        "OUTDIAL_API_KEY": key,
        "OUTDIAL_SECRET_KEY": SECRET,
        "OUTDIAL_DATABASE": place.url,
        "OUTDIAL_LOG_LEVEL": "warning",
        "OUTDIAL_STOP_SECS": "1",
        **settings,
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OUTDIAL_")}
    command = [sys.executable, "-m", "outdial.cli.main", "serve", "--port", "0", "--json"]
    log = place.folder / "serve.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**inherited, **ours})  # noqa: S603 - ourselves
    try:
        ready = select.select([process.stdout], [], [], UP_WITHIN_SECS)[0] if process.stdout else []
        line = process.stdout.readline() if ready and process.stdout else b""
        if not line:
            raise Refused(f"the server did not start: {log.read_text(errors='replace')[-500:]}")
        yield Http(json.loads(line)["listening"], key)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
