"""Where values come from: vendors' keys, a TOML file, the environment, systemd credentials.

The library's own source of variables would pass over unknown ones in silence, so what comes by name
is made into a tree here; its TOML source and its merging do the rest.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource

from presets import PRESETS
from service_links import service_links
from settings.errors import SettingsError
from settings.tree import Settings

PREFIX = "HEADRACE_"

# What systemd puts before a file's name where LoadCredential= names a folder, as deploy/ has it.
CREDENTIAL_PREFIX = "headrace_"
DEFAULT_FILE = Path("headrace.toml")

# The vendors' own names for their keys, in the order in which the first one's provider is default.
_KEY_VARIABLES = tuple(
    (name, variables) for name, preset in PRESETS.items() for variables in preset.key_variables
)


# One value that came by name: the name as the user wrote it, the path of the setting, the text.
_Named = tuple[str, tuple[str, ...], str]


def named_in_environment(environ: Mapping[str, str]) -> list[_Named]:
    """The variables that are ours, but for those that Kubernetes makes of a Service of our name."""
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
    """The files that systemd hands down. Raises SettingsError."""
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
    """Nest values by their paths, so that a path that leads nowhere is seen as such."""
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
    """The settings file, whether or not it is there, and what it says."""
    named = config or (Path(name) if (name := environ.get("HEADRACE_CONFIG")) else None)
    path = named or DEFAULT_FILE
    try:
        if named is not None and not named.is_file():
            raise SettingsError(f"there is no settings file {named}")
        return path, TomlConfigSettingsSource(Settings, toml_file=path)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # tomllib says where, not what stands there
        raise SettingsError(f"{path} is not TOML: {error}") from error


class VendorKeys(PydanticBaseSettingsSource):
    """Keys under the vendors' own names. They switch a provider on, or fill in its missing key."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environ = environ

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, "", False  # the library asks for this method, and calls it of other sources

    def __call__(self) -> dict[str, Any]:
        configured = self.current_state.get("providers", {})
        if not isinstance(configured, dict):
            return {}
        # Named here too, so that they keep their place before ours: the first one is the default.
        providers: dict[str, Any] = {name: {} for name in configured}
        for name, variables in _KEY_VARIABLES:
            keys = {each: self._environ[each] for each in variables if self._environ.get(each)}
            if not keys:
                continue
            if missing := sorted(variables.keys() - keys.keys()):
                raise SettingsError(f"{', '.join(keys)} is set, but {missing[0]} is not")
            theirs = configured.get(name, {})
            if _takes_keys(theirs, PRESETS[name].dialect):
                providers[name] = {variables[each]: value for each, value in keys.items()}
        return {"providers": providers} if providers else {}


def _takes_keys(configured: object, dialect: str) -> bool:
    """Whether a provider as configured is the one a vendor's key belongs to, and has none."""
    return (
        isinstance(configured, dict)
        and configured.get("dialect", dialect) == dialect
        and not configured.keys() & {"api_key", "secret_key", "access_token"}
    )
