"""Builds a provider from its settings."""

from pydantic import SecretStr

from http_client.client import HttpClient
from presets import Switches, preset_of
from providers.anthropic import Anthropic
from providers.credentials import Credentials, FetchedToken, FixedCredential
from providers.dashscope import DashScope
from providers.dialect import Dialect
from providers.gemini import Gemini
from providers.ollama import ContextSize, Ollama
from providers.openai import OpenAI
from providers.openai_responses import OpenAIResponses
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
        timeouts.first_token, preset_of(configured.dialect).first_token_timeout
    )
    transport = Transport(
        Timeouts(timeouts.connect, first_token, timeouts.idle, timeouts.answer),
        proxy=ProxyAddress.from_url(configured.proxy) if configured.proxy else None,
        ca_certs=configured.ca_certs,
    )
    dialect = _dialect(configured, base_url)
    return Provider(
        name,
        dialect,
        _credentials(configured, dialect, client, transport),
        client=client,
        transport=transport,
        models=configured.models,
        input_kinds=preset_of(configured.dialect).input_kinds,
        output_kinds=preset_of(configured.dialect).output_kinds,
    )


def _dialect(configured: ProviderSettings, base_url: str) -> Dialect:
    switches = Switches(configured.stream_options, configured.max_tokens_name, configured.done_ends)
    match configured.dialect:
        case "openai" | "demo":
            return OpenAI(base_url, switches)
        case "openai-responses":
            return OpenAIResponses(
                base_url,
                reasoning_summary=configured.reasoning_summary,
                encrypted_reasoning=configured.encrypted_reasoning,
                stream_options=configured.stream_options,
            )
        case "dashscope":
            return DashScope(base_url, incremental_output=configured.incremental_output)
        case "qianfan":
            return Qianfan(base_url, switches)
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
