"""How the page and its files are served."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from graph.graphiql import graphiql_routes

ASSETS = sorted(
    path.name for path in (Path(__file__).parents[2] / "graph" / "static" / "graphiql" / "assets").iterdir()
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    routes = graphiql_routes()
    app = Starlette(routes=[Mount("/under/a/proxy", routes=routes), *routes])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("root", ["", "/under/a/proxy"])
async def test_everything_the_page_links_is_served_under_its_root_path(client: httpx.AsyncClient, root: str) -> None:
    page = await client.get(f"{root}/graphiql")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {link.rpartition(".")[2] for link in links} == {"css", "js", "svg"}
    for link in links:
        assert (await client.get(page.url.join(link))).status_code == 200


@pytest.mark.parametrize("root", ["", "/under/a/proxy"])
async def test_the_address_with_a_slash_leads_to_the_page(client: httpx.AsyncClient, root: str) -> None:
    page = await client.get(f"{root}/graphiql/", follow_redirects=True)
    assert page.url.path == f"{root}/graphiql"
    assert page.status_code == 200


@pytest.mark.parametrize(
    ("suffix", "media_type"),
    [
        ("css", "text/css; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
        ("svg", "image/svg+xml"),
        ("ttf", "font/ttf"),
        ("woff", "font/woff"),
        ("woff2", "font/woff2"),
    ],
)
async def test_assets_have_their_media_type_and_are_cached_for_good(
    client: httpx.AsyncClient, suffix: str, media_type: str
) -> None:
    name = next(name for name in ASSETS if name.endswith(f".{suffix}"))
    asset = await client.get(f"/graphiql/assets/{name}")
    assert asset.headers["content-type"] == media_type
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_the_page_is_looked_up_anew_each_time(client: httpx.AsyncClient) -> None:
    page = await client.get("/graphiql")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"


async def test_every_answer_keeps_the_browser_within_the_origin(
    client: httpx.AsyncClient,
) -> None:
    # Workers take the policy of their own script's answer, not the page's.
    for path in ("/graphiql", *(f"/graphiql/assets/{name}" for name in ASSETS)):
        headers = (await client.head(path)).headers
        policy = headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy)
        assert not re.search(r"https?:|\*|unsafe-eval|blob:", headers["content-security-policy"])
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "no-such-file.js",
        "../index.html",
        "..%2findex.html",
        "..%2f..%2f..%2f__init__.py",
        "%2e%2e/manifest.json",
        "%2fetc%2fpasswd",
        "%00",
    ],
)
async def test_nothing_but_assets_can_be_reached(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(httpx.URL(f"http://test/graphiql/assets/{path}"))
    assert answer.status_code == 404
