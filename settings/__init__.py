"""Every knob of the server: one frozen tree, built once at the start and handed down.

Four places can set a value, each beating the ones before it: keys under the names that vendors give
them (`OPENAI_API_KEY`, …), a TOML file, the environment (`HEADRACE_RELAY__HEARTBEAT_SECONDS`), and
systemd credentials (a file `providers.openai.api_key` in `$CREDENTIALS_DIRECTORY`). A wrong or
unknown setting stops the start with one line that names it and never shows a secret.

`tree.py` holds the sections together, each of which is in the module of its area; `loading.py`
builds the tree of its sources, `error_messages.py` says what is wrong, `display.py` shows it. Tests
may also write `Settings(port=0, …)`: the class itself reads nothing but its arguments. Times are
seconds unless a name says otherwise.
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
    "describe",
    "load",
    "load_storage",
    "masked",
]
