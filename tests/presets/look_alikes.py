"""Servers that look like each vendor's: its address, its key, the fields it takes, its stream.

The table is written from the vendors' documentation, without a look at the presets, so that a wrong
one shows. A look-alike is strict: another path, another header or a field that the vendor does not
know is refused, also where the vendor would ignore the field.
"""

import json
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tests.upstream_apis import refusal
from tests.upstreams import SAMPLES, Request, ScriptedUpstream

KEY: Final = "key-of-the-vendor"

_BEARER: Final = ("Authorization", f"Bearer {KEY}")
_USUAL: Final = frozenset({"model", "messages", "stream", "stream_options", "temperature"})
_CHAT: Final = _USUAL | {"max_tokens"}
_NEWER: Final = _USUAL | {"max_completion_tokens"}

_EXPECTED: Final = json.loads((SAMPLES / "expected.json").read_text("utf-8"))


class Vendor(NamedTuple):
    """One vendor. `stream` is a sample's name, or chunks in the vendor's way and their text."""

    address: str  # of chat, whole
    variables: dict[str, str]
    stream: str | tuple[tuple[str, ...], str]
    fields: frozenset[str] | None = _CHAT  # of a request; None: those of a strict script
    header: tuple[str, str] = _BEARER

    @property
    def path(self) -> str:
        return urlsplit(self.address).path

    @property
    def query(self) -> str:
        return urlsplit(self.address).query

    @property
    def text(self) -> str:
        """What the answer's text is."""
        text: str = (
            _EXPECTED[self.stream]["text"] if isinstance(self.stream, str) else self.stream[1]
        )
        return text

    @property
    def body(self) -> bytes:
        if isinstance(self.stream, str):
            return (SAMPLES / self.stream).read_bytes()
        return "".join(f"data: {chunk}\n\n" for chunk in (*self.stream[0], "[DONE]")).encode()


# The first chunk has no choice; each further one has the filter's verdict.
_AZURE = (
    (
        '{"choices":[],"id":"","object":"","model":"","prompt_filter_results":[{"prompt_index":0,'
        '"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}',
        '{"choices":[{"index":0,"content_filter_results":{},"delta":{"role":"assistant",'
        '"content":""},"finish_reason":null,"logprobs":null}],"usage":null}',
        '{"choices":[{"index":0,"content_filter_results":{"hate":{"filtered":false}},'
        '"delta":{"content":"蓝天"},"finish_reason":null}],"usage":null}',
        '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}',
        '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}',
    ),
    "蓝天",
)
# Usage comes in the finish chunk without being asked for; `p` is padding.
_MISTRAL = (
    (
        '{"id":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},'
        '"finish_reason":null}],"p":"abcdefgh"}',
        '{"id":"m","choices":[{"index":0,"delta":{"content":"le vent"},"finish_reason":null}]}',
        '{"id":"m","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],'
        '"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7},"p":"abc"}',
    ),
    "le vent",
)
# `x_groq` has the request's id, and at the end usage once more.
_GROQ = (
    (
        '{"id":"g","choices":[{"index":0,"delta":{"role":"assistant","content":""},'
        '"finish_reason":null}],"x_groq":{"id":"req_1"}}',
        '{"id":"g","choices":[{"index":0,"delta":{"content":"fast"},"finish_reason":null}]}',
        '{"id":"g","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
        '"x_groq":{"id":"req_1","usage":{"prompt_tokens":4,"completion_tokens":1}}}',
        '{"id":"g","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":1,"total_time":0.1}}',
    ),
    "fast",
)
# Reasoning comes apart where it is asked for; the whole message comes once more after its pieces.
_MINIMAX = (
    (
        '{"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"",'
        '"reasoning_details":[{"type":"reasoning.text","id":"r","index":0,"text":"a shell"}]}}]}',
        '{"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"海螺"}}],'
        '"base_resp":{"status_code":0,"status_msg":""}}',
        '{"id":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",'
        '"content":"海螺"}}],"object":"chat.completion","usage":{"total_tokens":9,'
        '"prompt_tokens":7,"completion_tokens":2},"base_resp":{"status_code":0,"status_msg":""}}',
    ),
    "海螺",
)

_PLAIN: Final = "openai-usage.sse"

VENDORS: Final[dict[str, Vendor]] = {
    "openai": Vendor(
        "https://api.openai.com/v1/chat/completions", {"OPENAI_API_KEY": KEY}, _PLAIN, _NEWER
    ),
    "azure-openai": Vendor(
        "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21",
        {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "{url}/"},
        _AZURE,
        _NEWER,
        ("api-key", KEY),
    ),
    "dashscope": Vendor(
        "https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation",
        {"DASHSCOPE_API_KEY": KEY},
        "dashscope-incremental.sse",
        frozenset({"model", "input", "parameters"}),
    ),
    "dashscope-intl": Vendor(
        "https://dashscope-intl.aliyuncs.com/api/v1/services/aigc/text-generation/generation",
        {"HEADRACE_PROVIDERS__DASHSCOPE-INTL__API_KEY": KEY},
        "dashscope-incremental.sse",
        frozenset({"model", "input", "parameters"}),
    ),
    "qianfan": Vendor(
        "https://qianfan.baidubce.com/v2/chat/completions",
        {"QIANFAN_API_KEY": KEY},
        "qianfan-v2.sse",
    ),
    "qianfan-v1": Vendor(
        "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/ernie-speed-128k"
        f"?access_token={KEY}",
        {"QIANFAN_ACCESS_TOKEN": KEY},
        "qianfan-v1.sse",
        frozenset({"messages", "stream", "temperature", "max_output_tokens"}),
        ("Content-Type", "application/json"),
    ),
    "openai-responses": Vendor(
        "https://api.openai.com/v1/responses",
        {"HEADRACE_PROVIDERS__OPENAI-RESPONSES__API_KEY": KEY},
        "openai-responses.sse",
        None,
    ),
    "anthropic": Vendor(
        "https://api.anthropic.com/v1/messages",
        {"ANTHROPIC_API_KEY": KEY},
        "anthropic-text.sse",
        None,
        ("x-api-key", KEY),
    ),
    "gemini": Vendor(
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.5-flash-lite"
        ":streamGenerateContent?alt=sse",
        {"GEMINI_API_KEY": KEY},
        "gemini.sse",
        None,
        ("x-goog-api-key", KEY),
    ),
    "ollama": Vendor(
        "http://127.0.0.1:11434/api/chat",
        {"OLLAMA_HOST": "{url}"},
        "ollama.ndjson",
        None,
        ("Content-Type", "application/json"),
    ),
    "deepseek": Vendor(
        "https://api.deepseek.com/chat/completions",
        {"DEEPSEEK_API_KEY": KEY},
        "deepseek-keepalive.sse",
    ),
    "moonshot": Vendor(
        "https://api.moonshot.cn/v1/chat/completions", {"MOONSHOT_API_KEY": KEY}, "moonshot.sse"
    ),
    "zhipu": Vendor(
        "https://open.bigmodel.cn/api/paas/v4/chat/completions",
        {"ZHIPUAI_API_KEY": KEY},
        "zhipu.sse",
    ),
    "minimax": Vendor(
        "https://api.minimaxi.com/v1/chat/completions",
        {"MINIMAX_API_KEY": KEY},
        _MINIMAX,
        _CHAT | {"reasoning_split"},
    ),
    "doubao": Vendor(
        "https://ark.cn-beijing.volces.com/api/v3/chat/completions",
        {"ARK_API_KEY": KEY},
        "deepseek-reasoning.sse",
    ),
    "hunyuan": Vendor(
        "https://api.hunyuan.cloud.tencent.com/v1/chat/completions",
        {"HUNYUAN_API_KEY": KEY},
        _PLAIN,
    ),
    "siliconflow": Vendor(
        "https://api.siliconflow.cn/v1/chat/completions",
        {"SILICONFLOW_API_KEY": KEY},
        "deepseek-reasoning.sse",
    ),
    "openrouter": Vendor(
        "https://openrouter.ai/api/v1/chat/completions",
        {"OPENROUTER_API_KEY": KEY},
        "openrouter-processing.sse",
    ),
    "groq": Vendor(
        "https://api.groq.com/openai/v1/chat/completions", {"GROQ_API_KEY": KEY}, _GROQ, _NEWER
    ),
    "mistral": Vendor(
        "https://api.mistral.ai/v1/chat/completions",
        {"MISTRAL_API_KEY": KEY},
        _MISTRAL,
        _CHAT - {"stream_options"},
    ),
    "xai": Vendor("https://api.x.ai/v1/chat/completions", {"XAI_API_KEY": KEY}, _PLAIN),
    "together": Vendor(
        "https://api.together.xyz/v1/chat/completions", {"TOGETHER_API_KEY": KEY}, _PLAIN
    ),
    "vllm": Vendor(
        "http://127.0.0.1:8000/v1/chat/completions", {"VLLM_API_KEY": KEY}, "vllm-reasoning.sse"
    ),
    "llamacpp": Vendor(
        "http://127.0.0.1:8080/v1/chat/completions", {"LLAMA_API_KEY": KEY}, "llamacpp.sse"
    ),
}


class LookAlike(ScriptedUpstream):
    """A vendor's server on a loopback port. `refusals` says what was wrong with requests."""

    def __init__(self, vendor: Vendor) -> None:
        super().__init__()
        self._vendor = vendor
        self.refusals: list[str] = []

    def take(self, request: Request) -> None:
        """Answer as the vendor does."""
        self.requests.append(request)
        if wrong := self._wrong(request):
            self.refusals.append(wrong)
            _send(request, 400, json.dumps({"error": {"message": wrong}}).encode(), "json")
            return
        kind = "x-ndjson" if str(self._vendor.stream).endswith("ndjson") else "event-stream"
        _send(request, 200, self._vendor.body, kind)

    def _wrong(self, request: Request) -> str:
        vendor = self._vendor
        path = vendor.path + (f"?{vendor.query}" if vendor.query else "")
        if (request.method, request.target) != ("POST", path):
            return f"{request.method} {request.target}"
        name, value = vendor.header
        if request.headers.get_list(name) != [value]:
            return f"{name}: {request.headers.get_list(name)}"
        if name not in ("Authorization", "Content-Type") and "Authorization" in request.headers:
            return "two keys"
        if vendor.fields is not None:
            unknown = request.json.keys() - vendor.fields
            return f"unknown fields: {sorted(unknown)}" if unknown else ""
        refused = refusal(request.target, request.headers, request.body)
        return "" if refused is None else str(refused)


def _send(request: Request, status: int, body: bytes, kind: str) -> None:
    top = "application" if kind in ("json", "x-ndjson") else "text"
    request.send_head(status, Content_Type=f"{top}/{kind}")
    for start in range(0, len(body), 7):  # every character is cut somewhere
        request.send(body[start : start + 7])
    request.end()
