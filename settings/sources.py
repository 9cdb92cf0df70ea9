"""The sources of settings: vendors' API keys, a TOML file, the environment, systemd credentials.

pydantic-settings' own source of environment variables ignores unknown ones. So variables and
credentials are nested into a tree here, and pydantic-settings reads the TOML file and merges the
sources.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource

from presets import PRESETS, Preset
from service_links import service_links
from settings.addresses import completed_address
from settings.errors import SettingsError
from settings.providers import preset_name
from settings.tree import Settings

PREFIX = "HEADRACE_"

# systemd's prefix of file names where LoadCredential= names a folder, as in deploy/.
CREDENTIAL_PREFIX = "headrace_"
DEFAULT_FILE = Path("headrace.toml")

_KEYS = frozenset({"api_key", "secret_key", "access_token"})

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
        return path, SettingsFile(Settings, toml_file=path)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # without a quotation
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


class SettingsFile(TomlConfigSettingsSource):
    """The TOML file. Webhooks, its only list of tables, are named by their numbers, from 0 on, so
    that variables and credentials can add a secret to one.
    """

    def __call__(self) -> dict[str, Any]:
        tree = super().__call__()
        listed = tree.get("webhooks")
        if isinstance(listed, list):
            return {**tree, "webhooks": {str(at): each for at, each in enumerate(listed)}}
        return tree


class VendorKeys(PydanticBaseSettingsSource):
    """API keys, or an address, under the vendors' own names. They add a provider, or fill in what
    it lacks.

    The first provider with a key is the default one, unless the settings have another. Where
    several presets may have the same key, it is for those that are configured; the first of them is
    added if none is.
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
        presets = {name: _preset_of(name, given) for name, given in configured.items()}
        # Providers of the other sources come first, so that the default one stays the same.
        providers: dict[str, Any] = {name: {} for name in configured}
        claimed: set[str] = set()
        for name, preset in presets.items():
            if preset is not None and preset in PRESETS:  # a misspelt one is reported elsewhere
                providers[name], _ = _filled(PRESETS[preset], configured[name], self._environ)
                claimed.update(*PRESETS[preset].key_variables)
        for name, known in PRESETS.items():
            if name not in configured:
                found, variables = _filled(known, {}, self._environ)
                if not claimed & variables:
                    claimed |= variables
                    providers.update({name: found} if found else {})
        return {"providers": providers} if providers else {}


def _preset_of(name: str, given: object) -> str | None:
    return preset_name(name, given) if isinstance(given, dict) else None


def _filled(
    preset: Preset, configured: Mapping[str, object], environ: Mapping[str, str]
) -> tuple[dict[str, str], frozenset[str]]:
    """What the vendor's variables say of a provider, and the variables with its key.

    Both are empty without a key, or if the provider has one. Raises SettingsError for half a set of
    variables, unless another set is whole, or settings have the missing part.
    """
    half: tuple[str, str] | None = None
    for variables in preset.key_variables:
        fields = set(variables.values())
        if configured.keys() & (_KEYS if fields & _KEYS else fields):
            continue
        found = {name: field for name, field in variables.items() if environ.get(name)}
        missing = variables.keys() - found.keys()
        missing = {name for name in missing if variables[name] not in configured}
        if found and missing:
            half = half or (", ".join(found), min(missing))
        elif found and (_KEYS.intersection(found.values()) or not preset.key_required):
            named = {**preset.other_variables, **found}
            return {
                field: _meant(name, field, environ[name], preset.base_url)
                for name, field in reversed(named.items())  # so that the first of a field counts
                if environ.get(name)
            }, frozenset(found)
    if half:
        raise SettingsError(f"{half[0]} is set, but {half[1]} is not")
    if "base_url" in configured and not configured.keys() & _KEYS:
        # The key of a provider that its address alone switches on, such as Ollama's.
        return {
            field: environ[name]
            for name, field in preset.other_variables.items()
            if field in _KEYS and environ.get(name)
        }, frozenset()
    return {}, frozenset()


def _meant(variable: str, setting: str, value: str, usual_address: str) -> str:
    """Return the value of a setting that a vendor's variable means. Raises SettingsError."""
    if setting != "base_url" or not usual_address:
        return value.strip() if setting == "base_url" else value
    try:
        return completed_address(value.strip(), usual_address)
    except ValueError as error:
        raise SettingsError(f"{variable} should be an address such as host:port") from error
