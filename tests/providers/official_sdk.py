"""Reads answers with a provider's official SDK, in a process of its own.

    python official_sdk.py openai|dashscope|dashscope-multimodal|qianfan|qianfan-v1 URL QUESTION

QUESTION is JSON: {"prompt": {…}, "times": 3, …}; what the SDK made of each answer is printed as a
list of {"text", "error"}. A process of its own, because the SDKs take addresses and keys from the
environment as they are imported, start threads, and warn about themselves.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

Question = dict[str, Any]
Ask = Callable[[str, Question], Iterator[str]]


def ask_openai(url: str, question: Question) -> Iterator[str]:
    import openai

    client = openai.OpenAI(base_url=url, api_key=question["api_key"], max_retries=0)
    stream = client.chat.completions.create(
        stream=True, stream_options={"include_usage": True}, **question["prompt"]
    )
    for chunk in stream:
        for choice in chunk.choices:
            yield choice.delta.content or ""


def ask_dashscope(url: str, question: Question) -> Iterator[str]:
    import dashscope

    dashscope.base_http_api_url = url
    answer = dashscope.Generation.call(
        api_key=question["api_key"],
        stream=True,
        result_format="message",
        incremental_output=True,
        **question["prompt"],
    )
    for response in answer:
        if response.status_code != 200:
            raise RuntimeError(response.code)
        for choice in response.output.choices or []:
            yield choice.message.content


def ask_dashscope_multimodal(url: str, question: Question) -> Iterator[str]:
    import dashscope

    dashscope.base_http_api_url = url
    answer = dashscope.MultiModalConversation.call(
        api_key=question["api_key"],
        stream=True,
        result_format="message",
        incremental_output=True,
        **question["prompt"],
    )
    for response in answer:
        if response.status_code != 200:
            raise RuntimeError(response.code)
        for choice in response.output.choices or []:
            yield "".join(part.get("text", "") for part in choice.message.content)


def ask_qianfan(url: str, question: Question) -> Iterator[str]:
    os.environ["QIANFAN_CONSOLE_API_BASE_URL"] = url.removesuffix("/v2")
    os.environ["QIANFAN_BEARER_TOKEN"] = question["api_key"]
    import qianfan

    answer = qianfan.ChatCompletion(version="2").do(
        stream=True, retry_count=1, **question["prompt"]
    )
    for chunk in answer:
        for choice in chunk["choices"]:
            yield choice["delta"].get("content") or ""


def ask_qianfan_v1(url: str, question: Question) -> Iterator[str]:
    os.environ["QIANFAN_BASE_URL"] = url
    os.environ["QIANFAN_AK"] = question["api_key"]
    os.environ["QIANFAN_SK"] = question["secret_key"]
    os.environ["QIANFAN_ACCESS_TOKEN"] = question.get("access_token", "")
    import qianfan

    answer = qianfan.ChatCompletion(version="1").do(
        stream=True, retry_count=1, **question["prompt"]
    )
    for event in answer:
        yield event["result"]


SDKS: dict[str, Ask] = {
    "openai": ask_openai,
    "dashscope": ask_dashscope,
    "dashscope-multimodal": ask_dashscope_multimodal,
    "qianfan": ask_qianfan,
    "qianfan-v1": ask_qianfan_v1,
}


def main(sdk: str, url: str, question: Question) -> None:
    outcomes = []
    for _ in range(question.get("times", 1)):
        text, error = "", None
        try:
            for piece in SDKS[sdk](url, question):
                text += piece
        except Exception as raised:  # noqa: BLE001 - whatever the SDK makes of an error
            error = f"{type(raised).__name__}: {raised}"
        outcomes.append({"text": text, "error": error})
    sys.stdout.buffer.write(b"\n" + json.dumps(outcomes).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
