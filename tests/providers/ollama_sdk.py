"""Talks with Ollama through its own SDK, in a process of its own.

    python ollama_sdk.py URL QUESTION

QUESTION is JSON: {"chat": {…}, "messages": […], "results": {…}, "times": 3}. So many requests are
made, each with all messages so far; `results` has what the tools say, by their names, or is null if
all requests are the same. What the SDK made of each answer is printed as a list.
"""

import json
import sys
from typing import Any

import ollama


def talk(url: str, question: dict[str, Any]) -> list[dict[str, Any]]:
    client = ollama.Client(host=url)
    messages = question["messages"]
    answers = []
    for _ in range(question["times"]):
        said: dict[str, Any] = {"text": "", "reasoning": "", "calls": [], "error": None}
        said |= {"finish": None, "tokens": None}
        try:
            for part in client.chat(messages=messages, stream=True, **question["chat"]):
                note(part, said)
        except ollama.ResponseError as error:
            said["error"] = error.status_code
        answers.append(said)
        if question["results"] is not None:
            messages = [*messages, answer(said), *results(said, question["results"])]
    return answers


def note(part: Any, said: dict[str, Any]) -> None:
    message = part.message
    said["text"] += message.content or ""
    said["reasoning"] += message.thinking or ""
    for call in message.tool_calls or ():
        said["calls"].append({"name": call.function.name, "arguments": call.function.arguments})
    if part.done:
        said["finish"] = part.done_reason
        if part.prompt_eval_count is not None:
            said["tokens"] = [part.prompt_eval_count, part.eval_count or 0]


def answer(said: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": said["text"], "thinking": said["reasoning"]}
    return {**message, "tool_calls": [{"function": call} for call in said["calls"]]}


def results(said: dict[str, Any], by_name: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"role": "tool", "content": by_name[call["name"]], "tool_name": call["name"]}
        for call in said["calls"]
    ]


if __name__ == "__main__":
    answers = talk(sys.argv[1], json.loads(sys.argv[2]))
    sys.stdout.buffer.write(b"\n" + json.dumps(answers).encode() + b"\n")
