"""
The page for people, at `/`: files from `web/`, as they are.

The rule: it asks no other host for anything and runs no script but its own; a header makes the
browser enforce it.
"""

import os
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).parents[1] / "web"
PREFIX = "/web"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; media-src 'self' blob:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # asked again each time, sent again when changed
}

router = APIRouter()


class _Files(StaticFiles):
    def get_path(self, scope: Scope) -> str:
        path: str = scope["path_params"]["path"]
        return os.path.normpath(os.path.join(*path.split("/")))

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(WEB / "index.html", headers=HEADERS)


@router.get("/docs", include_in_schema=False)
async def documentation(request: Request) -> HTMLResponse:
    """FastAPI's, which a browser finds below any prefix."""
    return get_swagger_ui_html(openapi_url="openapi.json", title=f"{request.app.title}: calls")


files = Route(PREFIX + "/{path:path}", _Files(directory=WEB), methods=["GET"], name="web")
