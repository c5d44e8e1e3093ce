"""
The page for people, at `/`: files from `web/`, as they are; and the documentation, at `/docs`.

The rule: a page asks no other host for anything and runs no script but its own; a header makes the
browser enforce it.
"""

import os
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.http.documentation import documentation

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
async def docs(request: Request) -> HTMLResponse:
    return HTMLResponse(documentation(request.app.openapi()), headers=HEADERS)


files = Route(PREFIX + "/{path:path}", _Files(directory=WEB), methods=["GET"], name="web")
