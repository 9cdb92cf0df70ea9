"""Builds a provider from its settings."""

from pydantic import SecretStr

from http_client.client import HttpClient
from presets import PRESETS
from providers.anthropic import Anthropic
from providers.azure_openai import AzureOpenAI
from providers.credentials import Credentials, FetchedToken, FixedCredential
from providers.dashscope import DashScope
from providers.dialect import Dialect
from providers.gemini import Gemini
from providers.ollama import ContextSize, Ollama
from providers.openai import OpenAI
from providers.openai_responses import OpenAIResponses
from providers.openai_servers import SERVERS
from providers.provider import Provider
from providers.qianfan import Qianfan
from providers.qianfan_v1 import QianfanV1
from providers.transport import ProxyAddress, Timeouts, Transport
from settings import ProviderSettings, TimeoutSettings


def build_provider(
    name: str,
    configured: ProviderSettings,
    *,
    base_url: str,
    client: HttpClient,
    timeouts: TimeoutSettings,
) -> Provider:
    """Build the provider `name`. `base_url` is that of its settings, or where the demo listens."""
    first_token = configured.first_token_timeout or max(
        timeouts.first_token, PRESETS[configured.preset].first_token_timeout
    )
    transport = Transport(
        Timeouts(timeouts.connect, first_token, timeouts.idle, timeouts.answer),
        proxy=ProxyAddress.from_url(configured.proxy) if configured.proxy else None,
        ca_certs=configured.ca_certs,
    )
    dialect = build_dialect(configured, base_url)
    return Provider(
        name,
        dialect,
        _credentials(configured, dialect, client, transport),
        client=client,
        transport=transport,
        models=configured.models,
        input_kinds=configured.input_kinds_of,
        output_kinds=PRESETS[configured.preset].output_kinds,
    )


def build_dialect(configured: ProviderSettings, base_url: str) -> Dialect:
    """Build the dialect of a provider."""
    match configured.dialect:
        case "openai" | "demo":
            return OpenAI(
                base_url,
                configured.switches,
                server=_server(configured),
                parts=configured.all_input_kinds,
            )
        case "openai-responses":
            return OpenAIResponses(
                base_url,
                reasoning_summary=configured.reasoning_summary,
                encrypted_reasoning=configured.encrypted_reasoning,
                stream_options=configured.switches.stream_options,
            )
        case "azure-openai":
            return AzureOpenAI(base_url, configured.switches, configured.api_version)
        case "dashscope":
            return DashScope(base_url, incremental_output=configured.incremental_output)
        case "qianfan":
            return Qianfan(base_url, configured.switches)
        case "qianfan-v1":
            return QianfanV1(base_url)
        case "anthropic":
            return Anthropic(
                base_url,
                version=configured.anthropic_version,
                prompt_cache=configured.prompt_cache,
            )
        case "ollama":
            return Ollama(
                base_url,
                context_size=ContextSize(configured.num_ctx_min, configured.num_ctx_max),
                keep_alive=configured.keep_alive,
            )
        case "gemini":
            return Gemini(base_url, include_thoughts=configured.include_thoughts)


def _server(configured: ProviderSettings) -> str | None:
    """The kind of server in `openai_servers.py`, for OpenAI's dialect; None: by its host.

    `openai` at another address is a look-alike, of which nothing is known.
    """
    preset = configured.preset
    is_public = configured.base_url == PRESETS[preset].base_url
    return preset if preset in SERVERS and (is_public or preset != "openai") else None


def _credentials(
    configured: ProviderSettings, dialect: Dialect, client: HttpClient, transport: Transport
) -> Credentials:
    token = _text(configured.access_token)
    api_key, secret_key = _text(configured.api_key), _text(configured.secret_key)
    if isinstance(dialect, QianfanV1) and token is None:
        return FetchedToken(dialect, api_key or "", secret_key or "", client, transport)
    return FixedCredential(token or api_key)


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
