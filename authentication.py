"""Sets up what `auth.mode` asks for: the authenticator, tickets, and what has to run for them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tornado.httpclient import HTTPResponse

from auth.api_key_verifier import ApiKeyVerifier
from auth.errors import KeysUnavailable
from auth.tickets import Tickets
from handlers.authenticator import Authenticator
from handlers.bearer_authenticator import BearerAuthenticator
from handlers.cors import Cors
from handlers.loopback_only import LoopbackOnly
from handlers.open_requests import OpenRequests
from http_client.client import ClientRequest, HttpClient
from http_client.errors import HttpClientError
from settings import AuthSettings, JwtSettings
from storage.contract import ApiKeyStore

# Seconds for fetching the issuer's keys, connecting included: requests with a token wait for it.
_FETCH_SECONDS = 10.0


class AuthenticationSetup(NamedTuple):
    """What authenticates requests. Its background tasks must run; `close` is called at the end."""

    authenticator: Authenticator
    tickets: Tickets
    background_tasks: tuple[Callable[[], Awaitable[None]], ...]
    close: Callable[[], None]


def set_up_authentication(
    auth: AuthSettings, cors: Cors, storage: ApiKeyStore, requests: OpenRequests
) -> AuthenticationSetup:
    """Set up authentication by the settings in `auth`."""
    # Without keys tickets are not verified, so any secret will do.
    secret = secrets.token_hex() if auth.secret is None else auth.secret.get_secret_value()
    tickets = Tickets(secret)
    if auth.mode == "keys":
        verifier = ApiKeyVerifier(storage, requests, recheck_seconds=auth.recheck_seconds)
        return AuthenticationSetup(
            BearerAuthenticator(verifier, tickets), tickets, (verifier.run,), _nothing
        )
    if auth.jwt is not None:
        return _set_up_tokens(auth.jwt, tickets)
    return AuthenticationSetup(LoopbackOnly(cors), tickets, (), _nothing)


def _set_up_tokens(configured: JwtSettings, tickets: Tickets) -> AuthenticationSetup:
    # Imported here, since cryptography costs time and memory that servers without tokens do not
    # need.
    from auth.jwks import JwksCache
    from auth.token_verifier import TokenRequirements, TokenVerifier

    client = HttpClient(
        max_connections=1
    )  # a client of its own, so that it never waits for calls to providers
    keys = JwksCache(_fetching(configured, client), configured.algorithms)
    requirements = TokenRequirements(
        issuer=configured.issuer,
        audience=configured.audience,
        algorithms=configured.algorithms,
        leeway=configured.leeway_seconds,
        admin_scope=configured.admin_scope,
        models_claim=configured.models_claim,
    )
    verifier = TokenVerifier(requirements, keys)
    return AuthenticationSetup(
        BearerAuthenticator(verifier, tickets), tickets, (verifier.run,), client.close
    )


def _fetching(configured: JwtSettings, client: HttpClient) -> Callable[[], Awaitable[bytes]]:
    """A function that fetches the issuer's keys. Redirects are refused, so they come from the
    configured address only.
    """

    async def fetch() -> bytes:
        request = ClientRequest(
            configured.jwks_url,
            ca_certs=str(configured.ca_certs) if configured.ca_certs else None,
        )
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                response: HTTPResponse = await client.fetch(request, raise_error=False)
        except TimeoutError as error:
            raise KeysUnavailable("timed_out") from error
        except HttpClientError as error:
            raise KeysUnavailable(error.reason) from error
        if response.code != 200:
            raise KeysUnavailable(f"http_{response.code}")
        return response.body

    return fetch


def _nothing() -> None:
    """There is nothing to close."""
