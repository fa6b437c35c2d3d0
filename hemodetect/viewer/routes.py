"""What a browser fetches and sends: the viewer's code, NiiVue, pixels and maps, and files of a study.

Pixels and files belong to one browser. The first page sets a cookie that scripts cannot read; a study's
address works only with that cookie. Everything else is answered with 404, and no answer with pixels may
be kept by the browser or by anything between.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from importlib import resources

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hemodetect.settings import settings
from hemodetect.viewer.arrivals import ARRIVALS, RefusedArrival
from hemodetect.viewer.niivue import niivue_file
from hemodetect.viewer.store import OPEN_STUDIES, NothingToShow, OpenStudy

COOKIE = "hemodetect_browser"
ADDRESS = "/viewer"
_FRONTEND = resources.files("hemodetect.viewer") / "frontend"
_MODULES = frozenset(
    entry.name for entry in _FRONTEND.iterdir() if entry.name.endswith((".js", ".css"))
)
_PRIVATE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def viewer_routes() -> list[Route]:
    """Routes of the viewer, below `ADDRESS`."""
    return [
        Route(f"{ADDRESS}/code/niivue.js", _niivue),
        Route(f"{ADDRESS}/code/{{name}}", _module),
        Route(f"{ADDRESS}/{{token}}/files", _files, methods=["POST"]),
        Route(f"{ADDRESS}/{{token}}/slices/{{first:int}}-{{last:int}}", _slices),
        Route(f"{ADDRESS}/{{token}}/maps/{{method}}", _maps),
        Route(f"{ADDRESS}/{{token}}/maps/{{method}}/{{index:int}}", _maps),
    ]


def _niivue(request: Request) -> Response:
    file = niivue_file()
    if not file.is_file():
        return _not_found()
    # The page asks with the version in the address.
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(file, media_type="text/javascript", headers=headers)


def _module(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _MODULES:
        return _not_found()
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    content = (_FRONTEND / name).read_bytes()
    return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})


async def _files(request: Request) -> Response:
    arrival = ARRIVALS.get(request.path_params["token"], request.cookies.get(COOKIE, ""))
    if arrival is None:
        return _not_found()
    try:
        await arrival.receive(request.stream(), settings())
    except RefusedArrival as refused:
        return PlainTextResponse(str(refused), 400, _PRIVATE)
    except ClientDisconnect:
        return PlainTextResponse("The upload was broken off.", 400, _PRIVATE)
    return Response(status_code=204, headers=_PRIVATE)


def _slices(request: Request) -> Response:
    first, last = request.path_params["first"], request.path_params["last"]
    try:
        content = _study(request).pixels(first, last)
    except NothingToShow:
        return _not_found()
    return _compressed(content, {})


def _maps(request: Request) -> Response:
    try:
        content, (rows, columns) = _study(request).heat(
            request.path_params["method"], request.path_params.get("index")
        )
    except NothingToShow:
        return _not_found()
    return _compressed(content, {"X-Map-Shape": f"{rows},{columns}"})


def _study(request: Request) -> OpenStudy:
    owner = request.cookies.get(COOKIE, "")
    return OPEN_STUDIES.get(request.path_params["token"], owner)


def _compressed(content: bytes, headers: dict[str, str]) -> Response:
    return Response(
        content,
        media_type="application/octet-stream",
        headers=_PRIVATE | {"Content-Encoding": "deflate"} | headers,
    )


def _not_found() -> Response:
    return Response(status_code=404, headers=_PRIVATE)


class BrowserCookie:
    """ASGI middleware that gives each browser its secret, together with a page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on; adds the cookie to an HTML answer where the request had none."""
        if scope["type"] != "http" or browser_secret(_cookie_header(scope)):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _with_cookie(send, scope))


def _with_cookie(send: Send, scope: Scope) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").startswith("text/html"):
                secure = "; Secure" if scope.get("scheme") == "https" else ""
                headers.append(
                    "Set-Cookie",
                    f"{COOKIE}={secrets.token_urlsafe(32)}; Path=/; HttpOnly; SameSite=Strict{secure}",
                )
        await send(message)

    return sending


def _cookie_header(scope: Scope) -> str:
    values = [value for name, value in scope.get("headers", ()) if name == b"cookie"]
    return b"; ".join(values).decode("latin-1")


def browser_secret(cookie_header: str) -> str:
    """The browser's secret in a Cookie header; "" where it has none."""
    try:
        found = SimpleCookie(cookie_header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
