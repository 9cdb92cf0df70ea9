"""The settings of this start, built of all their sources."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from settings.error_messages import WrittenFile, error_message
from settings.errors import SettingsError
from settings.sources import (
    VendorKeys,
    named_in_credentials,
    named_in_environment,
    nested,
    settings_file,
)
from settings.storage import StorageSettings
from settings.tree import Settings, StorageOnly

_S = TypeVar("_S", bound=BaseSettings)


def load(config: Path | None, environ: Mapping[str, str]) -> Settings:
    """Build the settings from the file `config` (or the usual one), `environ` and credentials."""
    return _built(Settings, config, environ)


def load_storage(config: Path | None, environ: Mapping[str, str]) -> StorageSettings:
    """Where the store is, for commands that need nothing else: the rest is not even looked at.

    Secrets often are the service's own, out of reach of the operator's shell.
    """
    return _built(StorageOnly, config, environ).storage


def _built(kind: type[_S], config: Path | None, environ: Mapping[str, str]) -> _S:
    variables = named_in_environment(environ)
    credentials = named_in_credentials(environ)
    path, file = settings_file(config, environ)
    sources: tuple[PydanticBaseSettingsSource, ...] = (  # the strongest first
        InitSettingsSource(Settings, nested(credentials)),
        InitSettingsSource(Settings, nested(variables)),
        file,
        VendorKeys(Settings, environ),
    )
    try:
        return kind(_build_sources=(sources, {}))
    except ValidationError as error:
        origins = {named: name for name, named, _ in (*variables, *credentials)}
        written = WrittenFile(path, file())
        found = "; ".join(error_message(details, origins, written) for details in error.errors())
        raise SettingsError(" ".join(found.split())) from error  # a name may hold a line end
