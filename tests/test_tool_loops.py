"""Tool loops over HTTP, in both stores, with each dialect that has tools, and over `kill -9`.

Each answer makes two calls at once, but with `qianfan-v1`, whose answers have one call at most.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.launching import Launched, Launcher
from tests.readers import Reader, Response, call
from tests.steps import JSON
from tests.tool_upstreams import TOOL_UPSTREAMS, Call, ToolUpstream
from tests.upstreams import ScriptedUpstream

TOOLS = [
    {
        "name": name,
        "description": f"The {name} in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    for name in ("weather", "time")
]


@pytest.fixture(params=["sqlite", "mongo"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The settings' `storage.url` of a new store."""
    if request.param == "mongo":
        url: str = request.getfixturevalue("mongo_url")
        return url
    return "sqlite:///headrace.db"


@pytest.fixture(params=sorted(TOOL_UPSTREAMS))
def tools(request: pytest.FixtureRequest) -> ToolUpstream:
    """The dialect that the provider has."""
    return TOOL_UPSTREAMS[request.param]


class Loop:
    """A server that may be killed, its client, and what the provider was asked."""

    def __init__(
        self, launcher: Launcher, url: str, tools: ToolUpstream, upstream: ScriptedUpstream
    ) -> None:
        self._launcher = launcher
        self._tools = tools
        self._upstream = upstream
        self._server: Launched | None = None
        settings = {"base_url": f"{upstream.url}{tools.base_path}", "models": [tools.model]}
        table = "".join(
            f"{name} = {value!r}\n".replace("'", '"')
            for name, value in {**tools.settings, **settings}.items()
        )
        launcher.settings.write_text(
            f'port = 0\n[storage]\nurl = "{url}"\n[relay]\nlease_seconds = 1\n'
            f"checkpoint_seconds = 0.2\n[providers.p]\n{table}"
        )

    async def restart(self) -> None:
        """Kill the server as it is, and start another one."""
        if self._server is not None:
            await self._server.kill()
        self._server = await self._launcher.serve()

    @property
    def url(self) -> str:
        assert self._server is not None
        return self._server.url

    def calls(self, round_number: int) -> None:
        """Have the next answer make the calls of a round."""
        self._upstream.raw(self._tools.calls(self.made_in(round_number)))
        self._upstream.end()
        self._upstream.next_request()

    def begins_calls(self, round_number: int) -> None:
        """Have the next answer go as far as its last call, and no further."""
        made = self.made_in(round_number)
        whole = self._tools.calls(made)
        last = made[-1].id if self._tools.has_ids else made[-1].name
        self._upstream.raw(whole[: whole.rindex(last.encode())])

    def calls_in(self, answer: dict[str, Any], round_number: int) -> list[Call]:
        """The calls of an answer, which are those of a round."""
        blocks = (block for block in answer["blocks"] if block["type"] == "tool_call")
        found = [Call(block["id"], block["name"], block["arguments"]) for block in blocks]
        assert self._as_sent(self.made_in(round_number)) == self._as_sent(found)
        return found

    def made_in(self, round_number: int) -> list[Call]:
        """As many calls as the dialect has at once."""
        return [
            Call(f"call_{name}_{round_number}", name, f'{{"city":"{round_number}号"}}')
            for name in ("weather", "time")[: self._tools.calls_at_once]
        ]

    def _as_sent(self, calls: Sequence[Call]) -> list[Call]:
        """Calls as the provider sends and gets them."""
        return [call if self._tools.has_ids else call._replace(id="") for call in calls]

    def says(self, text: str) -> None:
        """Have the next answer be text."""
        self._upstream.tokens(text)
        self._upstream.finish()
        self._upstream.next_request()

    async def ask(self, path: str = "/api/v1/chat", key: str = "", **fields: Any) -> Response:
        """Ask, and wait for the answer."""
        headers = JSON | ({"Idempotency-Key": key} if key else {})
        return await call(self.url, "POST", path, {"tools": TOOLS, **fields}, headers=headers)

    async def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        path = f"/api/v1/conversations/{conversation_id}/messages"
        data: list[dict[str, Any]] = (await call(self.url, "GET", path)).body["data"]
        return data

    async def ended(self, conversation_id: str) -> dict[str, Any]:
        """The last answer, once the lease of the process that was killed is over."""
        async with asyncio.timeout(20):
            last = (await self.messages(conversation_id))[-1]
            while last["status"] == "live":  # nobody tells of its end
                await asyncio.sleep(0.1)
                last = (await self.messages(conversation_id))[-1]
        return last

    def assert_returned(self, *calls: Call) -> None:
        """The provider got these calls with their results the last time, and no others."""
        got = self._tools.returned(self._upstream.requests[-1].json)
        assert [(each, result_of(each)) for each in self._as_sent(calls)] == got


@pytest.fixture
def loop(
    launcher: Launcher, store_url: str, tools: ToolUpstream, upstream: ScriptedUpstream
) -> Loop:
    return Loop(launcher, store_url, tools, upstream)


def result_of(made: Call) -> str:
    return f"The {made.name} of {made.arguments}"


def results_of(calls: list[Call]) -> list[dict[str, str]]:
    """What a client sends, in another order than the calls."""
    return [
        {"type": "tool_result", "id": each.id, "text": result_of(each)} for each in reversed(calls)
    ]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_three_rounds_of_calls_survive_kill_9(loop: Loop, upstream: ScriptedUpstream) -> None:
    await loop.restart()
    loop.calls(1)
    loop.calls(2)
    asked = await loop.ask(content="Where to go?", tool_choice="auto")
    path = f"/api/v1/conversations/{asked.body['conversation_id']}/messages"
    assert "tool_calls" == asked.body["finish_reason"]
    first = loop.calls_in(asked.body, 1)

    body = {"content": results_of(first), "parent_id": asked.body["id"]}
    answered = await loop.ask(path, key="round 1", **body)
    await loop.restart()
    again = await loop.ask(path, key="round 1", **body)

    second = loop.calls_in(answered.body, 2)
    assert answered.body == again.body
    loop.assert_returned(*first)

    # The next answer is killed in the middle of a call, and asked for once more.
    loop.begins_calls(3)
    live = await Reader.ask(
        loop.url,
        content=results_of(second),
        conversation_id=asked.body["conversation_id"],
        tools=TOOLS,
    )
    await live.start()
    await upstream.request(2)
    await loop.restart()
    upstream.next_request()
    loop.calls(3)
    loop.says("To number 3.")
    loop.says("You are welcome.")
    cut = await loop.ended(asked.body["conversation_id"])
    assert "interrupted" == cut["status"]
    early = await loop.ask(path, content=results_of(loop.made_in(3)), parent_id=cut["id"])
    assert (400, "unknown_tool_call") == (early.status, early.body["error"]["code"])
    renewed = await loop.ask(f"/api/v1/answers/{cut['id']}/regenerate")
    third = loop.calls_in(renewed.body, 3)
    loop.assert_returned(*first, *second)

    told = await loop.ask(path, content=results_of(third), parent_id=renewed.body["id"])
    assert "To number 3." == told.body["blocks"][-1]["text"]
    thanked = await loop.ask(path, content="Thank you!", parent_id=told.body["id"])

    assert "You are welcome." == thanked.body["blocks"][-1]["text"]
    loop.assert_returned(*first, *second, *third)
    kept = await loop.messages(asked.body["conversation_id"])
    assert [
        {"type": "tool_result", "id": each.id, "text": result_of(each)}
        for each in (*reversed(first), *reversed(second), *reversed(third))
    ] == [block for each in kept for block in each["blocks"] if block["type"] == "tool_result"]
