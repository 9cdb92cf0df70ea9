"""All settings of the server: one frozen tree, built once at the start and passed on.

A value can come from four sources, each of which overrides the ones before it: API keys under the
vendors' own names (`OPENAI_API_KEY`, …), a TOML file, the environment
(`HEADRACE_RELAY__HEARTBEAT_SECONDS`), and systemd credentials (a file `providers.openai.api_key` in
`$CREDENTIALS_DIRECTORY`). A wrong or unknown setting stops the start with one line that names it
and never shows a secret.

`tree.py` combines the sections, each of which has a module; `loading.py` builds the tree from its
sources, `error_messages.py` words the errors, and `display.py` shows the tree. Tests may also call
`Settings(port=0, …)`: the class itself reads nothing but its arguments. Times are in seconds unless
a name says otherwise.
"""

from settings.addresses import UNIX
from settings.auth import AuthSettings, JwtSettings
from settings.display import MASK, describe, masked
from settings.errors import SettingsError
from settings.loading import load, load_storage
from settings.providers import ProviderSettings, TimeoutSettings
from settings.sources import PREFIX
from settings.storage import StorageSettings
from settings.tree import Settings
from settings.webhooks import WebhookSettings

__all__ = [
    "MASK",
    "PREFIX",
    "UNIX",
    "AuthSettings",
    "JwtSettings",
    "ProviderSettings",
    "Settings",
    "SettingsError",
    "StorageSettings",
    "TimeoutSettings",
    "WebhookSettings",
    "describe",
    "load",
    "load_storage",
    "masked",
]
