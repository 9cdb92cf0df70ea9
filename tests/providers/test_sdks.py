"""The scripted upstreams are faithful: the official SDKs read them, and read what we read.

Moreover our requests are theirs: the same path, key and body for the same question.
"""

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from model.messages import Role
from model.prompt import Prompt, text_turn
from providers.dashscope import DashScope
from providers.dialect import Dialect, OutgoingRequest
from providers.openai import OpenAI
from providers.qianfan import Qianfan
from providers.qianfan_v1 import QianfanV1
from tests.providers.outcome import EXPECTED, SAMPLES, read
from tests.upstreams import ScriptedUpstream

OFFICIAL_SDK = Path(__file__).with_name("official_sdk.py")

KEYS = {"api_key": "sk-example", "secret_key": "secret-example"}

# For each dialect the question as its SDK takes it, and as we do.
TURNS = [("user", "你好"), ("assistant", "你好！"), ("user", "再见")]
MESSAGES = [{"role": role, "content": text} for role, text in TURNS]
KNOBS = {"temperature": 0.5, "top_p": 0.25, "stop": ["。"]}
OPENAI_SHAPED = {
    "messages": [{"role": "system", "content": "简短"}, *MESSAGES],
    "max_tokens": 99,
    **KNOBS,
}
PROMPTS: dict[str, dict[str, Any]] = {
    "openai": {"model": "gpt-example", **OPENAI_SHAPED},
    "dashscope": {"model": "qwen-example", **OPENAI_SHAPED},
    "qianfan": {
        "model": "ernie-example",
        "stream_options": {"include_usage": True},
        **OPENAI_SHAPED,
    },
    "qianfan-v1": {
        "model": "ERNIE-4.0-8K",
        "messages": MESSAGES,
        "system": "简短",
        "max_output_tokens": 99,
        **KNOBS,
    },
}

# Samples that each SDK can read; sse.md of the wire notes tells which traps break which SDK.
READ_BY_SDK = {
    "openai": [
        *("openai-usage.sse", "openai-tools.sse", "openai-length.sse", "deepseek-reasoning.sse"),
        *("deepseek-keepalive.sse", "moonshot.sse", "zhipu.sse", "vllm-reasoning.sse"),
        *("llamacpp.sse", "openrouter-processing.sse", "qwen-compat-thinking.sse"),
        *("quirk-cr.sse", "quirk-crlf.sse", "quirk-fields.sse", "quirk-multiline.sse"),
        *("quirk-null-choices.sse", "quirk-u2028.sse", "qianfan-v2.sse"),
    ],
    "dashscope": ["dashscope-incremental.sse", "dashscope-thinking.sse", "dashscope-tools.sse"],
    "qianfan": ["qianfan-v2.sse", "qianfan-v2-normal.sse", "qianfan-v2-reasoning.sse"],
    "qianfan-v1": ["qianfan-v1.sse", "qianfan-v1-truncated.sse", "qianfan-v1-unsafe.sse"],
}
# ... and which it reports as errors.
REFUSED_BY_SDK = {
    "openai": ["openai-error-midstream.sse", "openai-error-401.json", "vllm-error-midstream.sse"],
    "dashscope": ["dashscope-error.json", "dashscope-error-midstream.sse"],
    "qianfan": ["qianfan-v2-error-auth.json"],
    "qianfan-v1": ["qianfan-v1-error.json", "qianfan-v1-error-midstream.sse"],
}


def ours(dialect: str, upstream: ScriptedUpstream) -> Dialect:
    url = upstream.base_url(dialect)
    if dialect == "openai":
        return OpenAI(url)
    if dialect == "dashscope":
        return DashScope(url)
    if dialect == "qianfan":
        return Qianfan(url)
    return QianfanV1(url)


async def sdk_reads(
    sdk: str,
    upstream: ScriptedUpstream,
    times: int = 1,
    prompt: dict[str, Any] | None = None,
    **more: str,
) -> list[Any]:
    """What the official SDK made of the next answers."""
    question = {"prompt": prompt or PROMPTS[sdk], "times": times, **KEYS, **more}
    url = upstream.base_url(sdk.removesuffix("-multimodal"))
    command = [sys.executable, OFFICIAL_SDK, sdk, url]
    theirs = ("OPENAI_", "DASHSCOPE_", "QIANFAN_")  # a developer may have set them
    environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    run = partial(
        subprocess.run,
        [*command, json.dumps(question)],
        capture_output=True,
        check=True,
        timeout=25,
        env=environment,
        cwd=OFFICIAL_SDK.parent,  # qianfan reads a `.env` where it stands
    )
    finished = await asyncio.get_running_loop().run_in_executor(None, run)
    outcomes: list[Any] = json.loads(finished.stdout.splitlines()[-1])
    return outcomes


@pytest.mark.slow
@pytest.mark.parametrize("dialect", PROMPTS)
@pytest.mark.gen_test
async def test_the_sdk_reads_what_is_scripted(dialect: str, upstream: ScriptedUpstream) -> None:
    upstream.tokens("你好", "，", "world 🐻")
    upstream.finish()
    samples = READ_BY_SDK[dialect] + REFUSED_BY_SDK[dialect]
    for sample in samples:
        upstream.next_request()
        upstream.sample(sample, status=EXPECTED[sample].get("http_status", 200))

    scripted, *recorded = await sdk_reads(dialect, upstream, 1 + len(samples))

    assert {"text": "你好，world 🐻", "error": None} == scripted
    for sample, theirs in zip(samples, recorded, strict=True):
        status = EXPECTED[sample].get("http_status", 200)
        mine = read(ours(dialect, upstream), [(SAMPLES / sample).read_bytes()], status=status)
        assert mine.text_ == theirs["text"], sample
        assert (mine.error is None) == (theirs["error"] is None), (sample, theirs)
    check_request(dialect, upstream)


def check_request(dialect: str, upstream: ScriptedUpstream) -> None:
    """Our request for the same question is the SDK's."""
    theirs = upstream.requests[0]
    prompt = Prompt(
        model=PROMPTS[dialect]["model"],
        turns=tuple(text_turn(Role(role), text) for role, text in TURNS),
        system="简短",
        max_tokens=99,
        temperature=0.5,
        top_p=0.25,
        stop=("。",),
    )
    credential = upstream.token if dialect == "qianfan-v1" else KEYS["api_key"]
    mine = ours(dialect, upstream).request(prompt, credential)
    assert (upstream.url + theirs.target) == mine.url
    body = theirs.json
    body.pop("extra_parameters", None)  # by which qianfan's SDK names itself
    assert body == json.loads(mine.body)
    for name in ("Authorization", "X-DashScope-SSE"):
        assert theirs.headers.get(name) == mine.headers.get(name)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_sdk_fetches_its_token_as_we_do(upstream: ScriptedUpstream) -> None:
    upstream.finish()
    await sdk_reads("qianfan-v1", upstream)
    [theirs] = upstream.token_requests
    dialect = ours("qianfan-v1", upstream)
    assert isinstance(dialect, QianfanV1)
    mine: OutgoingRequest = dialect.access_token_request(KEYS["api_key"], KEYS["secret_key"])
    assert (upstream.url + theirs.target, theirs.body) == (mine.url, mine.body)
    assert "POST" == theirs.method


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_sdk_renews_a_token_that_expired(upstream: ScriptedUpstream) -> None:
    upstream.tokens("你好")
    upstream.finish()
    outcomes = await sdk_reads("qianfan-v1", upstream, access_token="24.of-last-month")
    assert [{"text": "你好", "error": None}] == outcomes
    tokens = [request.query["access_token"] for request in upstream.requests]
    assert ["24.of-last-month", upstream.token] == tokens
