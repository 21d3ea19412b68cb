"""GraphiQL, served from the package: no CDN, no Node.js, no request to another origin.

The files come from `console/graphiql`, built by `make graphiql` (docs/decisions/0004-graphiql-is-bundled.md).
"""

from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

_BUILT: Final = Path(__file__).parent / "static" / "graphiql"

# A machine's own MIME table may lack some of these or say otherwise.
_MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}

# Monaco positions its lines by style attributes, hence 'unsafe-inline' for styles alone. 'self' in
# connect-src covers the WebSocket of the same host and port as well (CSP Level 3).
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)

_PAGE_CACHE: Final = "no-cache"
_ASSET_CACHE: Final = "public, max-age=31536000, immutable"  # an asset's name holds its hash


def graphiql_routes() -> list[BaseRoute]:
    """Build the routes of the page and its assets.

    The page finds the API at `graphql` beside its own address, so it works under any root path.

    Returns:
        Routes for `/graphiql` (the page), `/graphiql/` (which leads there) and `/graphiql/assets/{name}`.
    """
    assets = {path.name: path for path in (_BUILT / "assets").iterdir()}

    async def page(_: Request) -> Response:
        return _file(_BUILT / "index.html", _PAGE_CACHE)

    async def without_slash(_: Request) -> Response:
        # Relative, because only the browser knows the root path it came through.
        return RedirectResponse("../graphiql", status_code=308)

    async def asset(request: Request) -> Response:
        path = assets.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404, "GraphiQL has no such file; reload the page")
        return _file(path, _ASSET_CACHE)

    return [
        Route("/graphiql", page),
        Route("/graphiql/", without_slash),
        Route("/graphiql/assets/{name}", asset),
    ]


def _file(path: Path, cache_control: str) -> FileResponse:
    return FileResponse(
        path,
        media_type=_MEDIA_TYPES[path.suffix],
        headers={
            "cache-control": cache_control,
            "content-security-policy": _POLICY,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
    )
