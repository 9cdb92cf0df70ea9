"""A folder without settings, and how to lay some there."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test runs there is no headrace.toml but its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str], Path]:
    """Write a settings file."""

    def write(text: str, name: str = "some.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def credentials(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Lay credentials out as systemd does; gives the environment that names their folder."""

    def lay(**files: str) -> dict[str, str]:
        folder = tmp_path / "credentials"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        return {"CREDENTIALS_DIRECTORY": str(folder)}

    return lay
