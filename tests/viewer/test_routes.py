"""The viewer's routes without Streamlit: cookies, headers, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from hemodetect.imaging.study import Slice
from hemodetect.viewer.routes import COOKIE, BrowserCookie, browser_secret, viewer_routes
from hemodetect.viewer.store import OPEN_STUDIES, HeatMaps, OpenStudy


@pytest.fixture
def client() -> Iterator[TestClient]:
    routes = [
        Route("/", lambda _: HTMLResponse("<html></html>")),
        Route("/health", lambda _: PlainTextResponse("ok")),
        *viewer_routes(),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(BrowserCookie)])
    with TestClient(app) as test_client:
        yield test_client


def opened(owner: str) -> OpenStudy:
    study = OpenStudy((Slice(np.array([[5, 6]], np.uint8), "grey", "a"),) * 2, owner)
    study.maps = {"m": HeatMaps("M", "", lambda: np.ones((2, 3, 4)))}
    OPEN_STUDIES.add(study)
    return study


def test_a_page_gives_a_secret_once_and_nothing_else_does(client: TestClient) -> None:
    assert COOKIE not in client.get("/health").headers.get("set-cookie", "")
    cookie = client.get("/").headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "set-cookie" not in client.get("/").headers
    assert len(client.cookies[COOKIE]) > 40


def test_the_owner_gets_pixels_and_maps_that_nobody_may_keep(client: TestClient) -> None:
    client.get("/")
    study = opened(client.cookies[COOKIE])
    answer = client.get(f"/viewer/{study.token}/slices/0-1")
    assert answer.content == bytes([5, 6, 5, 6])
    maps = client.get(f"/viewer/{study.token}/maps/m")
    assert maps.headers["X-Map-Shape"] == "3,4"
    assert maps.content == bytes([255] * 24)
    for response in (answer, maps):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_everybody_else_gets_nothing(client: TestClient) -> None:
    study = opened("somebody")
    for path in ("slices/0-0", "maps/m", "maps/m/0"):
        for cookies in ({}, {COOKIE: "other"}, {COOKIE: ""}):
            client.cookies.clear()
            client.cookies.update(cookies)
            answer = client.get(f"/viewer/{study.token}/{path}")
            assert answer.status_code == 404
            assert not answer.content


def test_only_the_viewers_own_code_is_served(client: TestClient) -> None:
    assert (
        client.get("/viewer/code/viewer.js").headers["content-type"].startswith("text/javascript")
    )
    assert client.get("/viewer/code/viewer.css").status_code == 200
    for name in ("package.json", "types.d.ts", "..%2f__init__.py", "node_modules", "secrets.toml"):
        assert client.get(f"/viewer/code/{name}").status_code == 404


@pytest.mark.parametrize("header", ["", "a=b", f"{COOKIE}=", "=;=;", "\x00", f"x{COOKIE}=y"])
def test_a_header_without_the_secret_has_none(header: str) -> None:
    assert browser_secret(header) == ""


def test_the_secret_is_found_among_other_cookies() -> None:
    assert browser_secret(f"a=b; {COOKIE}=secret; c=d") == "secret"
