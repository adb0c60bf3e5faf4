"""The HTTP application: both dialects, the description of the interface, and the errors' one shape."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.responses import Response
from starlette.routing import BaseRoute

from outdial import __version__
from outdial.api import (
    agent_schema,
    call_schema,
    convai,
    docs,
    number_schema,
    refusals,
    schema,
    suppression_schema,
    voiceai,
    webhook_schema,
)
from outdial.api.answers import json_answer
from outdial.api.context import Context

REQUESTS = (
    schema.SubmitBatch,
    schema.RetryBatch,
    agent_schema.CreateAgent,
    agent_schema.UpdateAgent,
    agent_schema.DuplicateAgent,
    number_schema.CreatePhoneNumber,
    number_schema.UpdatePhoneNumber,
    call_schema.PlaceCall,
    call_schema.PlaceTwilioCall,
    call_schema.PlaceVoiceCall,
    call_schema.PlaceWhatsAppCall,
    webhook_schema.CreateWebhook,
    webhook_schema.UpdateWebhook,
    webhook_schema.UpdateSettings,
    suppression_schema.AddDoNotCall,
    suppression_schema.SomeNumbers,
)
"""Bodies that handlers read by themselves; FastAPI does not see them."""


def application(context: Context, *, before: Sequence[BaseRoute] = (), dialects: bool = True) -> FastAPI:
    """The application; `before` are routes that don't speak a dialect, such as the providers' callbacks.

    Without dialects it serves only those, and its health.
    """
    app = FastAPI(
        title="Outdial",
        version=__version__,
        description="Batch calling for voice agents, self-hosted.",
        docs_url=None,  # the usual page comes from a CDN
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    app.router.routes[:0] = before  # first: they are the busiest
    if dialects:
        app.include_router(convai.ROUTER)
        app.include_router(convai.WORKSPACE)
        app.include_router(voiceai.ROUTER)
    app.add_api_route("/healthz", _healthz, methods=["GET"], response_model=schema.Health, operation_id="healthz")
    docs.install(app)
    refusals.install(app)
    app.openapi = lambda: _description(app)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return app


async def _healthz() -> Response:
    """Whether the server answers."""
    return json_answer({"status": "ok", "version": __version__})


def _description(app: FastAPI) -> dict[str, Any]:
    """OpenAPI of what is there."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, bodies = models_json_schema(
            [(model, "validation") for model in REQUESTS], ref_template="#/components/schemas/{model}"
        )
        described["components"]["schemas"] = {**bodies["$defs"], **described["components"]["schemas"]}
        app.openapi_schema = described
    return app.openapi_schema
