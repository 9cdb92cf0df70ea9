"""What is known of a provider before anybody has asked it: the types of the table.

A preset is one vendor's offer, known by the provider's name; a dialect is the API that it speaks.
Many presets have the same dialect. The facts that cannot be tried without an account carry a mark
that says how sure they are.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

DialectName = Literal[
    "openai",
    "openai-responses",
    "azure-openai",
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
    "api_version",
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

NETWORKED: Final[tuple[ProviderField, ...]] = (
    *("base_url", "api_key", "proxy", "ca_certs", "first_token_timeout"),
)
SWITCHED: Final[tuple[ProviderField, ...]] = ("stream_options", "max_tokens_name", "done_ends")

# What a question may carry besides text: `image` and `file` are contents that are sent along,
# `image_url` and `file_url` are addresses that the provider fetches itself.
InputKind = Literal["image", "image_url", "file", "file_url", "tool_result"]


class Switches(NamedTuple):
    """Where servers with OpenAI's API differ; `server.py doctor --ask` finds out what one needs."""

    stream_options: bool = True  # false: not sent, for servers that refuse the field
    max_tokens_name: MaxTokensName | None = None  # None: by the host
    done_ends: bool = False  # true: `[DONE]` is a finish mark, for servers that send no other


USUAL: Final = Switches()

# How sure a fact is. S: read in the code of the vendor's SDK or server, or in its type definitions.
# P: read in public documentation, which may be old. R: reported by others only. O: our own choice.
Mark = Literal["S", "P", "R", "O"]

# `some`: with some of the vendor's models. `?`: not known, which counts as no.
Fact = Literal[
    "yes S", "yes P", "yes R", "some S", "some P", "some R", "no S", "no P", "no R", "?"
]  # fmt: skip


class Abilities(NamedTuple):
    """What a provider's models can take and give, as far as the vendor's API says it."""

    image_url: Fact = "?"
    image: Fact = "?"  # contents that are sent along
    file_url: Fact = "?"
    file: Fact = "?"
    tools: Fact = "?"
    parallel_tools: Fact = "?"
    json_object: Fact = "?"
    json_schema: Fact = "?"
    reasoning: Fact = "?"  # is shown as it comes
    effort: Fact = "?"  # or whether to reason at all
    budget: Fact = "?"  # of tokens for reasoning
    prefix: Fact = "?"  # an answer whose beginning is given

    @property
    def input_kinds(self) -> frozenset[InputKind]:
        """What a question may carry besides text, to some model at least."""
        facts: dict[InputKind, Fact] = {
            "image": self.image,
            "image_url": self.image_url,
            "file": self.file,
            "file_url": self.file_url,
            "tool_result": self.tools,
        }
        return frozenset(kind for kind, fact in facts.items() if fact.startswith(("yes", "some")))


class Preset(NamedTuple):
    """One provider. An address ends where that of the vendor's own SDK ends."""

    dialect: DialectName
    base_url: str  # empty: each customer has one of their own
    models: tuple[str, ...]  # inexpensive models that a new key may use
    marks: tuple[Mark, Mark] = ("P", "P")  # how sure the address is, and the models
    # The environment variables of the vendor's own tools, and the settings that they fill; several
    # sets are alternatives, of which the first one that is set counts.
    key_variables: tuple[Mapping[str, str], ...] = ()
    # Further variables, which fill settings only if a key is there.
    other_variables: Mapping[str, str] = {}
    fields: frozenset[ProviderField] = frozenset()  # the settings that apply to it
    switches: Switches = USUAL
    key_required: bool = True  # at `base_url`
    # Seconds to wait for the first token, if `timeouts.first_token` is shorter.
    first_token_timeout: float = 0
    abilities: Abilities = Abilities()
    # The kinds of blocks that its answers may have besides text, reasoning and tool calls.
    output_kinds: frozenset[str] = frozenset()
