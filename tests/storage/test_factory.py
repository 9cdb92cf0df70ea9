"""From `storage.url` to a store."""

import subprocess
import sys
from pathlib import Path

import pytest

from storage.contract import Storage
from storage.factory import from_url
from storage.sqlite.store import SQLiteStorage


def opened(url: str) -> Storage:
    return from_url(url, process="p", lease_seconds=30)


def test_three_slashes_are_relative_and_four_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in (
        ("sqlite:///data/a.db", Path("data/a.db")),
        ("sqlite:////var/lib/a b?#%20.db", Path("/var/lib/a b?#%20.db")),
    ):
        storage = opened(url)
        assert isinstance(storage, SQLiteStorage)
        assert storage.path == path


@pytest.mark.parametrize(
    "url", ["", "sqlite://", "sqlite:///", "sqlite://data/a.db", "a.db", "postgres://u:secret@h/d"]
)
def test_any_other_url_is_a_value_error_that_keeps_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///") as refused:
        opened(url)
    assert "secret" not in str(refused.value)


def test_a_server_with_sqlite_does_not_load_motor() -> None:
    script = (
        "import sys; from storage.factory import from_url;"
        "from_url('sqlite:///a.db', process='p', lease_seconds=1);"
        "sys.exit(any(name in sys.modules for name in ('motor', 'pymongo', 'bson')))"
    )
    assert 0 == subprocess.run([sys.executable, "-c", script], check=False).returncode
