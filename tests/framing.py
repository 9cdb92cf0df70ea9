"""How each API frames an answer: one event per piece, and the event or events that end it.

Written after the recorded samples, and proved by the official SDKs (`providers/test_sdks.py`).
"""

import json

from tests import anthropic_framing, gemini_framing, ollama_framing

USAGE = (7, 11)  # tokens in and out, of answers that are not about usage

Usage = tuple[int, int]


def piece(dialect: str, number: int, text: str, reasoning: str = "") -> bytes:
    """The piece of that number: 0, 1, 2…; it has text or reasoning."""
    if dialect in ("dashscope", "dashscope-multimodal"):
        so_far = (USAGE[0], number + 1)
        return _dashscope(dialect, number, text, reasoning, "null", so_far)
    if dialect == "qianfan-v1":
        return _qianfan_v1(number, text, False, "normal", (USAGE[0], number + 1))
    if dialect == "anthropic":  # each piece is a block of its own
        begin = anthropic_framing.start(USAGE[0]) if number == 0 else b""
        if reasoning:
            return begin + anthropic_framing.thinking(number, reasoning)
        return begin + anthropic_framing.text(number, text)
    if dialect == "gemini":
        said = gemini_framing.thought(reasoning) if reasoning else gemini_framing.text(text)
        return gemini_framing.parts(said, promptTokenCount=USAGE[0])
    if dialect == "ollama":
        return ollama_framing.piece(text, **({"thinking": reasoning} if reasoning else {}))
    delta: dict[str, object] = {"content": text}
    if reasoning:
        delta = {"content": None, "reasoning_content": reasoning}
    if number == 0:
        delta["role"] = "assistant"
    running: dict[str, object] = {"logprobs": None, "finish_reason": None}
    if dialect == "qianfan":  # the key is absent there
        running = {"flag": 0}
    return _chunk([{"index": 0, "delta": delta, **running}])


def tool_call(index: int, arguments: str, call_id: str = "", name: str = "") -> bytes:
    """A piece of a tool call, as OpenAI frames it; its first one has an id and a name."""
    call: dict[str, object] = {"index": index, "function": {"arguments": arguments}}
    if call_id:
        function = {"name": name, "arguments": arguments}
        call = {"index": index, "id": call_id, "type": "function", "function": function}
    choice = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    return _chunk([choice])


def whole_tool_call(
    dialect: str, number: int, index: int, call_id: str, name: str, arguments: str
) -> bytes:
    """The piece of that number: a whole tool call, which is that of `index` in its answer."""
    function = {"name": name, "arguments": arguments}
    call = {"index": index, "id": call_id, "type": "function", "function": function}
    if dialect in ("dashscope", "dashscope-multimodal"):
        so_far = (USAGE[0], number + 1)
        return _dashscope(dialect, number, "", "", "null", so_far, tool_calls=[call])
    if dialect == "qianfan-v1":  # it has neither an index nor an id
        thought = {**function, "thoughts": "so"}
        return _qianfan_v1(number, "", False, "normal", USAGE, function_call=thought)
    if dialect == "ollama":  # an older server's: it has no ids, and all indexes are 0
        made = ollama_framing.call(name, json.loads(arguments))
        return ollama_framing.piece(tool_calls=[made])
    assert dialect in ("openai", "qianfan"), dialect
    return tool_call(index, arguments, call_id, name)


def finish(dialect: str, number: int, reason: str, usage: Usage | None) -> bytes:
    """What ends an answer, with usage if there is any."""
    if dialect in ("dashscope", "dashscope-multimodal"):
        return _dashscope(dialect, number, "", "", reason, usage)
    if dialect == "qianfan-v1":
        return _qianfan_v1(number, "", True, "normal" if reason == "stop" else reason, usage)
    if dialect == "anthropic":
        begin = anthropic_framing.start(usage[0] if usage else 0) if number == 0 else b""
        return begin + anthropic_framing.end(reason, usage[1] if usage else 0)
    if dialect == "gemini":
        return gemini_framing.parts(reason=reason, **gemini_framing.usage(*usage or (0, 0)))
    if dialect == "ollama":
        return ollama_framing.end(reason, usage)
    done = b"data: [DONE]\n\n"
    if dialect == "qianfan":  # usage in the finish chunk
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": reason, "flag": 0}
        return _chunk([choice], usage) + done
    end = _chunk([{"index": 0, "delta": {}, "finish_reason": reason}])
    return end + (_chunk([], usage) if usage else b"") + done


def _chunk(choices: list[dict[str, object]], usage: Usage | None = None) -> bytes:
    """An event of OpenAI's shape."""
    body: dict[str, object] = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": "scripted",
        "choices": choices,
    }
    if usage:
        body["usage"] = _totals(usage)
    return b"data: " + _json(body) + b"\n\n"


def _totals(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage[0],
        "completion_tokens": usage[1],
        "total_tokens": sum(usage),
    }


def _dashscope(
    dialect: str,
    number: int,
    text: str,
    reasoning: str,
    reason: str,
    usage: Usage | None,
    **more: object,
) -> bytes:
    message: dict[str, object] = {"content": text, "role": "assistant", **more}
    if dialect == "dashscope-multimodal":  # a list, which is empty at the end
        message["content"] = [{"text": text}] if text else []
    if reasoning:
        message["reasoning_content"] = reasoning
    body: dict[str, object] = {
        "output": {"choices": [{"message": message, "finish_reason": reason}]},
        "request_id": "scripted-0000",
        "usage": {},
    }
    if usage:
        body["usage"] = {
            "input_tokens": usage[0],
            "output_tokens": usage[1],
            "total_tokens": sum(usage),
        }
    head = f"id:{number + 1}\nevent:result\n:HTTP_STATUS/200\ndata:"
    return head.encode() + _json(body) + b"\n\n"


def _qianfan_v1(
    number: int, text: str, is_end: bool, reason: str, usage: Usage | None, **more: object
) -> bytes:
    body = {
        **more,
        "id": "as-scripted",
        "object": "chat.completion",
        "created": 1790000000,
        "sentence_id": number,
        "is_end": is_end,
        "is_truncated": reason == "length",
        "result": text,
        "need_clear_history": False,
        "finish_reason": reason,
        "usage": _totals(usage) if usage else {},
    }
    return b"data: " + _json(body) + b"\n\n"


def _json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
