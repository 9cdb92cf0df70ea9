"""Compares what the store reports about itself with what the server needs."""

import secrets
from collections.abc import Iterator

from doctor.findings import Finding, ok, warning, wrong
from settings import Settings
from storage.contract import StoreLifecycle
from storage.errors import Outdated, Reason, StorageError
from storage.factory import from_url
from storage.values import StoreReport

# With transactions on every shape of cluster, and `$$NOW`.
_OLDEST_MONGODB = (4, 4, 0)

# Times of messages are by this machine's clock, leases by the database's. With a larger difference
# messages of different processes may be listed out of order; nothing else depends on it.
_CLOCK_SECONDS = 1.0

_MIGRATE = "server.py migrate"

_LOOK = "check storage.url: that its database exists, is of this version, and admits this user"
_RESTORE = "server.py check says what is damaged; server.py restore replaces the file by a backup"
_ADVICE = {
    Reason.CORRUPT: _RESTORE,
    Reason.DENIED: "run doctor as the server's user, or give this user access: a file, its folder, "
    "its -wal and its -shm have to be readable and writable",
    Reason.READ_ONLY: "mount its disk writable",
    Reason.FULL: "free disk space",
}

# What a busy process writes in a day, journal included.
_FREE_BYTES = 2_000_000_000

# What a start and its first questions need.
_NO_BYTES = 1_000_000


async def store(settings: Settings) -> list[Finding]:
    """Findings about the store, which is examined without being opened for serving."""
    storage: StoreLifecycle = from_url(
        settings.storage.url,
        process=secrets.token_hex(16),
        lease_seconds=settings.relay.lease_seconds,
    )
    try:
        report = await storage.report()
    except Outdated as error:
        return [wrong("storage", str(error), _MIGRATE)]
    except StorageError as error:
        return [wrong("storage", str(error), _ADVICE.get(error.reason, _LOOK))]
    return list(_findings(settings, report))


def _findings(settings: Settings, report: StoreReport) -> Iterator[Finding]:
    version = ".".join(map(str, report.version))
    if report.name == "MongoDB" and report.version < _OLDEST_MONGODB:
        yield wrong(
            "storage",
            f"MongoDB {version} is too old",
            f"MongoDB {'.'.join(map(str, _OLDEST_MONGODB))} or newer",
        )
    else:
        yield ok("storage", f"{report.name} {version}, {report.shape}")
    if report.replaced:
        yield wrong(
            "storage",
            f"process {report.used_by} has another file open that had this name before, and "
            "refuses "
            "to store anything",
            "put the other file back, or restart the server to use this one",
        )
    elif report.used_by is not None:
        yield ok("storage", f"process {report.used_by} uses it: a server is running")
    if report.faults:
        yield wrong(
            "storage",
            f"it is damaged: {report.faults[0]}",
            _RESTORE,
        )
    elif not report.is_looked_through:
        yield warning(
            "storage",
            "it was not checked to its end, which takes longer than a few seconds",
            "server.py check checks all of it",
        )
    if report.missing:
        yield warning(
            "storage",
            f"missing: {', '.join(report.missing)}",
            "nothing to do if no server was started yet: the next start creates them",
        )
    if settings.webhooks and not report.has_outbox:
        yield wrong("storage", "it has no table for events for webhooks yet", _MIGRATE)
    if report.due:
        yield warning("storage", f"of another version: {', '.join(report.due)}", _MIGRATE)
    if abs(report.ahead_seconds) > _CLOCK_SECONDS:
        way = "ahead of" if report.ahead_seconds > 0 else "behind"
        yield warning(
            "clock",
            f"the database's is {abs(report.ahead_seconds):.1f} s {way} this machine's",
            "let both machines use the same time servers (chrony, systemd-timesyncd)",
        )
    elif report.name == "MongoDB":
        yield ok("clock", f"within {_CLOCK_SECONDS:g} s of the database's")
    if report.free_bytes is not None and report.free_bytes < _NO_BYTES:
        yield wrong(
            "disk",
            f"{report.free_bytes / 1e6:,.1f} MB are free where the database is",
            "free disk space; every question is refused until then",
        )
    elif report.free_bytes is not None and report.free_bytes < _FREE_BYTES:
        yield warning(
            "disk",
            f"{report.free_bytes / 1e6:,.0f} MB are free where the database is",
            "free disk space; with a full disk every question is refused",
        )
    if settings.reuse_port and report.name == "SQLite":
        yield wrong(
            "storage",
            "reuse_port is for several processes, and only one process may use an SQLite file",
            "storage.url = mongodb://…, or reuse_port = false",
        )
