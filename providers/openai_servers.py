"""Where servers with OpenAI's API differ in what a request may ask, and how.

Most of them ignore a field that they do not know, so an option that a server lacks is refused here
rather than lost there. A server that is not in the table is sent OpenAI's fields and `top_k`.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from presets import InputKind
from providers.openai_options import (
    OPENAI_OPTIONS,
    always_parallel,
    any_json_only,
    effort_if_any,
    is_thinking,
    only_choices,
    stops,
    thinking_type,
)
from providers.options import Field, OptionTable


class ChatServer(NamedTuple):
    """One kind of server. `hosts` are the ends of its public names, each with a leading dot."""

    options: OptionTable
    hosts: tuple[str, ...] = ()
    pads_tokens: bool = False  # with random text that hides their lengths; a field turns it off
    # From the first tool call on reasoning has to be sent back, as `reasoning_content`.
    takes_reasoning: bool = False
    parts: frozenset[InputKind] = frozenset(("image", "image_url"))
    system_anywhere: bool = False  # else a system's message is refused if it is not the first one
    answers_results: bool = False  # an answer has to follow results, before a user's message
    call_id: Callable[[str], str] | None = None  # for servers that refuse others' ids of calls
    fields: Mapping[str, bool] = {}  # sent with every question, unless its `extra` has them


def _table(
    *lacking: str, **different: Field | tuple[Field, ...]
) -> dict[str, Field | tuple[Field, ...]]:
    return {
        **{name: field for name, field in OPENAI_OPTIONS.items() if name not in lacking},
        **different,
    }


def _short_id(call_id: str) -> str:
    """Mistral's own ids have nine letters and digits, and it refuses all others."""
    if len(call_id) == 9 and call_id.isascii() and call_id.isalnum():
        return call_id
    return sha256(call_id.encode()).hexdigest()[:9]


_WITH_FILES: Final[frozenset[InputKind]] = frozenset(("image", "image_url", "file"))

_TOP_K: Final = Field("top_k")
_PENALTIES: Final = ("presence_penalty", "frequency_penalty")
_THINKING: Final = Field("thinking.type", thinking_type)
_ENABLE_THINKING: Final = Field("enable_thinking", is_thinking)
_TEMPLATE_THINKING: Final = Field(
    "chat_template_kwargs.enable_thinking",
    lambda effort: False if effort == "none" else None,
)

# Newer models refuse `max_tokens`. All other servers accept that name, and many know no other: they
# would silently generate without a limit.
_OPENAI: Final = _table(
    max_tokens=Field("max_completion_tokens"),
    stop=Field("stop", stops(4)),
)

_QWEN: Final = _table(
    "frequency_penalty",
    top_k=_TOP_K,
    reasoning_effort=_ENABLE_THINKING,
    reasoning_budget=Field("thinking_budget"),
    tool_choice=Field("tool_choice", only_choices("auto", "none")),
)

OTHER: Final = ChatServer(_table(top_k=_TOP_K), parts=_WITH_FILES)

# By the name of the preset.
SERVERS: Final[Mapping[str, ChatServer]] = {
    "openai": ChatServer(
        _OPENAI, (".api.openai.com",), pads_tokens=True, parts=_WITH_FILES, system_anywhere=True
    ),
    "azure-openai": ChatServer(
        _OPENAI,
        (".openai.azure.com", ".cognitiveservices.azure.com"),
        pads_tokens=True,
        parts=_WITH_FILES,
        system_anywhere=True,
    ),
    "deepseek": ChatServer(
        _table(
            "seed",
            stop=Field("stop", stops(16)),
            reasoning_effort=(_THINKING, Field("reasoning_effort", effort_if_any)),
            response_format=Field("response_format", any_json_only),
            parallel_tool_calls=Field("parallel_tool_calls", always_parallel),
        ),
        (".api.deepseek.com",),
        parts=frozenset(),
        takes_reasoning=True,
        system_anywhere=True,
    ),
    "moonshot": ChatServer(
        _table(
            "seed",
            stop=Field("stop", stops(5, 32)),
            reasoning_effort=(_THINKING, Field("reasoning_effort", effort_if_any)),
            tool_choice=Field("tool_choice", only_choices("auto", "none")),
            parallel_tool_calls=Field("parallel_tool_calls", always_parallel),
        ),
        (".api.moonshot.cn", ".api.moonshot.ai"),
        parts=frozenset(("image",)),
        takes_reasoning=True,
    ),
    "zhipu": ChatServer(
        _table(
            "seed",
            *_PENALTIES,
            temperature=Field("temperature", lambda value: min(value, 1.0)),
            stop=Field("stop", stops(4)),
            reasoning_effort=(_THINKING, Field("reasoning_effort", effort_if_any)),
            response_format=Field("response_format", any_json_only),
            tool_choice=Field("tool_choice", only_choices("auto", named=False)),
            parallel_tool_calls=Field("parallel_tool_calls", always_parallel),
        ),
        (".open.bigmodel.cn", ".api.z.ai"),
        takes_reasoning=True,
    ),
    # DashScope's compatible mode.
    "qwen": ChatServer(_QWEN, (".aliyuncs.com",)),
    "qianfan": ChatServer(
        _table(*_PENALTIES, reasoning_effort=_ENABLE_THINKING), (".qianfan.baidubce.com",)
    ),
    "minimax": ChatServer(
        _table(
            "seed",
            "stop",
            "reasoning_effort",
            "response_format",
            *_PENALTIES,
            parallel_tool_calls=Field("parallel_tool_calls", always_parallel),
        ),
        (".api.minimax.io", ".api.minimaxi.com", ".api.minimax.chat"),
        fields={"reasoning_split": True},  # else reasoning is text, in tags of its own
    ),
    "doubao": ChatServer(
        _table(
            "seed",
            stop=Field("stop", stops(4)),
            reasoning_effort=(_THINKING, Field("reasoning_effort", effort_if_any)),
        ),
        (".volces.com",),
    ),
    "hunyuan": ChatServer(
        _table(*_PENALTIES, "response_format", reasoning_effort=_ENABLE_THINKING),
        (".api.hunyuan.cloud.tencent.com",),
    ),
    "siliconflow": ChatServer(
        _table(
            "presence_penalty",
            top_k=_TOP_K,
            stop=Field("stop", stops(4)),
            reasoning_effort=_ENABLE_THINKING,
            reasoning_budget=Field("thinking_budget"),
        ),
        (".api.siliconflow.cn", ".api.siliconflow.com"),
    ),
    "openrouter": ChatServer(
        _table(
            top_k=_TOP_K,
            reasoning_effort=Field("reasoning.effort"),
            reasoning_budget=Field("reasoning.max_tokens"),
        ),
        (".openrouter.ai",),
        parts=_WITH_FILES | {"file_url"},
    ),
    "groq": ChatServer(
        _table(max_tokens=Field("max_completion_tokens"), stop=Field("stop", stops(4))),
        (".api.groq.com",),
    ),
    "mistral": ChatServer(
        _table(seed=Field("random_seed")),
        (".api.mistral.ai",),
        answers_results=True,
        call_id=_short_id,
    ),
    "xai": ChatServer(_table(), (".api.x.ai",), system_anywhere=True),
    "together": ChatServer(_table(top_k=_TOP_K), (".api.together.xyz", ".api.together.ai")),
    "vllm": ChatServer(
        _table(
            top_k=_TOP_K,
            reasoning_effort=(_TEMPLATE_THINKING, Field("reasoning_effort", effort_if_any)),
        )
    ),
    "llamacpp": ChatServer(
        _table(
            top_k=_TOP_K,
            reasoning_effort=(
                _TEMPLATE_THINKING,
                Field("chat_template_kwargs.reasoning_effort", effort_if_any),
            ),
        )
    ),
}


def server_at(base_url: str) -> ChatServer:
    """The kind of server that has this public address."""
    host = f".{urlsplit(base_url).hostname}"
    for server in SERVERS.values():
        if server.hosts and host.endswith(server.hosts):
            return server
    return OTHER
