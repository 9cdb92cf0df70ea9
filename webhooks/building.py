"""Makes webhooks of their settings."""

from collections.abc import Sequence

from http_client.endpoints import parse_url
from settings import WebhookSettings
from webhooks.signing import secret_bytes
from webhooks.webhook import Webhook


def webhooks_of(configured: Sequence[WebhookSettings]) -> list[Webhook]:
    """Return the webhooks that the settings have."""
    return [
        Webhook(
            name=name,
            url=each.url,
            secret=secret_bytes(each.secret.get_secret_value()),
            events=frozenset(each.events),
            ca_certs=each.ca_certs,
        )
        for each, name in zip(configured, _names(configured), strict=True)
    ]


def _names(configured: Sequence[WebhookSettings]) -> list[str]:
    """What the webhooks are called: by their hosts, which a number follows where one has several.

    Paths are left out, since they may have tokens.
    """
    named: list[str] = []
    for each in configured:
        host = parse_url(each.url)[0].host_header
        same = sum(other.partition("#")[0] == host for other in named)
        named.append(f"{host}#{same + 1}" if same else host)
    return named
