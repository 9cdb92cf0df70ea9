"""The providers: their addresses, dialects and credentials, and the timeouts of calls to them."""

from typing import Annotated, Self, get_args

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from presets import DialectName, MaxTokensName, ProviderField, ReasoningSummary, preset_of
from settings.addresses import ProxyAddress, web_address
from settings.values import (
    CaFile,
    CommaSeparated,
    Count,
    KeepAlive,
    Limit,
    Seconds,
    Secret,
    Section,
    Word,
)

# A date, as Anthropic names its versions.
AnthropicVersion = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class ProviderSettings(Section):
    """One provider: its dialect, its address and its credentials."""

    dialect: DialectName
    # Unset: the dialect's public address and its default models.
    base_url: str = Field("", validate_default=True)
    models: Annotated[tuple[Word, ...], CommaSeparated] = Field((), validate_default=True)
    api_key: Secret | None = None
    secret_key: Secret | None = None  # qianfan-v1: the other half of its key pair
    access_token: Secret | None = None  # qianfan-v1: instead of the key pair
    proxy: ProxyAddress | None = Field(None, repr=False)
    ca_certs: CaFile | None = None  # replaces certifi's
    incremental_output: bool = True  # dashscope: false requests cumulative events
    # Variations that some OpenAI-compatible servers need; `server.py doctor --ask` finds them out.
    stream_options: bool = True  # false: not sent, for servers that reject it
    max_tokens_name: MaxTokensName | None = None  # unset: `max_tokens`, except for OpenAI
    done_ends: bool = False  # true: `[DONE]` is a finish mark, for servers that send no other
    # anthropic: every gateway knows this version; 2026-10-21 refuses temperature, top_p and top_k.
    anthropic_version: AnthropicVersion = "2023-06-01"
    prompt_cache: bool = True  # anthropic: it keeps prompts for minutes, and rereads them cheaply
    # openai-responses: the summary of the reasoning to ask for, which OpenAI refuses to
    # organizations that are not verified; unset: none, so that there is no reasoning to show
    reasoning_summary: ReasoningSummary | None = None
    # openai-responses: false: reasoning is not sent back, for models that refuse to encrypt it
    encrypted_reasoning: bool = True
    # Instead of timeouts.first_token; unset: that, but for Ollama, which may load the model, 300 s
    first_token_timeout: Seconds | None = None
    # ollama: the least and the largest `num_ctx`, in tokens. It is chosen for each question, in
    # steps of twice the size, because each change loads the model again. The largest fits
    # context.max_chars in any language; with equal numbers the model is never loaded again, with a
    # largest of 0 the server's own size applies.
    num_ctx_min: Count = 8192
    num_ctx_max: Limit = 65_536
    keep_alive: KeepAlive | None = None  # ollama: how long models stay in memory, as "30m" or -1
    # gemini: true: thoughts are always asked for; false: if a question names an effort or a budget,
    # because models that do not think refuse the field
    include_thoughts: bool = False

    @field_validator("base_url")
    @classmethod
    def _address(cls, text: str, info: ValidationInfo) -> str:
        if not text:
            return preset_of(info.data.get("dialect", "demo")).base_url
        parts = web_address(text)
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("should not contain a user, password, query or fragment")
        return text.rstrip("/")

    @field_validator("models")
    @classmethod
    def _usual_model(cls, models: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return models or preset_of(info.data.get("dialect", "demo")).models

    @model_validator(mode="after")
    def _fits_its_dialect(self) -> Self:
        preset = preset_of(self.dialect)
        for name in get_args(ProviderField):
            set_by_hand = getattr(self, name) != type(self).model_fields[name].default
            if set_by_hand and name not in preset.fields:
                raise ValueError(f"{name} is not a setting of the {self.dialect} dialect")
        if self.dialect == "qianfan-v1":
            pair = (self.api_key is not None, self.secret_key is not None)
            if pair != ((False, False) if self.access_token else (True, True)):
                raise ValueError("requires api_key and secret_key, or access_token instead")
        # Private servers often need no key: only for the public address is it known to be required.
        elif (
            preset.key_required
            and self.api_key is None
            and self.base_url
            and self.base_url == preset.base_url
        ):
            raise ValueError(f"api_key is required for {self.base_url}")
        return self


class TimeoutSettings(Section):
    """How long a call to a provider may take, in its stages."""

    connect: Seconds = 10  # DNS, TCP and TLS; a lost SYN is sent again after 1, 3 and 7 s
    first_token: Seconds = 60  # long prompts and busy models start slowly
    idle: Seconds = 60  # between tokens; reasoning models pause for tens of seconds
    answer: Seconds = 600  # the whole answer; longer than people wait for one


class UpstreamSettings(Section):
    """The HTTP client that calls providers."""

    # Connections take about 21 KB each: 210 MB. The limit on open files has to allow at least as
    # many.
    max_connections: Count = 10_000
