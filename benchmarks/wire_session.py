"""One session of the app over Streamlit's own WebSocket protocol, without a browser around it.

It keeps what a browser keeps of a page: the elements in their places and the state of the widgets. A
click or a key is a message with that state, and the answer is over when the server says that it is.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

LONGEST_ANSWER_SECONDS = 300.0


class WireSession:
    """Opens a page; use as ``async with``."""

    def __init__(self, address: str, page: str, query: str) -> None:
        self._url = address.replace("http://", "ws://") + "/_stcore/stream"
        self._page, self._query = page, query
        self._page_hash = ""
        self._widgets: dict[str, WidgetState] = {}
        # Place in the page -> the element, the fragment that drew it or "", and the run.
        self._drawn: dict[tuple[int, ...], tuple[Element, str, str]] = {}

    async def __aenter__(self) -> Self:
        self._socket: ClientConnection = await connect(
            self._url, subprotocols=["streamlit"], max_size=None
        )
        await self._run("", None)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._socket.close()

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
                        self._drawn = {p: e for p, e in self._drawn.items() if e[2] == run}
                    return

    def _take(self, message: ForwardMsg, run: str) -> None:
        place = tuple(message.metadata.delta_path)
        if message.delta.WhichOneof("type") == "new_element":
            self._drawn[place] = (message.delta.new_element, message.delta.fragment_id, run)
        else:
            self._drawn.pop(place, None)
