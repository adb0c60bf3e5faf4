"""The outermost layer: each request gets an id, and whatever happens inside, an answer that carries it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outdial.runtime.ids import new_call_key


class Edge:
    """ASGI: adds `x-request-id` to every answer; errors that were answered and logged inside end here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = "req_" + new_call_key().replace("-", "")
        scope.setdefault("state", {})["request_id"] = request_id
        header = (b"x-request-id", request_id.encode())
        begun = False

        async def tell(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        try:
            await self._app(scope, receive, tell)
        except Exception:
            if not begun:
                raise
