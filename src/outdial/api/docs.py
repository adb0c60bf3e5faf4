"""`/docs`: the interactive description of the interface, from our own files alone."""

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, HTMLResponse, Response

_FOLDER = Path(__file__).parent / "vendored" / "swagger-ui"
_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outdial: the interface</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
});
"""
_HEADERS = {
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    "x-content-type-options": "nosniff",
}
"""Whatever the page tried to fetch from elsewhere, a browser would refuse."""
_KEPT = {**_HEADERS, "cache-control": "public, max-age=86400"}


def install(app: FastAPI) -> None:
    """Add the page and its files; none of them needs a key."""
    app.add_api_route("/docs", _page, methods=["GET"], include_in_schema=False)
    app.add_api_route("/docs/start.js", _start, methods=["GET"], include_in_schema=False)
    for name, media_type in _FILES.items():
        app.add_api_route(f"/docs/{name}", _file(name, media_type), methods=["GET"], include_in_schema=False)


async def _page() -> Response:
    return HTMLResponse(_PAGE, headers=_HEADERS)


async def _start() -> Response:
    return Response(_START, media_type="text/javascript", headers=_HEADERS)


def _file(name: str, media_type: str):  # type: ignore[no-untyped-def] # noqa: ANN202 - FastAPI reads it
    async def serve() -> FileResponse:
        return FileResponse(_FOLDER / name, media_type=media_type, headers=_KEPT)

    return serve
