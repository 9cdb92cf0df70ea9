"""The providers: their addresses, dialects and credentials, and the timeouts of calls to them."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import chain
from typing import Annotated, Final, Self, get_args

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from presets import (
    PRESETS,
    DialectName,
    InputKind,
    MaxTokensName,
    Preset,
    ProviderField,
    ReasoningSummary,
    Switches,
)
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

DIALECTS: Final[tuple[str, ...]] = get_args(DialectName)


def preset_name(name: str, given: Mapping[str, object]) -> str | None:
    """The preset of a provider that is configured as `given`; None if only a dialect is named.

    A provider named after a preset is that preset; with another dialect it is something else.
    """
    preset, dialect = given.get("preset"), given.get("dialect")
    if preset is not None:
        return str(preset)
    is_known = name in PRESETS and dialect in (None, PRESETS[name].dialect)
    return name if is_known else None


def _preset_name(text: str) -> str:
    if text not in PRESETS:
        raise ValueError(f"should be one of {', '.join(PRESETS)}")
    return text


# A date, as Anthropic names its versions.
AnthropicVersion = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
PresetName = Annotated[str, AfterValidator(_preset_name)]
InputKindList = Annotated[tuple[InputKind, ...], CommaSeparated]
ApiVersion = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$", max_length=64)]


class ProviderSettings(Section):
    """One provider: its preset and dialect, its address and its credentials.

    Of preset and dialect one is enough: a preset has a dialect, and a dialect alone means the
    preset of its own name. What is unset is as the preset has it.
    """

    preset: PresetName
    dialect: DialectName
    base_url: str = Field("", validate_default=True)
    models: Annotated[tuple[Word, ...], CommaSeparated] = Field((), validate_default=True)
    api_key: Secret | None = None
    secret_key: Secret | None = None  # qianfan-v1: the other half of its key pair
    access_token: Secret | None = None  # qianfan-v1: instead of the key pair
    # azure-openai: the version of its API in the query; unset: a usual one, or none below /v1
    api_version: ApiVersion | None = None
    # What questions may carry besides text; unset: as the preset has it. For single models, by name
    # or a pattern with *, `model_input_kinds` says it instead.
    input_kinds: InputKindList | None = Field(None, validate_default=True)
    model_input_kinds: Mapping[str, InputKindList] = {}
    proxy: ProxyAddress | None = Field(None, repr=False)
    ca_certs: CaFile | None = None  # replaces certifi's
    incremental_output: bool = True  # dashscope: false requests cumulative events
    # Variations that some OpenAI-compatible servers need; `server.py doctor --ask` finds them out.
    stream_options: bool | None = Field(None, validate_default=True)  # false: not sent
    max_tokens_name: MaxTokensName | None = Field(None, validate_default=True)  # unset: by the host
    # true: `[DONE]` is a finish mark, for servers that send no other
    done_ends: bool | None = Field(None, validate_default=True)
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

    @property
    def switches(self) -> Switches:
        """How its server differs from OpenAI's."""
        return Switches(bool(self.stream_options), self.max_tokens_name, bool(self.done_ends))

    @property
    def all_input_kinds(self) -> frozenset[InputKind]:
        """What questions may carry besides text, to some model at least."""
        return frozenset(
            (*(self.input_kinds or ()), *chain.from_iterable(self.model_input_kinds.values()))
        )

    def input_kinds_of(self, model: str) -> frozenset[str]:
        """What questions to a model may carry besides text."""
        for pattern, kinds in self.model_input_kinds.items():
            if fnmatchcase(model, pattern):
                return frozenset(kinds)
        return frozenset(self.input_kinds or ())

    @model_validator(mode="before")
    @classmethod
    def _preset_and_dialect(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        preset, dialect = given.get("preset"), given.get("dialect")
        if preset is None and dialect is None:
            raise ValueError(
                "requires preset or dialect, since its name is not that of a preset: "
                + ", ".join(PRESETS)
            )
        if preset is None:
            # Of a wrong dialect only that is reported.
            return {**given, "preset": dialect if dialect in DIALECTS else "demo"}
        known = PRESETS.get(preset) if isinstance(preset, str) else None
        if dialect is None:
            return {**given, "dialect": known.dialect if known else "demo"}
        if known and known.dialect != dialect and dialect in DIALECTS:
            raise ValueError(
                f"preset {preset} has the dialect {known.dialect}: set only one of them"
            )
        return given

    @field_validator("base_url")
    @classmethod
    def _address(cls, text: str, info: ValidationInfo) -> str:
        if not text:
            return _preset(info).base_url
        parts = web_address(text)
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("should not contain a user, password, query or fragment")
        return text.rstrip("/")

    @field_validator("input_kinds")
    @classmethod
    def _usual_kinds(
        cls, kinds: tuple[InputKind, ...] | None, info: ValidationInfo
    ) -> tuple[InputKind, ...]:
        usual = _preset(info).abilities.input_kinds
        return tuple(sorted(usual)) if kinds is None else kinds

    @field_validator("models")
    @classmethod
    def _usual_model(cls, models: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return models or _preset(info).models

    @field_validator("stream_options", "max_tokens_name", "done_ends")
    @classmethod
    def _usual_switch(cls, value: object, info: ValidationInfo) -> object:
        assert info.field_name is not None
        return getattr(_preset(info).switches, info.field_name) if value is None else value

    @model_validator(mode="after")
    def _fits_its_dialect(self) -> Self:
        preset = PRESETS[self.preset]
        for name in get_args(ProviderField):
            usual = getattr(preset.switches, name, type(self).model_fields[name].default)
            if getattr(self, name) != usual and name not in preset.fields and name != "base_url":
                raise ValueError(f"{name} is not a setting of the {self.dialect} dialect")
        if self.base_url != preset.base_url and "base_url" not in preset.fields:
            raise ValueError(f"base_url is not a setting of the {self.dialect} dialect")
        if not self.base_url and "base_url" in preset.fields:
            raise ValueError(f"base_url is required for {self.preset}")
        if self.dialect == "qianfan-v1":
            pair = (self.api_key is not None, self.secret_key is not None)
            if pair != ((False, False) if self.access_token else (True, True)):
                raise ValueError("requires api_key and secret_key, or access_token instead")
        # Private servers often need no key: only for the public address is it known to be required.
        elif self.api_key is None and preset.key_required and self._is_public(preset):
            raise ValueError(f"api_key is required for {self.base_url}")
        return self

    def _is_public(self, preset: Preset) -> bool:
        # An address that each customer has of their own is as public as the vendor's.
        return bool(self.base_url) and preset.base_url in ("", self.base_url)


def _preset(info: ValidationInfo) -> Preset:
    # `preset` is validated first; if it is wrong, only that is reported.
    return PRESETS[info.data.get("preset", "demo")]


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
