"""Loads the settings from all of their sources."""

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
    """Build the settings from the file `config` (or the default one), `environ` and credentials.

    Raises SettingsError.
    """
    return _built(Settings, config, environ)


def load_storage(config: Path | None, environ: Mapping[str, str]) -> StorageSettings:
    """Build only the settings of the store, for commands that need no others; those are not
    checked.

    The secrets among them may be readable only by the service, and not by the operator. Raises
    SettingsError.
    """
    return _built(StorageOnly, config, environ).storage


def _built(kind: type[_S], config: Path | None, environ: Mapping[str, str]) -> _S:
    variables = named_in_environment(environ)
    credentials = named_in_credentials(environ)
    path, file = settings_file(config, environ)
    sources: tuple[PydanticBaseSettingsSource, ...] = (  # in descending order of precedence
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
        raise SettingsError(" ".join(found.split())) from error  # a name may contain a line end
