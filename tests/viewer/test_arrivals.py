"""Files of a study come in one request, from the browser that was asked for them, within the limits."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from hemodetect.settings import Settings
from hemodetect.viewer.arrivals import ARRIVALS, Arrival, RefusedArrival
from hemodetect.viewer.routes import COOKIE, BrowserCookie, viewer_routes

FILES = [("scan/1.png", b"one"), ("scan/empty.txt", b""), ("scan/ü 2.png", b"two" * 50_000)]


def body(files: list[tuple[str, bytes]]) -> bytes:
    names = json.dumps([[name, len(data)] for name, data in files]).encode()
    return len(names).to_bytes(4, "big") + names + b"".join(data for _, data in files)


def received(data: bytes, limits: Settings | None = None, piece: int = 1000) -> Arrival:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), piece):
            yield data[start : start + piece]

    arrival = Arrival("me")
    ran(arrival.receive(pieces(), limits or Settings()))
    return arrival


def ran(task: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns; in a thread, because Playwright's loop runs in that of the tests."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, task).result()


@pytest.fixture
def client() -> Iterator[TestClient]:
    routes = [Route("/", lambda _: HTMLResponse("<html></html>")), *viewer_routes()]
    app = Starlette(routes=routes, middleware=[Middleware(BrowserCookie)])
    with TestClient(app) as test_client:
        test_client.get("/")
        yield test_client


@pytest.mark.parametrize("piece", [1, 7, 1000, 10**6])
def test_every_file_comes_with_its_name(piece: int) -> None:
    files = FILES if piece > 1 else FILES[:2]
    arrival = received(body(files), piece=piece)
    assert [(file.name, file.data) for file in arrival.files] == files


def test_only_the_browser_that_was_asked_may_send(client: TestClient) -> None:
    mine = ARRIVALS.open(client.cookies[COOKIE])
    others = ARRIVALS.open("somebody")
    nobodys = ARRIVALS.open("")
    assert client.post(f"/viewer/{mine.token}/files", content=body(FILES)).status_code == 204
    assert len(mine.files) == 3
    for token in (others.token, nobodys.token, "0" * 64):
        assert client.post(f"/viewer/{token}/files", content=body(FILES)).status_code == 404
    client.cookies.clear()
    assert client.post(f"/viewer/{mine.token}/files", content=body(FILES)).status_code == 404
    assert not others.files + nobodys.files
    assert client.get(f"/viewer/{mine.token}/files").status_code == 405


def test_a_closed_session_takes_nothing_more(client: TestClient) -> None:
    arrival = ARRIVALS.open(client.cookies[COOKIE])
    token = arrival.token
    del arrival
    gc.collect()
    assert client.post(f"/viewer/{token}/files", content=body(FILES)).status_code == 404


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "incomplete"),
        (body(FILES)[:-1], "incomplete"),
        (b"\xff\xff\xff\xff", "more than"),
        ((5).to_bytes(4, "big") + b"hello", "cannot be read"),
        ((4).to_bytes(4, "big") + b"[12]", "cannot be read"),
        ((10).to_bytes(4, "big") + b'[["a",-1]]', "cannot be read"),
        ((12).to_bytes(4, "big") + b'[["a",true]]', "cannot be read"),
        ((11).to_bytes(4, "big") + b'[["a","12"]', "cannot be read"),
        ((12).to_bytes(4, "big") + b'[["a", "1"]]', "cannot be read"),
        ((9).to_bytes(4, "big") + b"[[7, 12]]", "cannot be read"),
    ],
)
def test_what_is_no_list_of_files_is_refused(data: bytes, reason: str, client: TestClient) -> None:
    arrival = ARRIVALS.open(client.cookies[COOKIE])
    answer = client.post(f"/viewer/{arrival.token}/files", content=data)
    assert answer.status_code == 400
    assert reason in answer.text
    assert not arrival.files


def test_limits_hold_before_a_file_is_read() -> None:
    limits = Settings()
    with pytest.raises(RefusedArrival, match="more than 2 files"):
        received(body(FILES)[:200], replace(limits, max_files=2))
    large = json.dumps([["a.zip", 10**12]]).encode()
    with pytest.raises(RefusedArrival, match=r"a\.zip: .* MiB are more than"):
        received(len(large).to_bytes(4, "big") + large, limits)
    many = json.dumps([["a", limits.max_study_bytes], ["b", 1]]).encode()
    with pytest.raises(RefusedArrival, match="more than the"):
        received(len(many).to_bytes(4, "big") + many, limits)


def test_two_requests_at_once_do_not_mix() -> None:
    async def both() -> list[object]:
        arrival, started = Arrival("me"), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield body(FILES)[:10]
            started.set()
            await asyncio.sleep(0.05)
            yield body(FILES)[10:]

        async def quick() -> AsyncIterator[bytes]:
            yield body([("other.png", b"other")])

        first = asyncio.create_task(arrival.receive(slow(), Settings()))
        await started.wait()
        with pytest.raises(RefusedArrival, match="just arriving"):
            await arrival.receive(quick(), Settings())
        await first
        return [file.name for file in arrival.files]

    assert ran(both()) == [name for name, _ in FILES]


@given(st.binary(max_size=300))
def test_any_bytes_give_files_or_a_sentence(data: bytes) -> None:
    with contextlib.suppress(RefusedArrival):
        assert sum(len(file.data) for file in received(data).files) <= len(data)
