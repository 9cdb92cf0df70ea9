"""The whole tree of settings, and the rules that involve several sections."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from settings.addresses import UNIX, BasePath, Host, is_loopback
from settings.auth import AuthSettings, CorsSettings
from settings.limits import LimitsSettings
from settings.providers import (
    ProviderSettings,
    TimeoutSettings,
    UpstreamSettings,
    preset_name,
)
from settings.relay import ContextSettings, RelaySettings
from settings.storage import StorageSettings
from settings.telemetry import LogSettings, MetricsSettings, TracesSettings
from settings.values import ProviderName
from settings.webhooks import MOST_WEBHOOKS, WebhookSettings


class Settings(BaseSettings):
    """All settings of the server."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, case_sensitive=True
    )

    # Or "unix:/path": a socket for this user and its group. "::" listens on IPv6 and IPv4.
    host: Host = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)  # 0: any free port
    # The path of a site under which a proxy serves this server, such as "/chat", whether or not the
    # proxy removes it from requests.
    base_path: BasePath = ""
    reuse_port: bool = False  # several processes on one port: the kernel distributes connections
    default_model: str | None = None  # "<provider>/<model>"; see `effective_default_model`
    storage: StorageSettings = StorageSettings()
    auth: AuthSettings = AuthSettings()
    providers: Mapping[ProviderName, ProviderSettings] = Field({}, validate_default=True)
    relay: RelaySettings = RelaySettings()
    context: ContextSettings = ContextSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    limits: LimitsSettings = LimitsSettings()
    cors: CorsSettings = CorsSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TracesSettings = TracesSettings()
    webhooks: tuple[WebhookSettings, ...] = Field((), max_length=MOST_WEBHOOKS)

    @property
    def effective_default_model(self) -> str:
        """The model of questions that name none: the setting, or the first model of the first
        provider.
        """
        if self.default_model is not None:
            return self.default_model
        name, provider = next(iter(self.providers.items()))
        return f"{name}/{provider.models[0]}"

    @property
    def most_calls(self) -> int:
        """The highest number of concurrent calls to providers, with one call per answer."""
        return min(self.limits.answers, self.upstream.max_connections)

    @field_validator("providers", mode="before")
    @classmethod
    def _at_least_the_demo(cls, value: object) -> object:
        """Add the demo if there is no provider, and the preset of providers named after one."""
        if not isinstance(value, Mapping):
            return value
        return {
            name: {"preset": preset, **given}
            if isinstance(given, Mapping) and (preset := preset_name(str(name), given))
            else given
            for name, given in (value or {"demo": {}}).items()
        }

    @field_validator("webhooks", mode="before")
    @classmethod
    def _webhooks_by_number(cls, value: object) -> object:
        """Return the webhooks as a list; the sources name them by their numbers, from 0 on."""
        if not isinstance(value, Mapping) or not all(map(str.isdecimal, value)):
            return value
        return tuple(value[number] for number in sorted(value, key=int))

    @field_validator("webhooks")
    @classmethod
    def _webhooks_differ(cls, webhooks: tuple[WebhookSettings, ...]) -> tuple[WebhookSettings, ...]:
        if len({webhook.url for webhook in webhooks}) < len(webhooks):
            raise ValueError("two webhooks have the same url")
        return webhooks

    @model_validator(mode="after")
    def _default_model_is_served(self) -> Self:
        if self.default_model is not None:
            name, _, model = self.default_model.partition("/")
            if not model:
                raise ValueError("default_model should be written <provider>/<model>")
            if name not in self.providers:
                raise ValueError(
                    f"default_model names the provider {name!r}, but only these are configured: "
                    + ", ".join(self.providers)
                )
        return self

    @model_validator(mode="after")
    def _open_only_to_this_machine(self) -> Self:
        is_private = self.host.startswith(UNIX) or is_loopback(self.host)
        if self.auth.mode == "none" and not is_private:
            raise ValueError(
                f'auth.mode "none" admits everyone, so host should be loopback, not {self.host}'
            )
        return self

    @model_validator(mode="after")
    def _metrics_only_to_this_machine(self) -> Self:
        if self.auth.mode == "none" and not is_loopback(self.metrics.host):
            raise ValueError(
                'auth.mode "none" serves this machine only, so metrics.host should be loopback, '
                f"not {self.metrics.host}"
            )
        return self

    @model_validator(mode="after")
    def _metrics_have_a_port_of_their_own(self) -> Self:
        # Otherwise the server would report its own port as taken by an unknown program.
        mine, metrics = (self.host, self.port), (self.metrics.host, self.metrics.port)
        if mine == metrics and self.port != 0:
            raise ValueError(
                f"metrics.port should not be the server's own port, {self.port}: "
                "leave it unset to serve /metrics there"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments only: `load` reads the file, the environment and the credentials."""
        return (init_settings,)


class StorageOnly(BaseSettings):
    """The part of the tree with the store, for commands that need nothing else."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    storage: StorageSettings = StorageSettings()
