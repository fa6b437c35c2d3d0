"""One session of the app over Streamlit's own WebSocket protocol, without a browser around it.

It keeps what a browser keeps of a page: its cookie, the elements in their places, the state of the
widgets and the slices of the study in the viewer. A click or a key is a message with that state, and
the answer is over when the server says that it is. Slices are fetched over HTTP while the page is
still being drawn.
"""

from __future__ import annotations

import asyncio
import json
import time
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.BidiComponent_pb2 import BidiComponent
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

from hemodetect.viewer.routes import COOKIE

LONGEST_ANSWER_SECONDS = 300.0
CHUNK, PARALLEL = 8, 3
"""Slices in one request, and requests at once: as in hemodetect/viewer/frontend/pixels.js."""


class FetchedSlices:
    """The slices of a study in the viewer, fetched in the order of the browser's code.

    Attributes:
        start: number of the slice that the viewer shows first.
        models: names of those whose answers the viewer shows.
        slices: (rows, columns) each, int16 HU or uint8 grey, as displayed.
        first_came, all_came: times when the first slice and all slices had come (`time.perf_counter`).
    """

    def __init__(self, client: httpx.AsyncClient, data: dict[str, Any]) -> None:
        self._client, self._data = client, data
        self.start: int = data["start"]
        self.models: list[str] = [model["name"] for model in data["models"]]
        self.slices: list[np.ndarray] = [np.empty(0)] * data["slices"]
        self.first_came = self.all_came = 0.0
        self.fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        await self._get(self.start - 1, self.start - 1)
        self.first_came = time.perf_counter()
        firsts = range(0, len(self.slices), CHUNK)
        nearest = iter(sorted(firsts, key=lambda first: abs(first + CHUNK / 2 - self.start + 1)))

        async def work() -> None:
            for first in nearest:
                await self._get(first, min(first + CHUNK, len(self.slices)) - 1)

        await asyncio.gather(*(work() for _ in range(PARALLEL)))
        self.all_came = time.perf_counter()

    async def _get(self, first: int, last: int) -> None:
        """Fetches slices first to last, from 0, both included."""
        answer = await self._client.get(f"/{self._data['address']}/slices/{first}-{last}")
        answer.raise_for_status()
        kind = np.dtype("<i2" if self._data["pixelType"] == "int16" else "u1")
        values, shapes = np.frombuffer(answer.content, kind), self._data["shapes"]
        for index in range(first, last + 1):
            rows, columns = shapes[0 if len(shapes) == 1 else index]
            self.slices[index] = values[: rows * columns].reshape(rows, columns)
            values = values[rows * columns :]
        assert not len(values), f"slices {first} to {last}: {len(values)} values too many"


class WireSession:
    """Opens a page; use as ``async with``."""

    def __init__(self, address: str, page: str, query: str) -> None:
        self._url = address.replace("http://", "ws://") + "/_stcore/stream"
        self._client = httpx.AsyncClient(base_url=address, timeout=LONGEST_ANSWER_SECONDS)
        self._page, self._query = page, query
        self._page_hash = ""
        self._widgets: dict[str, WidgetState] = {}
        # Place in the page -> the element, the fragment that drew it or "", and the run.
        self._drawn: dict[tuple[int, ...], tuple[Element, str, str]] = {}
        # The viewer's place and the study's address, and what was fetched for them.
        self._mounted: tuple[tuple[int, ...], str] = (), ""
        self._fetched: FetchedSlices | None = None

    async def __aenter__(self) -> Self:
        (await self._client.get("/")).raise_for_status()
        self._socket: ClientConnection = await connect(
            self._url,
            subprotocols=["streamlit"],
            max_size=None,
            additional_headers={"Cookie": f"{COOKIE}={self._client.cookies[COOKIE]}"},
        )
        await self._run("", None)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._fetched is not None:
            self._fetched.fetching.cancel()
        await self._socket.close()
        await self._client.aclose()

    async def press(self, label: str) -> None:
        """Presses a button by its label."""
        element, fragment = self._named("button", label)
        if element.disabled:
            raise LookupError(f"the button {label!r} is disabled")
        await self._run(fragment, WidgetState(id=element.id, trigger_value=True))

    async def write(self, label: str, text: str) -> None:
        """Fills a field of one line."""
        element, fragment = self._named("text_input", label)
        await self._change(fragment, WidgetState(id=element.id, string_value=text))

    async def choose(self, label: str, option: str) -> None:
        """Chooses one option of a segmented control."""
        element, fragment = self._named("button_group", label)
        options = [one.content for one in element.options]
        state = WidgetState(id=element.id)
        state.string_array_value.data.append(option)
        if option not in options:
            raise LookupError(f"{label!r} has {', '.join(options)}; not {option!r}")
        await self._change(fragment, state)

    async def rest_at(self, number: int) -> None:
        """Reports that the viewer rests at slice `number`, from 1."""
        for element, fragment, _ in self._drawn.values():
            if element.WhichOneof("type") == "bidi_component":
                state = WidgetState(id=element.bidi_component.id)
                state.json_value = json.dumps({"slice": number})
                await self._change(fragment, state)
                return
        raise LookupError(f"there is no viewer on the page:\n{self.texts()}")

    async def fetched(self) -> FetchedSlices:
        """The study in the viewer, when all its slices have come."""
        if self._fetched is None:
            raise LookupError(f"there is no viewer on the page:\n{self.texts()}")
        await self._fetched.fetching
        return self._fetched

    def texts(self) -> str:
        """What the page says, one element a line."""
        lines = []
        for element, *_ in self._drawn.values():
            kind = element.WhichOneof("type")
            if kind in ("markdown", "heading", "alert", "text", "progress"):
                drawn = getattr(element, kind)
                lines.append(drawn.text if kind == "progress" else drawn.body)
        return "\n".join(lines)

    def charts(self) -> list[str]:
        """Every Plotly chart of the page as JSON, from the top."""
        charts = sorted(
            (place, element.plotly_chart.spec)
            for place, (element, *_) in self._drawn.items()
            if element.WhichOneof("type") == "plotly_chart"
        )
        return [spec for _, spec in charts]

    def _named(self, kind: str, label: str) -> tuple[Any, str]:
        for element, fragment, _ in self._drawn.values():
            if element.WhichOneof("type") == kind and getattr(element, kind).label == label:
                return getattr(element, kind), fragment
        raise LookupError(f"there is no {kind} {label!r} on the page:\n{self.texts()}")

    async def _change(self, fragment: str, state: WidgetState) -> None:
        self._widgets[state.id] = state
        await self._run(fragment, None)

    async def _run(self, fragment: str, trigger: WidgetState | None) -> None:
        request = BackMsg()
        client: ClientState = request.rerun_script
        client.query_string, client.page_name = self._query, self._page
        client.page_script_hash, client.fragment_id = self._page_hash, fragment
        client.widget_states.widgets.extend(self._widgets.values())
        if trigger is not None:
            client.widget_states.widgets.append(trigger)
        await self._socket.send(request.SerializeToString())
        async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
            run = ""
            while True:
                message = ForwardMsg()
                message.ParseFromString(await self._socket.recv(decode=False))
                kind = message.WhichOneof("type")
                if kind == "new_session":
                    run = message.metadata.run.script_run_id
                elif kind == "navigation":
                    self._page_hash = message.navigation.page_script_hash
                elif kind == "delta":
                    self._take(message, run)
                elif kind == "script_finished":
                    if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                        continue
                    if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                        self._forget_all_but(run)
                    return

    def _forget_all_but(self, run: str) -> None:
        """Drops what this run of the page did not draw, and the state of widgets that are gone."""
        self._drawn = {p: e for p, e in self._drawn.items() if e[2] == run}
        kinds = ((element, element.WhichOneof("type")) for element, *_ in self._drawn.values())
        ids = {getattr(getattr(element, kind), "id", "") for element, kind in kinds}
        self._widgets = {name: state for name, state in self._widgets.items() if name in ids}

    def _take(self, message: ForwardMsg, run: str) -> None:
        place = tuple(message.metadata.delta_path)
        if message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            self._drawn[place] = (element, message.delta.fragment_id, run)
            if element.WhichOneof("type") == "bidi_component":
                self._mount(place, element.bidi_component)
        else:
            self._drawn.pop(place, None)

    def _mount(self, place: tuple[int, ...], component: BidiComponent) -> None:
        """Fetches slices where a browser does: for another study, or a viewer in another place."""
        kind = component.WhichOneof("data")
        data = json.loads(component.mixed.json if kind == "mixed" else component.json)
        if self._mounted == (place, data["address"]):
            return
        self._mounted = place, data["address"]
        if self._fetched is not None:
            self._fetched.fetching.cancel()
        self._fetched = FetchedSlices(self._client, data)
