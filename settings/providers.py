"""The providers: where they are, how they speak, and how long they may take."""

from typing import Annotated, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from presets import DialectName, MaxTokensName, ProviderField, preset_of
from settings.addresses import ProxyAddress, web_address
from settings.values import CaFile, CommaSeparated, Count, Seconds, Secret, Section, Word


class ProviderSettings(Section):
    """One provider: where it is, how it speaks, and what opens it."""

    dialect: DialectName
    # Unset, the dialect's public address and its usual model.
    base_url: str = Field("", validate_default=True)
    models: Annotated[tuple[Word, ...], CommaSeparated] = Field((), validate_default=True)
    api_key: Secret | None = None
    secret_key: Secret | None = None  # qianfan-v1: the other half of its key pair
    access_token: Secret | None = None  # qianfan-v1: in place of the pair
    proxy: ProxyAddress | None = Field(None, repr=False)
    ca_certs: CaFile | None = None  # in place of certifi's
    incremental_output: bool = True  # dashscope: false asks for cumulative events
    # What some servers of OpenAI's dialect need; `server.py doctor --ask` finds out.
    stream_options: bool = True  # false: not sent, for servers that refuse the field
    max_tokens_name: MaxTokensName | None = None  # unset: `max_tokens`, but for OpenAI's own hosts
    done_ends: bool = False  # true: `[DONE]` is a finish mark, for servers that send no other

    @field_validator("base_url")
    @classmethod
    def _address(cls, text: str, info: ValidationInfo) -> str:
        if not text:
            return preset_of(info.data.get("dialect", "demo")).base_url
        parts = web_address(text)
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("should hold neither user, password, query nor fragment")
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
                raise ValueError(f"{name} is not for the {self.dialect} dialect")
        if self.dialect == "qianfan-v1":
            pair = (self.api_key is not None, self.secret_key is not None)
            if pair != ((False, False) if self.access_token else (True, True)):
                raise ValueError("needs api_key and secret_key, or access_token in their place")
        # Servers of one's own often ask for no key: only the public address is known to.
        elif self.api_key is None and self.base_url and self.base_url == preset.base_url:
            raise ValueError(f"api_key is required for {self.base_url}")
        return self


class TimeoutSettings(Section):
    """How long an upstream may take, by what we are waiting for."""

    connect: Seconds = 10  # DNS, TCP and TLS; a lost SYN is sent again after 1, 3 and 7 seconds
    first_token: Seconds = 60  # long prompts and busy models are slow to begin, and still answer
    idle: Seconds = 60  # between two tokens; reasoning models fall silent for tens of seconds
    answer: Seconds = 600  # the whole: past this nobody is still reading


class UpstreamSettings(Section):
    """The client that calls providers."""

    # About 21 KB each when open: 210 MB. The limit on open files has to allow as many and more.
    max_connections: Count = 10_000
