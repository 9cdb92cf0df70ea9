"""The providers that are known by name: how each speaks, where, and what opens it.

One table for all who ask: settings, the doctor, the documentation. It imports nothing of ours.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

DialectName = Literal["openai", "dashscope", "qianfan", "qianfan-v1", "demo"]

MaxTokensName = Literal["max_tokens", "max_completion_tokens"]

# What a provider's settings hold that is not for everybody.
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
]


class Switches(NamedTuple):
    """What some servers of OpenAI's dialect need otherwise; `server.py doctor --ask` finds out."""

    stream_options: bool = True  # false: not sent, for servers that refuse the field
    max_tokens_name: MaxTokensName | None = None  # None: by the host
    done_ends: bool = False  # true: `[DONE]` is a finish mark, for servers that send no other


USUAL: Final = Switches()


class Preset(NamedTuple):
    """One provider. An address ends where the vendor's own SDK lets it end."""

    dialect: DialectName
    base_url: str
    models: tuple[str, ...]  # cheap ones that a new key can use, and that have been around for long
    # The names under which the vendor's own tools read its keys, and the settings that they fill.
    key_variables: tuple[Mapping[str, str], ...] = ()
    fields: frozenset[ProviderField] = (
        frozenset()
    )  # of the settings, those that mean something to it
    switches: Switches = USUAL
    # What it is able to: kinds of blocks that it can be asked with, besides text, and kinds that
    # its answers may bring, besides text, reasoning and tool calls.
    input_kinds: frozenset[str] = frozenset()
    output_kinds: frozenset[str] = frozenset()


_NETWORKED: Final[tuple[ProviderField, ...]] = ("base_url", "api_key", "proxy", "ca_certs")
_SWITCHED: Final[tuple[ProviderField, ...]] = ("stream_options", "max_tokens_name", "done_ends")

PRESETS: Final[Mapping[str, Preset]] = {
    "openai": Preset(
        dialect="openai",
        base_url="https://api.openai.com/v1",
        models=("gpt-4o-mini",),
        key_variables=({"OPENAI_API_KEY": "api_key"},),
        fields=frozenset((*_NETWORKED, *_SWITCHED)),
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
    # It has no address before the server has started it.
    "demo": Preset(dialect="demo", base_url="", models=("demo",)),
}


def preset_of(dialect: DialectName) -> Preset:
    """What is usual for a dialect: the preset of its own name."""
    return PRESETS[dialect]
