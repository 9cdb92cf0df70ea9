"""Webhooks: other servers that are told when answers have ended."""

from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, Field, SecretStr

from settings.addresses import WebhookAddress
from settings.values import CaFile, CommaSeparated, Section
from webhooks.signing import secret_bytes

EventName = Literal[
    "response.completed", "response.incomplete", "response.failed", "response.cancelled"
]
_EVERY_EVENT: Final[tuple[EventName, ...]] = get_args(EventName)

# Each has connections and claims of its own.
MOST_WEBHOOKS = 10


def _secret(value: SecretStr) -> SecretStr:
    secret_bytes(value.get_secret_value())
    return value


class WebhookSettings(Section):
    """One webhook: an address that is told when answers that are stored have ended."""

    # It may have a token in its path; the receiver's certificate is checked.
    url: WebhookAddress = Field(repr=False)
    # Signs the events, by the scheme of Standard Webhooks. The receiver has the same.
    secret: Annotated[SecretStr, AfterValidator(_secret)]
    events: Annotated[tuple[EventName, ...], CommaSeparated, Field(min_length=1)] = _EVERY_EVENT
    ca_certs: CaFile | None = None  # replaces certifi's
