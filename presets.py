"""The providers that are known by name: dialect, address, models, and the variables of their keys.

Settings, doctor and documentation use this one table. It imports no other room.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

DialectName = Literal[
    "openai",
    "openai-responses",
    "dashscope",
    "qianfan",
    "qianfan-v1",
    "anthropic",
    "ollama",
    "gemini",
    "demo",
]

MaxTokensName = Literal["max_tokens", "max_completion_tokens"]

# How detailed the summaries of a model's reasoning are.
ReasoningSummary = Literal["auto", "concise", "detailed"]

# Settings of a provider that not every dialect has.
ProviderField = Literal[
    "base_url",
    "api_key",
    "secret_key",
    "access_token",
    "proxy",
    "ca_certs",
    "incremental_output",
    "stream_options",
    "max_tokens_name",
    "done_ends",
    "anthropic_version",
    "prompt_cache",
    "reasoning_summary",
    "encrypted_reasoning",
    "first_token_timeout",
    "num_ctx_min",
    "num_ctx_max",
    "keep_alive",
    "include_thoughts",
]


class Switches(NamedTuple):
    """Where servers with OpenAI's API differ; `server.py doctor --ask` finds out what one needs."""

    stream_options: bool = True  # false: not sent, for servers that refuse the field
    max_tokens_name: MaxTokensName | None = None  # None: by the host
    done_ends: bool = False  # true: `[DONE]` is a finish mark, for servers that send no other


USUAL: Final = Switches()


class Preset(NamedTuple):
    """One provider. An address ends where that of the vendor's own SDK ends."""

    dialect: DialectName
    base_url: str
    models: tuple[str, ...]  # inexpensive models that a new key may use
    # The environment variables of the vendor's own tools, and the settings that they fill.
    key_variables: tuple[Mapping[str, str], ...] = ()
    fields: frozenset[ProviderField] = frozenset()  # the settings that apply to it
    key_required: bool = True  # at `base_url`
    # Seconds to wait for the first token, if `timeouts.first_token` is shorter.
    first_token_timeout: float = 0
    switches: Switches = USUAL
    # The kinds of blocks that it accepts in questions besides text, and that its answers may have
    # besides text, reasoning and tool calls.
    input_kinds: frozenset[str] = frozenset()
    output_kinds: frozenset[str] = frozenset()


_NETWORKED: Final[tuple[ProviderField, ...]] = (
    *("base_url", "api_key", "proxy", "ca_certs", "first_token_timeout"),
)
_SWITCHED: Final[tuple[ProviderField, ...]] = ("stream_options", "max_tokens_name", "done_ends")

PRESETS: Final[Mapping[str, Preset]] = {
    "openai": Preset(
        dialect="openai",
        base_url="https://api.openai.com/v1",
        models=("gpt-4o-mini",),
        key_variables=({"OPENAI_API_KEY": "api_key"},),
        fields=frozenset((*_NETWORKED, *_SWITCHED)),
    ),
    # It shares its key with `openai`, so that it has to be configured by name.
    "openai-responses": Preset(
        dialect="openai-responses",
        base_url="https://api.openai.com/v1",
        models=("gpt-5-mini",),
        key_variables=({"OPENAI_API_KEY": "api_key"},),
        fields=frozenset(
            (*_NETWORKED, "reasoning_summary", "encrypted_reasoning", "stream_options")
        ),
        input_kinds=frozenset(("image", "file", "tool_result")),
        output_kinds=frozenset(("data",)),
    ),
    "dashscope": Preset(
        dialect="dashscope",
        base_url="https://dashscope.aliyuncs.com/api/v1",
        models=("qwen-plus",),
        key_variables=({"DASHSCOPE_API_KEY": "api_key"},),
        fields=frozenset((*_NETWORKED, "incremental_output")),
    ),
    "qianfan": Preset(
        dialect="qianfan",
        base_url="https://qianfan.baidubce.com/v2",
        models=("ernie-4.5-turbo-128k",),
        key_variables=({"QIANFAN_API_KEY": "api_key"},),
        fields=frozenset((*_NETWORKED, *_SWITCHED)),
    ),
    "qianfan-v1": Preset(
        dialect="qianfan-v1",
        base_url="https://aip.baidubce.com",
        models=("ERNIE-Speed-128K",),
        key_variables=(
            {"QIANFAN_ACCESS_KEY": "api_key", "QIANFAN_SECRET_KEY": "secret_key"},
            {"QIANFAN_AK": "api_key", "QIANFAN_SK": "secret_key"},
        ),
        fields=frozenset((*_NETWORKED, "secret_key", "access_token")),
    ),
    "anthropic": Preset(
        dialect="anthropic",
        base_url="https://api.anthropic.com",
        models=("claude-haiku-4-5",),
        key_variables=({"ANTHROPIC_API_KEY": "api_key"},),
        fields=frozenset((*_NETWORKED, "anthropic_version", "prompt_cache")),
        input_kinds=frozenset({"image", "file", "tool_result"}),
        output_kinds=frozenset({"data"}),
    ),
    "ollama": Preset(
        dialect="ollama",
        base_url="http://127.0.0.1:11434",
        models=("llama3.2",),
        key_variables=({"OLLAMA_HOST": "base_url"},),
        fields=frozenset((*_NETWORKED, "num_ctx_min", "num_ctx_max", "keep_alive")),
        key_required=False,
        # Loading a model of some ten gigabytes from a slow disk takes minutes, and so does waiting
        # for its turn in the server's queue; until then not even headers come.
        first_token_timeout=300,
        input_kinds=frozenset({"image", "tool_result"}),
    ),
    "gemini": Preset(
        dialect="gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        models=("gemini-3.5-flash-lite",),
        # Google's own tools prefer the second one.
        key_variables=({"GEMINI_API_KEY": "api_key"}, {"GOOGLE_API_KEY": "api_key"}),
        fields=frozenset((*_NETWORKED, "include_thoughts")),
        input_kinds=frozenset({"image", "file", "tool_result"}),
        output_kinds=frozenset({"data"}),
    ),
    # It has no address before the server has started it.
    "demo": Preset(dialect="demo", base_url="", models=("demo",)),
}


def preset_of(dialect: DialectName) -> Preset:
    """The preset of a dialect: the one with the dialect's own name."""
    return PRESETS[dialect]
