"""How a dialect states an address: its handler, and what the interface's description says of it."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from outdial.api.schema import Error, ValidationError

Handler = Callable[..., Awaitable[Response]]

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "A value can't be used"},
    401: {"model": Error, "description": "The key is missing or wrong"},
    404: {"model": Error, "description": "Unknown in this workspace"},
    413: {"model": Error, "description": "The body is too large"},
    422: {"model": ValidationError, "description": "Not the published shape"},
    503: {"model": Error, "description": "Not now; see Retry-After"},
}


def add(  # noqa: PLR0913 - a table's columns
    router: APIRouter,
    method: str,
    path: str,
    handler: Handler,
    *,
    name: str,
    answer: type[BaseModel] | Any = None,  # noqa: ANN401 - also list[Model]
    body: type[BaseModel] | None = None,
    status: int = 200,
    media_type: str = "application/json",
) -> None:
    """One address. Bodies are read by the handler (bounded, and quick); the description names their model."""
    success: dict[str, Any] = {"description": "Done"}
    if answer is not None:
        success["model"] = answer
    elif status != 204:
        success["content"] = {media_type: {"schema": {"type": "string"}}}
    router.add_api_route(
        path,
        handler,
        methods=[method],
        operation_id=name,
        name=name,
        response_model=None,
        status_code=status,
        responses={status: success, **REFUSALS},
        openapi_extra=None if body is None else {"requestBody": _body(body)},
    )


def _body(model: type[BaseModel]) -> dict[str, Any]:
    """`description.py` adds the model itself."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    needed = any(field.is_required() for field in model.model_fields.values())
    return {"required": needed, "content": {"application/json": {"schema": schema}}}
