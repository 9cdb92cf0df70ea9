"""LiteLLM's SDK asks, by chat completions and by responses: `way` says what.

It runs in an environment of its own. Each line that it reads is a call, whose result is a line.
"""

import asyncio
import json
import os
import sys
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its list of prices

import litellm


async def stream(ask: dict[str, Any]) -> Any:
    chunks = await litellm.acompletion(stream=True, stream_options={"include_usage": True}, **ask)
    seen: dict[str, Any] = {"text": "", "reasoning": "", "finish": None, "usage": None}
    async for chunk in chunks:
        for choice in chunk.choices:
            seen["text"] += choice.delta.content or ""
            seen["reasoning"] += getattr(choice.delta, "reasoning_content", None) or ""
            seen["finish"] = choice.finish_reason or seen["finish"]
        if usage := getattr(chunk, "usage", None):
            seen["usage"] = usage.total_tokens
    return seen


async def endings(ask: dict[str, Any]) -> Any:
    """What it makes of an answer that ran out of tokens, and of one that broke off."""
    return [await ending(ask), await ending(ask)]


async def ending(ask: dict[str, Any]) -> list[str]:
    text, finish = "", "silence"
    try:
        async for chunk in await litellm.acompletion(stream=True, **ask):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
    except Exception as error:  # noqa: BLE001 - its class is what is asked for
        return [text, type(error).__name__]
    return [text, finish]


async def tools(ask: dict[str, Any], result: str) -> Any:
    messages = ask.pop("messages")
    first = await litellm.acompletion(messages=messages, **ask)
    message = first.choices[0].message
    [call] = message.tool_calls
    said = {"role": "tool", "tool_call_id": call.id, "content": result}
    second = await litellm.acompletion(messages=[*messages, message, said], **ask)
    return {
        "call": [call.id, call.function.name, call.function.arguments],
        "text": second.choices[0].message.content,
    }


async def response(ask: dict[str, Any]) -> Any:
    # It streams responses only of models that it knows to.
    known = {
        "litellm_provider": "openai",
        "mode": "responses",
        "supports_native_streaming": True,
    }
    names = [ask["model"], ask["model"].partition("/")[2]]
    litellm.register_model(dict.fromkeys(names, known))
    seen: dict[str, Any] = {"text": "", "reasoning": "", "last": None}
    async for event in await litellm.aresponses(stream=True, **ask):
        kind = str(getattr(event.type, "value", event.type))
        if kind == "response.output_text.delta":
            seen["text"] += event.delta
        if kind == "response.reasoning_summary_text.delta":
            seen["reasoning"] += event.delta
        seen["last"] = kind
    for name in names:  # it would ask for the completions of other tests by responses, too
        del litellm.model_cost[name]
    return seen


async def main() -> None:
    results, sys.stdout = sys.stdout, sys.stderr  # LiteLLM prints notes for people
    ways = {"stream": stream, "endings": endings, "tools": tools, "response": response}
    while line := await asyncio.to_thread(sys.stdin.readline):
        given = json.loads(line)
        result = await ways[given.pop("way")](**given)
        results.write(json.dumps(result) + "\n")
        results.flush()


asyncio.run(main())
