"""Server-Sent Events as clients read them: whole events, whatever is left of a cut one dropped."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class SSEvent(NamedTuple):
    id: str | None
    name: str
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def events_in(received: bytes) -> Iterator[SSEvent]:
    """The events with data whose end has arrived."""
    *blocks, _ = received.split(b"\n\n")
    for block in blocks:
        fields: dict[str, str] = {}
        for line in block.decode().split("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        if "data" in fields:
            yield SSEvent(fields.get("id"), fields.get("event", "message"), fields["data"])
