"""The sources of settings: vendors' API keys, a TOML file, the environment, systemd credentials.

pydantic-settings' own source of environment variables ignores unknown ones. So variables and
credentials are nested into a tree here, and pydantic-settings reads the TOML file and merges the
sources.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource

from presets import PRESETS
from service_links import service_links
from settings.addresses import completed_address
from settings.errors import SettingsError
from settings.tree import Settings

PREFIX = "HEADRACE_"

# systemd's prefix of file names where LoadCredential= names a folder, as in deploy/.
CREDENTIAL_PREFIX = "headrace_"
DEFAULT_FILE = Path("headrace.toml")

# The vendors' own names for their API keys. The first provider with a key is the default one.
_KEY_VARIABLES = tuple(
    (name, variables) for name, preset in PRESETS.items() for variables in preset.key_variables
)

_KEYS = {"api_key", "secret_key", "access_token"}


def _sharing(variables: Mapping[str, str]) -> list[str]:
    """Return the providers that may have the same key, in the order of their table."""
    return [each for each, others in _KEY_VARIABLES if others.keys() == variables.keys()]


# A value that has a name: the name as the operator wrote it, the path of the setting, the text.
_Named = tuple[str, tuple[str, ...], str]


def named_in_environment(environ: Mapping[str, str]) -> list[_Named]:
    """Return the settings in the environment.

    Variables that Kubernetes creates for a Service with our name are left out.
    """
    links = service_links(environ, PREFIX)
    return [
        (name, tuple(name.removeprefix(PREFIX).lower().split("__")), value)
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX)
        and name not in links
        and name != "HEADRACE_CONFIG"
        and not name.startswith("HEADRACE_TEST_")
    ]


def named_in_credentials(environ: Mapping[str, str]) -> list[_Named]:
    """Return the settings in systemd's credentials. Raises SettingsError."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return []
    try:
        files = [
            file
            for file in sorted(Path(directory).iterdir())
            if file.is_file() and not file.name.startswith(".")
        ]
    except OSError as error:
        raise SettingsError(
            f"cannot read the credentials in {directory}: {error.strerror}"
        ) from error
    return [_credential(file) for file in files]


def _credential(file: Path) -> _Named:
    name = file.name.removeprefix(CREDENTIAL_PREFIX)
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read the credential {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"the credential {file} is not UTF-8 text") from error
    return f"credential {name} (in {file})", tuple(name.split(".")), text.strip()


def nested(named: Iterable[_Named]) -> dict[str, Any]:
    """Nest values by their paths, so that a path which is not a setting is reported as unknown.

    Raises SettingsError if a path leads through a value.
    """
    tree: dict[str, Any] = {}
    for name, path, value in named:
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise SettingsError(f"{name}: {part} is set as a value already")
        branch[path[-1]] = value
    return tree


def settings_file(
    config: Path | None, environ: Mapping[str, str]
) -> tuple[Path, PydanticBaseSettingsSource]:
    """Return the path of the settings file, whether or not it exists, and the source that reads it.

    Raises SettingsError.
    """
    named = config or (Path(name) if (name := environ.get("HEADRACE_CONFIG")) else None)
    path = named or DEFAULT_FILE
    try:
        if named is not None and not named.is_file():
            raise SettingsError(f"the settings file {named} does not exist")
        return path, TomlConfigSettingsSource(Settings, toml_file=path)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # without a quotation
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


class VendorKeys(PydanticBaseSettingsSource):
    """API keys, or an address, under the vendors' own names. They add a provider, or fill in what
    it lacks.

    Where several providers may have the same key, it is for those that are configured; the first of
    them is added if none is.
    """

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environ = environ

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, "", False  # abstract in the base class, and never called here

    def __call__(self) -> dict[str, Any]:
        configured = self.current_state.get("providers", {})
        if not isinstance(configured, dict):
            return {}
        # Providers of the other sources come first, so that the default one stays the same.
        providers: dict[str, Any] = {name: {} for name in configured}
        for name, variables in _KEY_VARIABLES:
            keys = {each: self._environ[each] for each in variables if self._environ.get(each)}
            if not keys:
                continue
            if missing := sorted(variables.keys() - keys.keys()):
                raise SettingsError(f"{', '.join(keys)} is set, but {missing[0]} is not")
            sharing = _sharing(variables)
            if name not in ([each for each in sharing if each in configured] or sharing[:1]):
                continue
            theirs = configured.get(name, {})
            if _takes(variables.values(), theirs, PRESETS[name].dialect):
                providers[name] = {
                    variables[each]: _meant(each, variables[each], value, PRESETS[name].base_url)
                    for each, value in keys.items()
                }
        return {"providers": providers} if providers else {}


def _takes(settings: Iterable[str], configured: object, dialect: str) -> bool:
    """Whether a configured provider is the one that a vendor's variables are for, and has no key,
    or no such settings, itself.
    """
    wanted = set(settings)
    return (
        isinstance(configured, dict)
        and configured.get("dialect", dialect) == dialect
        and not configured.keys() & (_KEYS if wanted & _KEYS else wanted)
    )


def _meant(variable: str, setting: str, value: str, usual_address: str) -> str:
    """Return the value of a setting that a vendor's variable means. Raises SettingsError."""
    if setting != "base_url":
        return value
    try:
        return completed_address(value.strip(), usual_address)
    except ValueError as error:
        raise SettingsError(f"{variable} should be an address such as host:port") from error
