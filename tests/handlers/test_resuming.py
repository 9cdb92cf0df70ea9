"""Whatever is said, wherever a connection breaks and its reader comes back: the parts add up."""

import copy
import json
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado.ioloop import IOLoop

from app.server import Server
from tests import framing
from tests.readers import Reader, Seen, call
from tests.serving import Serving
from tests.steps import LATER, kept_answer
from tests.upstreams import ScriptedUpstream

# What cuts wrongly: several bytes, several code points that show as one, line ends of other worlds.
_TEXTS = st.lists(
    st.sampled_from(
        ["你", "好", "🚀", "👩‍🚀", "e\u0301", "a", " ", "\n\n", "\u2028", "\r", "\0", '"']
    )
    | st.characters(exclude_categories=["Cs"]),
    min_size=1,
    max_size=5,
).map("".join)


class Say(NamedTuple):
    """What the provider sends next; a `call` comes with the text in its arguments."""

    kind: str
    text: str


_SAYS = st.builds(Say, st.sampled_from(["text", "reasoning", "call"]), _TEXTS)


class Visit(NamedTuple):
    """A reader comes to the server at `place` and breaks off after some events; more is said."""

    place: int
    events: int
    then: list[Say]


_VISITS = st.lists(
    st.builds(Visit, st.integers(0, 1), st.integers(0, 3), st.lists(_SAYS, max_size=4)),
    min_size=1,
    max_size=5,
)


class Script:
    """Says pieces to an upstream, and knows what blocks they add up to."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self._upstream = upstream
        self._calls = 0
        self.blocks: list[dict[str, str]] = []
        self.units: list[str] = []  # one for each position: a character, or a call's opening

    def say(self, said: Say) -> None:
        kind, text = said
        if kind == "call":
            self._call(json.dumps({"text": text}, ensure_ascii=False))
        elif kind == "reasoning":
            self._upstream.reasoning(text)
            self._grow(kind, text)
        else:
            self._upstream.tokens(text)
            self._grow(kind, text)

    def finish(self) -> None:
        self._upstream.finish()

    def _call(self, arguments: str) -> None:
        call_id, half = f"call_{self._calls}", len(arguments) // 2
        self._upstream.raw(framing.tool_call(self._calls, "", call_id, "look"))
        self._upstream.raw(framing.tool_call(self._calls, arguments[:half]))
        self._upstream.raw(framing.tool_call(self._calls, arguments[half:]))
        self.blocks.append({"type": "tool_call", "id": call_id, "name": "look"})
        self.blocks[-1]["arguments"] = arguments
        self.units += ["", *arguments]
        self._calls += 1

    def _grow(self, kind: str, text: str) -> None:
        if not self.blocks or self.blocks[-1]["type"] != kind:
            self.blocks.append({"type": kind, "text": ""})
        self.blocks[-1]["text"] += text
        self.units += text


class Held:
    """What a client holds of an answer, by nothing but the documented events."""

    def __init__(self, last_id: str | None = None) -> None:
        self.blocks: list[dict[str, Any]] = []
        self.said = ""  # by the deltas, whichever block they belong to
        self.last_id = last_id
        self._index = -1  # of the tool call that is open

    @property
    def position(self) -> int:
        return int((self.last_id or "0").removesuffix("-end"))

    def take(self, seen: Seen) -> None:
        if seen.id is not None:
            self.last_id = seen.id
        assert seen.event in ("start", "delta", "end")
        if seen.event == "delta":
            ((kind, said),) = seen.data.items()
            self._take(kind, said)

    def _take(self, kind: str, said: Any) -> None:
        if kind != "tool_call":
            if not self.blocks or self.blocks[-1]["type"] != kind:
                self.blocks.append({"type": kind, "text": ""})
            self.blocks[-1]["text"] += said
            self.said += said
            return
        if said["index"] != self._index and "id" in said:
            self._index = said["index"]
            opened = {"id": said["id"], "name": said["name"], "arguments": ""}
            self.blocks.append({"type": "tool_call", **opened})
        if self.blocks:
            self.blocks[-1]["arguments"] += said["arguments"]
        self.said += said["arguments"]


@pytest.fixture
def two(
    io_loop: IOLoop, serve: Serving, providers: dict[str, dict[str, Any]], mongo_url: str
) -> list[Server]:
    """Two servers on one database."""

    async def start() -> Server:
        relay = {"checkpoint_seconds": 0.02, "lease_seconds": 10}
        return await serve.start(providers=providers, storage={"url": mongo_url}, relay=relay)

    return [io_loop.run_sync(start) for _ in range(2)]


@pytest.mark.slow
@given(st.lists(_SAYS, max_size=4), _VISITS)
@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_parts_add_up_to_the_answer_wherever_they_were_read(
    io_loop: IOLoop, two: list[Server], upstream: ScriptedUpstream, first, visits
) -> None:
    try:
        io_loop.run_sync(lambda: _read_in_parts(two, Script(upstream), first, visits), timeout=20)
    finally:
        upstream.next_request()


async def _read_in_parts(
    two: list[Server], script: Script, first: list[Say], visits: list[Visit]
) -> None:
    for said in first:
        script.say(said)
    asked = await call(
        two[0].url,
        "POST",
        "/api/v1/chat",
        {"content": "hi", "on_disconnect": "finish"},
        headers=LATER,
    )
    answer_id, held = asked.body["answer_id"], Held()
    for visit in visits:
        await _visit(two[visit.place], answer_id, held, visit.events, known=len(script.units))
        for said in visit.then:
            script.say(said)
    script.finish()

    for server in two:  # the first may still come to a live answer, the second to an ended one
        rest = copy.deepcopy(held)
        await _read_to_the_end(server, answer_id, rest)
        assert script.blocks == rest.blocks
        assert f"{len(script.units)}-end" == rest.last_id
    for position in range(len(script.units) + 1):
        rest = Held(str(position))
        await _read_to_the_end(two[position % 2], answer_id, rest)
        assert "".join(script.units[position:]) == rest.said
    path = f"/api/v1/conversations/{asked.body['conversation_id']}"
    assert script.blocks == (await kept_answer(two[1], path))["blocks"]


async def _visit(server: Server, answer_id: str, held: Held, events: int, *, known: int) -> None:
    """Come back, take so many deltas, or all there are if they are fewer, and break off."""
    reader = await Reader.come_back(server.url, answer_id, held.last_id)
    while events and held.position < known:
        seen = await reader.next()
        assert seen is not None
        held.take(seen)
        events -= seen.event == "delta"
    reader.close()


async def _read_to_the_end(server: Server, answer_id: str, held: Held) -> None:
    reader = await Reader.come_back(server.url, answer_id, held.last_id)
    while (seen := await reader.next()) is not None:
        held.take(seen)
    reader.close()
