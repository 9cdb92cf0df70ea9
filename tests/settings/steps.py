"""What the tests of settings share: the line that a wrong setting ends in, and secrets."""

from pathlib import Path

import pytest
import trustme

from settings import SettingsError, load

SECRET = "sk-4f9c-never-shown"


def error_message(config: Path | None = None, environ: dict[str, str] | None = None) -> str:
    """The one line that a start with wrong settings ends in."""
    with pytest.raises(SettingsError) as caught:
        load(config, environ or {})
    line = str(caught.value)
    assert "\n" not in line
    return line


def ca_file(folder: Path) -> Path:
    """A file of certificates."""
    file = folder / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    return file


LONG = "x" * 32
