"""A client of AG-UI, as plain as the protocol is: it sends runs and reads their events."""

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, Self

from tests.readers import Reader, Response, call

PATH = "/ag-ui"
_numbers = count()


class Event(NamedTuple):
    """One event; `id` is None if it had none."""

    id: str | None
    data: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.data["type"])


def user(text: Any, message_id: str = "") -> dict[str, Any]:
    return {"id": message_id or f"u{next(_numbers)}", "role": "user", "content": text}


def assistant(message_id: str, text: str, **fields: Any) -> dict[str, Any]:
    return {"id": message_id, "role": "assistant", "content": text, **fields}


def tool(call_id: str, text: str) -> dict[str, Any]:
    return {"id": f"t{next(_numbers)}", "role": "tool", "toolCallId": call_id, "content": text}


@dataclass
class Agent:
    """One thread of one client."""

    url: str
    thread_id: str = "thread-1"
    headers: dict[str, str] = field(default_factory=dict)

    def input(self, *messages: dict[str, Any], run_id: str = "", **fields: Any) -> dict[str, Any]:
        named = {"threadId": self.thread_id, "runId": run_id or f"run-{next(_numbers)}"}
        return {**named, "messages": list(messages), "tools": [], "context": [], **fields}

    async def post(self, body: dict[str, Any], *, after: str | None = None) -> Response:
        headers = self.headers | ({} if after is None else {"Last-Event-ID": after})
        return await call(self.url, "POST", PATH, body, headers=headers)

    async def get(self, query: str, *, after: str | None = None) -> Response:
        headers = self.headers | ({} if after is None else {"Last-Event-ID": after})
        return await call(self.url, "GET", f"{PATH}?{query}", headers=headers)

    async def run(self, *messages: dict[str, Any], **fields: Any) -> list[Event]:
        response = await self.post(self.input(*messages, **fields))
        assert 200 == response.status, response.body
        return events_in(response.body)

    async def open(self, *messages: dict[str, Any], **fields: Any) -> "Run":
        """Send a run, and read its events as they come."""
        body = self.input(*messages, **fields)
        return Run(await Reader.open(self.url, "POST", PATH, body, headers=self.headers))

    async def join(self, run_id: str, *, after: str | None = None) -> "Run":
        """Read a run that was started before, as its events come."""
        headers = self.headers | ({} if after is None else {"Last-Event-ID": after})
        path = f"{PATH}?offset=-1&runId={run_id}"
        return Run(await Reader.open(self.url, "GET", path, headers=headers))


class Run:
    """A run that is read as it comes."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.events: list[Event] = []
        self._blocks = reader.blocks()

    @property
    def message_id(self) -> str:
        """The id of the answer's message."""
        [event] = [event for event in self.events if event.type == "TEXT_MESSAGE_START"]
        return str(event.data["messageId"])

    async def next(self) -> Event | None:
        """The next event; None at the end."""
        async for block in self._blocks:
            if found := events_in(f"{block}\n".encode()):
                self.events += found
                return found[0]
        return None

    async def text(self, expected: str) -> Self:
        """Read until the text is `expected`."""
        while text_of(self.events) != expected:
            assert expected.startswith(text_of(self.events))
            assert await self.next() is not None, self.events
        return self

    async def end(self) -> list[Event]:
        """Read to the end; all events."""
        while await self.next() is not None:
            pass
        return self.events

    def close(self) -> None:
        self.reader.close()


def events_in(body: bytes) -> list[Event]:
    """The events of a stream, which has nothing else in it but comments."""
    events, event_id = [], None
    for line in body.decode().split("\n"):
        name, _, value = line.partition(":")
        match name:
            case "id":
                event_id = value.removeprefix(" ")
            case "data":
                events.append(Event(event_id, json.loads(value)))
                event_id = None
            case _:
                assert not name, line
    return events


def types_of(events: list[Event]) -> list[str]:
    return [event.type for event in events]


def text_of(events: list[Event]) -> str:
    """The text of the answer."""
    return "".join(event.data["delta"] for event in events if event.type == "TEXT_MESSAGE_CONTENT")
