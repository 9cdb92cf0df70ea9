"""Talks with the Messages API through Anthropic's SDK, in a process of its own.

    python anthropic_sdk.py URL QUESTION

QUESTION is JSON: {"create": {…}, "messages": […], "results": {…}, "times": 3}. So many requests are
made, each with all messages so far; `results` has what the tools say, by the ids of their calls, or
is null if all requests are the same. What the SDK made of each answer is printed as a list.
"""

import json
import sys
from typing import Any

import anthropic


def talk(url: str, question: dict[str, Any]) -> list[dict[str, Any]]:
    client = anthropic.Anthropic(base_url=url, api_key="sk-ant-example", max_retries=0)
    messages = question["messages"]
    answers = []
    for _ in range(question["times"]):
        said: dict[str, Any] = {"text": "", "thinking": "", "error": None}
        try:
            with client.messages.stream(messages=messages, **question["create"]) as stream:
                for event in stream:
                    note(event, said)
                message = stream.get_final_message()
            said |= message.model_dump(mode="json", exclude_none=True)
            if question["results"] is not None:
                results = [
                    {
                        "type": "tool_result",
                        "tool_use_id": block.id,
                        "content": question["results"][block.id],
                    }
                    for block in message.content
                    if block.type == "tool_use"
                ]
                # As the SDK's guide has it: the blocks go back as they came.
                answer = {"role": "assistant", "content": message.content}
                messages = [*messages, answer, {"role": "user", "content": results}]
        except anthropic.APIStatusError as error:
            said["error"] = error.body["error"]["type"]
        answers.append(said)
    return answers


def note(event: Any, said: dict[str, Any]) -> None:
    if event.type in ("text", "thinking"):
        said[event.type] += getattr(event, event.type)


if __name__ == "__main__":
    answers = talk(sys.argv[1], json.loads(sys.argv[2]))
    sys.stdout.buffer.write(b"\n" + json.dumps(answers).encode() + b"\n")
