"""Talks with Gemini through Google's SDK, in a process of its own.

    python gemini_sdk.py URL QUESTIONS

QUESTIONS is a list in JSON of {"model": …, "config": {…}, "contents": […], "times": 3}. So many
requests are made for each, with all contents so far; calls are answered with what `answer` says.
What the SDK made of all answers is printed as a list.
"""

import json
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")  # the SDK's own, about libraries

from google import genai  # noqa: E402
from google.genai import errors, types  # noqa: E402


def talk(url: str, question: dict[str, Any]) -> list[dict[str, Any]]:
    options = types.HttpOptions(base_url=url, api_version="v1beta")
    client = genai.Client(api_key="key-example", vertexai=False, http_options=options)
    written = map(json.dumps, question["contents"])
    contents = [types.Content.model_validate_json(each) for each in written]
    answers = []
    for _ in range(question["times"]):
        said: dict[str, Any] = {"text": "", "reasoning": "", "calls": [], "finish": None}
        said |= {"error": None, "block": None, "tokens": None}
        parts: list[types.Part] = []
        try:
            for chunk in client.models.generate_content_stream(
                model=question["model"], contents=contents, config=question["config"]
            ):
                note(chunk, said, parts)
        except errors.APIError as error:
            said["error"] = error.code
        answers.append(said)
        if parts:
            contents.append(types.Content(role="model", parts=parts))
            results = [result(part) for part in parts if part.function_call is not None]
            if results:
                contents.append(types.Content(role="user", parts=results))
    return answers


def note(chunk: Any, said: dict[str, Any], parts: list[Any]) -> None:
    if chunk.prompt_feedback is not None:
        said["block"] = chunk.prompt_feedback.block_reason
    if chunk.usage_metadata is not None:
        usage = chunk.usage_metadata
        made = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        said["tokens"] = [usage.prompt_token_count, made]
    for candidate in chunk.candidates or []:
        said["finish"] = candidate.finish_reason or said["finish"]
        if candidate.content is None:
            continue
        for part in candidate.content.parts or []:
            parts.append(part)
            if part.function_call is not None:
                said["calls"].append([part.function_call.name, part.function_call.args or {}])
            elif part.text:
                said["reasoning" if part.thought else "text"] += part.text


def result(part: Any) -> Any:
    call = part.function_call
    response = answer(call.name, call.args or {})
    named = types.FunctionResponse(id=call.id, name=call.name, response=response)
    return types.Part(function_response=named)


def answer(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a tool says."""
    return {"output": f"{name} of {json.dumps(arguments, sort_keys=True, ensure_ascii=False)}"}


if __name__ == "__main__":
    answers = [said for each in json.loads(sys.argv[2]) for said in talk(sys.argv[1], each)]
    sys.stdout.buffer.write(b"\n" + json.dumps(answers).encode() + b"\n")
