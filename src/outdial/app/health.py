"""`/readyz` and `/metrics`: what balancers and watchers ask of a node. Neither needs a key, neither tells of people."""

import asyncio
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from outdial.app.meters import CONTENT_TYPE, PrometheusMeters
from outdial.app.phones import Crew, Phones
from outdial.calls.tenure import Tenure
from outdial.domain.attempt import AttemptState
from outdial.domain.errors import OutdialError
from outdial.ports.store import Store
from outdial.runtime.log import get_logger

ANSWER_SECS = 2.0
"""How long the database may take; a balancer waits no longer."""

log = get_logger()


@dataclass(slots=True)
class Readiness:
    """Whether this node can do its work, and what is in the way."""

    store: Store
    tenure: Tenure | None = None
    """None where nobody is dialled."""
    phones: Phones | None = None
    stopping: bool = False
    """Set once the node was told to stop."""
    _ping: "asyncio.Task[None] | None" = None

    async def reasons(self) -> list[str]:
        """Why it is not ready, for people; nothing: it is."""
        found = ["the server stops"] if self.stopping else []
        if not await self._database_answers():
            found.append(f"the database does not answer within {ANSWER_SECS:g} s")
        if self.tenure is not None and not self._registered(self.tenure):
            found.append("the node is not registered: it may not dial")
        if self.phones is not None:
            found += [_words(name, crew) for name, crew in self.phones.crews().items() if crew.up < crew.wanted]
        return found

    @staticmethod
    def _registered(tenure: Tenure) -> bool:
        return tenure.lease is not None and tenure.holds(tenure.lease)

    async def _database_answers(self) -> bool:
        """One question at a time, however many ask us: a dead database must not take all the readers' threads."""
        if self._ping is None or self._ping.done():
            self._ping = asyncio.create_task(self.store.ping(), name="readiness")
            self._ping.add_done_callback(_heard)
        done, _ = await asyncio.wait({self._ping}, timeout=ANSWER_SECS)
        return bool(done) and not self._ping.cancelled() and self._ping.exception() is None


def _heard(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("database did not answer", error=str(error))


def _words(provider: str, crew: Crew) -> str:
    return f"{crew.up} of {crew.wanted} call workers of {provider} are up"


def readiness_route(readiness: Readiness) -> Route:
    """`GET /readyz`."""

    async def readyz(_request: Request) -> Response:
        reasons = await readiness.reasons()
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return Response(msgspec.json.encode(body), 503 if reasons else 200, media_type="application/json")

    return Route("/readyz", readyz, methods=["GET"])


def metrics_route(meters: PrometheusMeters, store: Store, tenure: Tenure | None) -> Route:
    """`GET /metrics`: one read of the store for what is in progress, the rest is in memory."""

    async def metrics(_request: Request) -> Response:
        meters.set_in_progress(await under_way(store, tenure))
        return Response(meters.text(), headers={"content-type": CONTENT_TYPE})

    return Route("/metrics", metrics, methods=["GET"])


async def under_way(store: Store, tenure: Tenure | None) -> dict[tuple[str, AttemptState], int] | None:
    """Calls of this node that were sent and are not over; None where nobody can say now."""
    lease = tenure.lease if tenure is not None else None
    if lease is None:
        return None
    try:
        async with asyncio.timeout(ANSWER_SECS):
            return await store.under_way(lease)
    except (OutdialError, TimeoutError):
        return None
