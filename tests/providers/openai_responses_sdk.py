"""Talks with the Responses API through OpenAI's SDK, in a process of its own.

    python openai_responses_sdk.py URL QUESTION

QUESTION is JSON: {"create": [{…}, …], "input": […], "results": {…}}. One request is made for each
of `create`, with all items so far; `results` has what the tools say, by the ids of their calls, or
is null if the items stay the same. What the SDK made of each answer is printed as a list.
"""

import json
import sys
from typing import Any

import openai


def talk(url: str, question: dict[str, Any]) -> list[dict[str, Any]]:
    client = openai.OpenAI(base_url=url, api_key="sk-example", max_retries=0)
    items = question["input"]
    answers = []
    for create in question["create"]:
        said: dict[str, Any] = {"text": "", "refusal": "", "reasoning": "", "arguments": ""}
        said |= {"error": None, "status": None}
        try:
            for event in client.responses.create(stream=True, input=items, **create):
                note(event, said)
                if event.type in ("response.completed", "response.incomplete"):
                    output = event.response.output
                    said["output"] = [dump(item) for item in output]
                    said["status"] = event.response.status
                    said["usage"] = dump(event.response.usage)
                    if question["results"] is not None:
                        calls = (item.call_id for item in output if item.type == "function_call")
                        results = [result(each, question["results"][each]) for each in calls]
                        items = [*items, *said["output"], *results]
        except openai.OpenAIError as error:
            said["error"] = type(error).__name__
        answers.append(said)
    return answers


def note(event: Any, said: dict[str, Any]) -> None:
    match event.type:
        case "response.output_text.delta":
            said["text"] += event.delta
        case "response.refusal.delta":
            said["refusal"] += event.delta
        case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
            said["reasoning"] += event.delta
        case "response.function_call_arguments.delta":
            said["arguments"] += event.delta
        case "response.failed":
            said["error"] = event.response.error.code
        case "error":
            said["error"] = event.code


def dump(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_none=True)


def result(call_id: str, text: str) -> dict[str, str]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


if __name__ == "__main__":
    answers = talk(sys.argv[1], json.loads(sys.argv[2]))
    sys.stdout.buffer.write(b"\n" + json.dumps(answers).encode() + b"\n")
