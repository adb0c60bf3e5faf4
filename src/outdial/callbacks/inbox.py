"""`POST /callbacks/{provider}/{call_key}/{token}`: what phone networks report of a call.

Answered 200 only after the report is committed: a network that hears anything else sends it again. The busiest address
of the server, so it is a plain route: no model, no dependency, one small JSON answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from outdial.calls.callback_keys import CallbackKeys
from outdial.domain.call import CallEvent
from outdial.domain.errors import Unavailable
from outdial.ports.meters import UNMETERED, Meters, Verdict
from outdial.ports.provider import CallbackRefused, CallbackRequest
from outdial.runtime.log import get_logger

MOST_BYTES = 256 * 1024
"""Of one report."""
WITHIN_SECS = 30.0
"""For one report to come."""

log = get_logger()

ReadCallback = Callable[[CallbackRequest], list[CallEvent]]
"""ProviderSpec.read_callback: verifies and parses."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """Where reports come in."""

    providers: Mapping[str, ReadCallback]
    keys: CallbackKeys
    take: Callable[[Sequence[CallEvent]], Awaitable[Sequence[object]]]
    """Commits reports (Intake.take): an answer for each call that is known."""
    public_url: str
    meters: Meters = UNMETERED

    def route(self) -> Route:
        """The address."""
        return Route("/callbacks/{provider}/{call_key}/{token}", self.receive, methods=["POST"])

    async def receive(self, request: Request) -> Response:
        """One report."""
        name: str = request.path_params["provider"]
        verdict, answer = await self._judge(request, name)
        self.meters.callback(name if name in self.providers else "", verdict)
        return answer

    async def _judge(self, request: Request, provider: str) -> tuple[Verdict, Response]:
        params = request.path_params
        call_key: str = params["call_key"]
        read = self.providers.get(provider)
        if read is None:
            return Verdict.UNKNOWN_PROVIDER, _answer(404, "unknown provider")
        if not self.keys.knows(call_key, params["token"]):
            return Verdict.WRONG_TOKEN, _answer(403, "wrong token")
        try:
            async with asyncio.timeout(WITHIN_SECS):
                body = await _body(request)
        except (ClientDisconnect, TimeoutError):
            return Verdict.CUT_OFF, _answer(400, "cut off", headers={"connection": "close"})
        if body is None:
            return Verdict.TOO_LARGE, _answer(413, "too large")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
        url = self.public_url + request.url.path
        try:
            events = read(CallbackRequest(call_key, headers, body, self.keys.secret(call_key), url))
        except CallbackRefused as refused:
            log.warning("callback refused", call=call_key, provider=provider, why=str(refused))
            return Verdict.REFUSED, _answer(403, "not from this network")
        return await self._keep(call_key, events)

    async def _keep(self, call_key: str, events: Sequence[CallEvent]) -> tuple[Verdict, Response]:
        if any(event.call_key != call_key for event in events):
            return Verdict.OTHER_CALL, _answer(403, "another call")
        try:
            known = await self.take(events)
        except Unavailable:
            return Verdict.STORE_AWAY, _answer(503, "come back", headers={"retry-after": "1"})
        if events and not known:
            return Verdict.UNKNOWN_CALL, _answer(404, "unknown call")
        return Verdict.KEPT, Response(b"{}", media_type="application/json")


def _answer(status: int, why: str, *, headers: dict[str, str] | None = None) -> Response:
    return Response(b'{"detail":"%s"}' % why.encode(), status, headers, media_type="application/json")


async def _body(request: Request) -> bytes | None:
    """The whole body, None where it is too large; ClientDisconnect."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)
