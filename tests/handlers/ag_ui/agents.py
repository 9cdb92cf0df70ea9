"""A client of AG-UI, as plain as the protocol is: it sends runs and reads their events."""

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from tests.readers import Response, call

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
