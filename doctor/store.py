"""What the store says of itself, against what the server needs of it."""

import secrets
from collections.abc import Iterator

from doctor.findings import Finding, look, ok, wrong
from settings import Settings
from storage.contract import Storage
from storage.errors import Outdated, Reason, StorageError
from storage.opening import from_url
from storage.values import StoreReport

# With transactions on every shape of cluster, and `$$NOW`.
_OLDEST_MONGODB = (4, 4, 0)

# Times in answers are ours, leases are the database's. Past this a list of messages reads oddly
# beside that of another process; nothing else depends on it.
_CLOCK_SECONDS = 1.0

_MIGRATE = "server.py migrate"

_LOOK = "see storage.url: whether what it names is there, is this version's, and lets this user in"
_RESTORE = "server.py check says what is wrong; server.py restore puts a backup in its place"
_REMEDIES = {
    Reason.CORRUPT: _RESTORE,
    Reason.DENIED: "let this user in, or run it as the server's: what it names and, of a file, its "
    "folder, -wal and -shm have to be read and written",
    Reason.READ_ONLY: "mount its disk for writing",
    Reason.FULL: "make room",
}

# A day of writing, and of its journal, for a busy process.
_FREE_BYTES = 2_000_000_000

# A start and its first questions need that.
_NO_BYTES = 1_000_000


async def store(settings: Settings) -> list[Finding]:
    """Look at it; opening it is left to the server."""
    storage: Storage = from_url(
        settings.storage.url,
        process=secrets.token_hex(16),
        lease_seconds=settings.relay.lease_seconds,
    )
    try:
        report = await storage.report()
    except Outdated as error:
        return [wrong("storage", str(error), _MIGRATE)]
    except StorageError as error:
        return [wrong("storage", str(error), _REMEDIES.get(error.reason, _LOOK))]
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
            f"process {report.used_by} has another file that had this name, and refuses what it "
            "is asked to keep",
            "put that one back, or restart the server to serve this one",
        )
    elif report.used_by is not None:
        yield ok("storage", f"process {report.used_by} has it: a server runs")
    if report.faults:
        yield wrong(
            "storage",
            f"it is damaged: {report.faults[0]}",
            _RESTORE,
        )
    elif not report.is_looked_through:
        yield look(
            "storage",
            "it was not looked through to its end, which takes longer than a few seconds",
            "server.py check takes its time",
        )
    if report.missing:
        yield look(
            "storage",
            f"not there: {', '.join(report.missing)}",
            "nothing, if no server has been started yet: the next start makes them",
        )
    if report.due:
        yield look("storage", f"another version's: {', '.join(report.due)}", _MIGRATE)
    if abs(report.ahead_seconds) > _CLOCK_SECONDS:
        way = "ahead of" if report.ahead_seconds > 0 else "behind"
        yield look(
            "clock",
            f"the database's is {abs(report.ahead_seconds):.1f} s {way} this machine's",
            "have both machines ask the same time servers (chrony, systemd-timesyncd)",
        )
    elif report.name == "MongoDB":
        yield ok("clock", f"within {_CLOCK_SECONDS:g} s of the database's")
    if report.free_bytes is not None and report.free_bytes < _NO_BYTES:
        yield wrong(
            "disk",
            f"{report.free_bytes / 1e6:,.1f} MB are free where the database is",
            "make room; every question is refused until then",
        )
    elif report.free_bytes is not None and report.free_bytes < _FREE_BYTES:
        yield look(
            "disk",
            f"{report.free_bytes / 1e6:,.0f} MB are free where the database is",
            "make room; a full disk refuses every question",
        )
    if settings.reuse_port and report.name == "SQLite":
        yield wrong(
            "storage",
            "reuse_port is for several processes, and an SQLite file has one",
            "storage.url = mongodb://…, or reuse_port = false",
        )
