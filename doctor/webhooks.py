"""Tries each webhook: whether it can be reached, and accepts what this server signs."""

import asyncio
import secrets

from doctor.findings import Finding, ok, warning, wrong
from http_client.client import HttpClient
from http_client.endpoints import parse_url
from settings import Settings
from settings.addresses import is_loopback
from webhooks.building import webhooks_of
from webhooks.events import doctors_event
from webhooks.posting import POST_SECONDS, PostResult, post
from webhooks.webhook import Webhook

# What to do about responses that say more than that it failed.
_ADVICE = {
    400: "check that it has the same secret, and accepts events of a type that it does not know",
    401: "check that it has the same secret",
    403: "check that it has the same secret, and that nothing before it refuses this machine",
    404: "check the path of its url",
    405: "check the path of its url: it is sent POST requests",
    410: "remove it: it wants no events any more",
}


async def webhooks(settings: Settings, client: HttpClient) -> list[Finding]:
    """Findings about all webhooks: each is sent an event of the type `webhook.test`.

    Receivers ignore types that they do not know, so nothing happens there but that the signature is
    checked.
    """
    return [await _try(webhook, client) for webhook in webhooks_of(settings.webhooks)]


async def _try(webhook: Webhook, client: HttpClient) -> Finding:
    about = f"webhook {webhook.name}"
    loop = asyncio.get_running_loop()
    began = loop.time()
    event_id = f"evt_{secrets.token_hex(16)}"
    result = await post(client, webhook, event_id, doctors_event(event_id))
    if result.status is None:
        return wrong(about, f"no response: {result.reason}", _advice(result))
    if not result.is_accepted:
        return wrong(about, f"a test event got HTTP {result.status}", _advice(result))
    endpoint, _ = parse_url(webhook.url)
    if not endpoint.secure and not is_loopback(endpoint.host):
        return warning(
            about,
            "is reached without TLS, so the ids of answers are sent unencrypted",
            "use an https:// url, if it has one",
        )
    took = 1000 * (loop.time() - began)
    return ok(about, f"accepted a test event in {took:.0f} ms")


def _advice(result: PostResult) -> str:
    status = result.status
    if status is None and result.reason.startswith("tls_"):
        return "set its ca_certs if the certificate is your own; check this machine's clock"
    if status is None:
        return (
            "check its url, that it runs, and that this machine may connect to it; it has to "
            f"respond within {POST_SECONDS:.0f} s"
        )
    if 300 <= status < 400:
        return "set its url to where it redirects: redirects are not followed"
    return _ADVICE.get(status, "see its own log: every event would be tried again for a day")
