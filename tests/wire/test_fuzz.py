"""Three thousand requests of every operation, half of them on each engine: no 5xx. `make faults` sends far more."""

from collections.abc import Iterator

import pytest

from outdial.api import convai, voiceai
from tests.support.fuzz import Fuzz
from tests.support.server import Server

ROUTERS = (convai.ROUTER, convai.WORKSPACE, voiceai.ROUTER)
ALL = [*sorted(f"{next(iter(route.methods))} {route.path}" for one in ROUTERS for route in one.routes), "GET /healthz"]
REQUESTS = -(-1_500 // len(ALL))
"""Of one operation on one engine."""


@pytest.fixture(scope="module")
def fuzz(server: Server) -> Iterator[Fuzz]:
    made = Fuzz.of(server)
    yield made
    assert "request failed" not in server.log


@pytest.mark.parametrize("name", ALL)
def test_no_request_breaks_the_server(fuzz: Fuzz, name: str) -> None:
    statuses = fuzz.run(name, requests=REQUESTS, derandomize=True)
    assert sum(statuses.values()) >= REQUESTS // 2


def test_every_operation_that_is_described_is_tried(fuzz: Fuzz) -> None:
    assert set(ALL) == set(fuzz.operations())
