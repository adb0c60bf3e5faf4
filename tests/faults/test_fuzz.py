"""A hundred thousand requests of every operation, new ones each time: no 5xx."""

from collections.abc import Iterator

import pytest

from tests.support.fuzz import Fuzz
from tests.support.server import Server, server
from tests.wire.test_fuzz import ALL

__all__ = ["server"]
REQUESTS = -(-50_000 // len(ALL))
"""Of one operation on one engine."""


@pytest.fixture(scope="module")
def fuzz(server: Server) -> Iterator[Fuzz]:
    made = Fuzz.of(server)
    yield made
    assert "request failed" not in server.log


@pytest.mark.long
@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ALL)
def test_no_request_of_many_breaks_the_server(fuzz: Fuzz, name: str) -> None:
    fuzz.run(name, requests=REQUESTS, derandomize=False)
