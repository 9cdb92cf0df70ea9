"""How tests of tool loops speak with the scripted upstream of each dialect that has tools.

A dialect is one row of `TOOL_UPSTREAMS`: how its upstream calls tools, and which calls and results
a request brings back. `returned` fails for a request in which they do not belong together.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from tests import anthropic_framing, framing, gemini_framing, ollama_framing
from tests.openai_responses_stream import ResponsesStream


class Call(NamedTuple):
    """A tool call; `arguments` is JSON without blanks, as of APIs that send an object.

    `id` is empty where the API has no ids.
    """

    id: str
    name: str
    arguments: str


class ToolUpstream(NamedTuple):
    """A dialect, its provider's settings beside `base_url`, and its calls and results."""

    settings: dict[str, Any]
    base_path: str
    model: str
    calls: Callable[[Sequence[Call]], bytes]  # the body of an answer that makes them
    returned: Callable[[Any], list[tuple[Call, str]]]  # each call of a request, with its result
    has_ids: bool = True  # False: the server makes the ids, and no request has them
    calls_at_once: int = 2  # or 1, where an answer has one call at most


def _written(arguments: Any) -> str:
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))


def _openai_calls(calls: Sequence[Call], dialect: str = "openai") -> bytes:
    pieces = [framing.piece(dialect, 0, "Let me see.")]
    for index, call in enumerate(calls):
        middle = len(call.arguments) // 2
        pieces.append(framing.tool_call(index, call.arguments[:middle], call.id, call.name))
        pieces.append(framing.tool_call(index, call.arguments[middle:]))
    return b"".join(pieces) + framing.finish(dialect, 1, "tool_calls", framing.USAGE)


def _openai_returned(body: Any) -> list[tuple[Call, str]]:
    found: list[tuple[Call, str]] = []
    waiting: dict[str, Call] = {}
    for message in body["messages"]:
        if message["role"] == "tool":
            found.append((waiting.pop(message["tool_call_id"]), message["content"]))
            continue
        assert not waiting, "calls without results"
        for call in message.get("tool_calls", []):
            function = call["function"]
            waiting[call["id"]] = Call(call["id"], function["name"], function["arguments"])
    assert not waiting, "calls without results"
    return found


def _dashscope_calls(calls: Sequence[Call]) -> bytes:
    pieces = [("", "Tools will help."), ("Let me see.", "")]
    body = [framing.piece("dashscope", place, *piece) for place, piece in enumerate(pieces)]
    for index, call in enumerate(calls):
        middle = len(call.arguments) // 2
        for said in (
            (call.id, call.name, call.arguments[:middle]),
            ("", "", call.arguments[middle:]),
        ):
            body.append(framing.whole_tool_call("dashscope", len(body), index, *said))
    body.append(framing.finish("dashscope", len(body), "tool_calls", framing.USAGE))
    return b"".join(body)


def _dashscope_returned(body: Any) -> list[tuple[Call, str]]:
    return _openai_returned(body["input"])


def _qianfan_v1_calls(calls: Sequence[Call]) -> bytes:
    [call] = calls
    said = framing.piece("qianfan-v1", 0, "Let me see.")
    called = framing.whole_tool_call("qianfan-v1", 1, 0, "", call.name, call.arguments)
    return said + called + framing.finish("qianfan-v1", 2, "function_call", framing.USAGE)


def _qianfan_v1_returned(body: Any) -> list[tuple[Call, str]]:
    found: list[tuple[Call, str]] = []
    waiting: Call | None = None
    for message in body["messages"]:
        if message["role"] == "function":
            assert waiting is not None
            assert waiting.name == message["name"]
            found.append((waiting, json.loads(message["content"])["result"]))
            waiting = None
            continue
        assert waiting is None, "a call without a result"
        if (function := message.get("function_call")) is not None:
            waiting = Call("", function["name"], function["arguments"])
    assert waiting is None, "a call without a result"
    return found


def _anthropic_calls(calls: Sequence[Call]) -> bytes:
    blocks = [anthropic_framing.thinking(0, "Tools will ", "help.", model="m")]
    blocks.append(anthropic_framing.text(1, "Let me see."))
    for index, call in enumerate(calls, 2):
        blocks.append(anthropic_framing.tool_use(index, call.id, call.name, call.arguments))
    return anthropic_framing.start() + b"".join(blocks) + anthropic_framing.end("tool_calls")


def _anthropic_returned(body: Any) -> list[tuple[Call, str]]:
    found: list[tuple[Call, str]] = []
    waiting: dict[str, Call] = {}
    for message in body["messages"]:
        content = message["content"]
        for block in [] if isinstance(content, str) else content:
            if block["type"] == "tool_use":
                arguments = _written(block["input"])
                waiting[block["id"]] = Call(block["id"], block["name"], arguments)
            elif block["type"] == "tool_result":
                said = block["content"]
                text = said if isinstance(said, str) else said[0]["text"]
                found.append((waiting.pop(block["tool_use_id"]), text))
    assert not waiting, "calls without results"
    return found


def _responses_calls(calls: Sequence[Call]) -> bytes:
    stream = ResponsesStream("gpt-5-example", number=zlib.crc32(calls[0].id.encode()))
    body = stream.reasoning("Tools will help.") + stream.text("Let me", " see.")
    for call in calls:
        middle = len(call.arguments) // 2
        body += stream.call(call.id, call.name, call.arguments[:middle], call.arguments[middle:])
        body += stream.reasoning() if call is not calls[-1] else b""
    return body + stream.complete()


def _responses_returned(body: Any) -> list[tuple[Call, str]]:
    found: list[tuple[Call, str]] = []
    waiting: dict[str, Call] = {}
    reasoned = False
    for item in body["input"]:
        kind = item.get("type")
        if kind == "function_call_output":
            found.append((waiting.pop(item["call_id"]), item["output"]))
        elif kind == "function_call":
            assert reasoned, "a call without its reasoning"
            waiting[item["call_id"]] = Call(item["call_id"], item["name"], item["arguments"])
        else:
            assert not waiting or kind == "reasoning", "calls without results"
            reasoned = kind == "reasoning" or (reasoned and item["role"] == "assistant")
    assert not waiting, "calls without results"
    return found


def _ollama_calls(calls: Sequence[Call]) -> bytes:
    lines = [ollama_framing.piece(thinking="Tools will help."), ollama_framing.piece("Let me see.")]
    for call in calls:
        made = ollama_framing.call(call.name, json.loads(call.arguments), call.id)
        lines.append(ollama_framing.piece(tool_calls=[made]))
    return b"".join(lines) + ollama_framing.end("tool_calls")


def _ollama_returned(body: Any) -> list[tuple[Call, str]]:
    found: list[tuple[Call, str]] = []
    waiting: dict[str, Call] = {}
    is_in_loop = body["messages"][-1]["role"] == "tool"
    for message in body["messages"]:
        if message["role"] == "tool":
            call = waiting.pop(message["tool_call_id"])
            assert call.name == message["tool_name"]
            found.append((call, message["content"]))
        for each in message.get("tool_calls", []):
            assert ("thinking" in message) == is_in_loop
            function = each["function"]
            arguments = _written(function["arguments"])
            waiting[each["id"]] = Call(each["id"], function["name"], arguments)
    assert not waiting, "calls without results"
    return found


def _gemini_calls(calls: Sequence[Call]) -> bytes:
    said = [gemini_framing.thought("Tools will help."), gemini_framing.text("Let me see.")]
    for number, call in enumerate(calls):  # of calls at once only the first is signed
        signer = "gemini-3.5-flash-lite" if number == 0 else ""
        arguments = json.loads(call.arguments)
        said.append(gemini_framing.call(call.name, arguments, model=signer, id=call.id))
    counts = gemini_framing.usage(*framing.USAGE)
    return b"".join(map(gemini_framing.parts, said)) + gemini_framing.parts(reason="stop", **counts)


def _gemini_returned(body: Any) -> list[tuple[Call, str]]:
    found: list[tuple[Call, str]] = []
    waiting: list[tuple[Call, bool]] = []
    for part in (part for content in body["contents"] for part in content["parts"]):
        if (function := part.get("functionCall")) is not None:
            call = Call(function["id"], function["name"], _written(function["args"]))
            waiting.append((call, "thoughtSignature" in part))
        elif (result := part.get("functionResponse")) is not None:
            call, is_signed = waiting.pop(0)
            assert (call.id, call.name) == (result["id"], result["name"])
            assert is_signed == (call.name == "weather"), "the first one's signature"
            found.append((call, result["response"]["output"]))
        else:
            assert not waiting, "calls without results"
    assert not waiting, "calls without results"
    return found


TOOL_UPSTREAMS = {
    "openai": ToolUpstream({"dialect": "openai"}, "/v1", "m", _openai_calls, _openai_returned),
    "dashscope": ToolUpstream(
        {"dialect": "dashscope", "api_key": "k"},
        "/api/v1",
        "qwen-plus",
        _dashscope_calls,
        _dashscope_returned,
    ),
    "qianfan": ToolUpstream(
        {"dialect": "qianfan", "api_key": "k"},
        "/v2",
        "m",
        partial(_openai_calls, dialect="qianfan"),
        _openai_returned,
    ),
    "qianfan-v1": ToolUpstream(
        {"dialect": "qianfan-v1", "api_key": "k", "secret_key": "s"},
        "",
        "m",
        _qianfan_v1_calls,
        _qianfan_v1_returned,
        has_ids=False,
        calls_at_once=1,
    ),
    "anthropic": ToolUpstream(
        {"dialect": "anthropic", "api_key": "k"}, "", "m", _anthropic_calls, _anthropic_returned
    ),
    "openai-responses": ToolUpstream(
        {"dialect": "openai-responses", "api_key": "k"},
        "/v1",
        "gpt-5-example",
        _responses_calls,
        _responses_returned,
    ),
    "gemini": ToolUpstream(
        {"dialect": "gemini", "api_key": "k"},
        "/v1beta",
        "gemini-3.5-flash-lite",
        _gemini_calls,
        _gemini_returned,
    ),
    "ollama": ToolUpstream({"dialect": "ollama"}, "", "m", _ollama_calls, _ollama_returned),
}
