"""Checks that each provider can be reached, and with `--ask` that it answers."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing

from tornado.netutil import Resolver

from doctor.findings import Finding, Severity, ok, warning, wrong
from http_client.client import HttpClient
from http_client.connecting import connect
from http_client.dns import CachingResolver
from http_client.endpoints import Endpoint, TunnelProxy, parse_url
from http_client.errors import HttpClientError
from http_client.poller import SocketPoller
from model.messages import Role
from model.prompt import Prompt, text_turn
from presets import PRESETS, DialectName, ProviderField
from providers.building import build_provider
from providers.errors import (
    BadRequest,
    ModelNotFound,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    StreamBroken,
    Unauthorized,
)
from providers.sink import Kind
from providers.transport import ProxyAddress
from settings import ProviderSettings, Settings

_ADVICE: tuple[tuple[type[ProviderError], str], ...] = (
    (Unauthorized, "check its api_key; some keys are for certain models or regions only"),
    (QuotaExceeded, "top up the account, or raise its quota"),
    (RateLimited, "wait, or ask the provider for a higher limit"),
    (
        ModelNotFound,
        "list a model in its `models` that this account may use, or on Ollama, pull it",
    ),
    (
        BadRequest,
        "its first model may not accept this request; list another one first in its `models`",
    ),
)

# The settings to try after a failure, for servers that differ from the dialect's default, the
# smallest change first. A wrong model is another failure, which no setting corrects.
_ALTERNATIVES: Mapping[type[ProviderError], tuple[Mapping[str, object], ...]] = {
    BadRequest: (
        {"stream_options": False},
        {"max_tokens_name": "max_completion_tokens"},
        {"max_tokens_name": "max_tokens"},
        {"stream_options": False, "max_tokens_name": "max_completion_tokens"},
        {"encrypted_reasoning": False},
    ),
    StreamBroken: ({"done_ends": True},),
}


# Tokens to ask for, where one is fewer than the API takes.
_FEWEST_TOKENS: Mapping[DialectName, int] = {"openai-responses": 16}


async def upstreams(settings: Settings, client: HttpClient, *, ask: bool) -> list[Finding]:
    """Findings about all providers; with `ask`, the first model of each is asked a question."""
    found = list(_of_settings(settings))
    resolver = CachingResolver()
    for name, configured in settings.providers.items():
        if configured.dialect == "demo":
            continue
        reached = await _reach(name, configured, settings, resolver)
        found.append(reached)
        if ask and reached.severity is not Severity.WRONG:
            found.append(await _ask(name, configured, settings, client))
    return found


def _of_settings(settings: Settings) -> Iterator[Finding]:
    for name, configured in settings.providers.items():
        if configured.dialect == "demo":
            yield warning(
                name,
                "answers come from the built-in demo, not from a model",
                "configure a provider, such as [providers.openai]",
            )
    name, _, model = settings.effective_default_model.partition("/")
    if model not in settings.providers[name].models:
        yield warning(
            "default_model",
            f"{model} is not among the models of {name}",
            f"list it in providers.{name}.models, or correct its spelling",
        )


async def _reach(
    name: str, configured: ProviderSettings, settings: Settings, resolver: Resolver
) -> Finding:
    """Resolves the name and connects by TCP, proxy and TLS, as the server does for a question."""
    endpoint = _endpoint(configured)
    proxy = endpoint.proxy
    via = f" through the proxy {proxy.host}:{proxy.port}" if proxy else ""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        with closing(SocketPoller()) as poller:
            async with asyncio.timeout(settings.timeouts.connect):
                stream = await connect(endpoint, resolver, poller)
    except TimeoutError:
        return wrong(
            name,
            f"{endpoint.authority} accepted no connection within {settings.timeouts.connect:g} "
            f"s{via}",
            "permit connections to it (firewall, proxy), or raise timeouts.connect",
        )
    except (OSError, UnicodeError, HttpClientError) as error:
        words, hint = _why(error, endpoint)
        return wrong(name, f"{endpoint.authority}{via}: {words}", hint)
    stream.close()
    took = 1000 * (loop.time() - began)
    kind = "TLS" if endpoint.secure else "no TLS"
    has_key = configured.api_key is not None or configured.access_token is not None
    if has_key and not endpoint.secure and not _is_near(endpoint.host):
        return warning(
            name,
            f"{endpoint.authority} is reached without TLS, so the API key is sent unencrypted",
            "use an https:// base_url, if it has one",
        )
    return ok(name, f"{endpoint.authority} reached{via} in {took:.0f} ms, {kind}")


def _endpoint(configured: ProviderSettings) -> Endpoint:
    endpoint, _ = parse_url(configured.base_url)
    proxy = None
    if configured.proxy is not None:
        via = ProxyAddress.from_url(configured.proxy)
        proxy = TunnelProxy.of(via.host, via.port, via.username, via.password)
    ca_certs = str(configured.ca_certs) if configured.ca_certs else None
    return endpoint._replace(ca_certs=ca_certs, proxy=proxy)


def _why(error: Exception, endpoint: Endpoint) -> tuple[str, str]:
    """Why connecting failed, and what to do."""
    match error:
        case socket.gaierror():
            return "the name has no address", "check its spelling, and this machine's DNS"
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not trusted: {error.verify_message}",
                "set ca_certs if it is your own; check this machine's clock if it has expired",
            )
        case ssl.SSLError():
            return (
                "the TLS handshake failed",
                "check the port, and whether it is http:// or https://",
            )
        case ConnectionRefusedError() if endpoint.proxy is not None:
            return (
                "the proxy refuses a tunnel to it",
                "check the proxy's address, and what it permits",
            )
        case ConnectionRefusedError():
            return "the connection was refused", "check base_url, and that the server is running"
        case OSError() if error.strerror:
            return error.strerror, "check base_url, routes, firewall and proxy"
        case _:
            return "no connection", "check base_url, routes, firewall and proxy"


async def _ask(
    name: str, configured: ProviderSettings, settings: Settings, client: HttpClient
) -> Finding:
    """Asks for one token; after a failure again with each setting that may be needed."""

    async def failure(switches: Mapping[str, object]) -> ProviderError | None:
        return await _failure(name, configured.model_copy(update=switches), settings, client)

    model = configured.models[0]
    loop = asyncio.get_running_loop()
    began = loop.time()
    error = await failure({})
    if error is None:
        return ok(name, f"{model} answered in {1000 * (loop.time() - began):.0f} ms")
    allowed = PRESETS[configured.preset].fields
    if (switches := await _switches(failure, allowed, {}, error)) is not None:
        lines = ", ".join(f"{field} = {_toml(value)}" for field, value in switches.items())
        words = f"{model} answers only with other settings"
        return wrong(name, words, f"in [providers.{name}]: {lines}")
    hint = next((words for kind, words in _ADVICE if isinstance(error, kind)), "")
    why = ", ".join(filter(None, (error.code, error.provider_code, error.reason)))
    return wrong(name, f"{model}: {error} ({why})", hint or "see the provider's status page")


async def _switches(
    failure: Callable[[Mapping[str, object]], Awaitable[ProviderError | None]],
    allowed: frozenset[ProviderField],
    found: Mapping[str, object],
    error: ProviderError,
) -> Mapping[str, object] | None:
    """The settings with which the provider answers, `found` ones included; None: there are none.

    It sends few questions: each setting is for one kind of failure and tried once.
    """
    for switches in _ALTERNATIVES.get(type(error), ()):
        if switches.keys() & found.keys() or not switches.keys() <= allowed:
            continue
        tried = {**found, **switches}
        other = await failure(tried)
        if other is None:
            return tried
        if type(other) is not type(error):
            return await _switches(failure, allowed, tried, other)
    return None


async def _failure(
    name: str, configured: ProviderSettings, settings: Settings, client: HttpClient
) -> ProviderError | None:
    """The error that a question for one token ends with; None if it is answered."""
    provider = build_provider(
        name,
        configured,
        base_url=configured.base_url,
        client=client,
        timeouts=settings.timeouts,
    )
    prompt = Prompt(
        model=configured.models[0],
        turns=(text_turn(Role.USER, "Hi"),),
        max_tokens=_FEWEST_TOKENS.get(configured.dialect, 1),
    )
    may_send = asyncio.get_running_loop().create_future()
    may_send.set_result(None)
    try:
        await provider.answer(prompt, may_send=may_send, on_sent=_nothing, sink=_DiscardingSink())
    except ProviderError as error:
        return error
    finally:
        await provider.close()
    return None


class _DiscardingSink:
    """Takes an answer and drops it: only its success matters."""

    def written(self, kind: Kind) -> str:
        return ""

    def _nothing(self, *_: object) -> None:
        pass

    text = refusal = reasoning = tool_call = arguments = data = usage = _nothing
    finish = deliver = attempt_ended = _nothing


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def _is_near(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _nothing() -> None:
    """Called when the question was sent, which the doctor does not need to know."""
