"""Creates the store that `storage.url` names."""

from pathlib import Path

from storage.contract import Storage
from storage.errors import StorageError
from storage.sqlite.store import SQLiteStorage


def from_url(url: str, *, process: str, lease_seconds: float) -> Storage:
    """Return the store that `url` names, not yet open.

    Raises ValueError, without the URL's password.

    `sqlite:///data/headrace.db` is relative to the working folder, `sqlite:////var/lib/headrace.db`
    is absolute; `mongodb://` and `mongodb+srv://` are as in MongoDB's manual.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        # There is no host and there are no options: all after three slashes is the file's path.
        if not rest.startswith("/") or not rest[1:]:
            raise ValueError("an SQLite URL is sqlite:/// and a file: sqlite:///data/headrace.db")
        return SQLiteStorage(Path(rest[1:]), process)
    if scheme in ("mongodb", "mongodb+srv"):
        # Imported here, because motor takes 0.25 s and 18 MB, which a server with SQLite does not
        # need.
        from storage.mongo.store import MongoStorage

        return MongoStorage(url, process, lease_seconds)
    raise ValueError("storage is sqlite:///FILE or mongodb://HOST/DATABASE")


def file_of(url: str) -> Path:
    """Return the SQLite file that `url` names.

    Raises StorageError, with what to do, if it names none.
    """
    if not url.startswith("sqlite:"):
        raise StorageError(
            "this command is for an SQLite file; a MongoDB is kept and brought back by mongodump "
            'and mongorestore: see "Backup" in docs/operating.md'
        )
    return Path(url.removeprefix("sqlite:///"))
