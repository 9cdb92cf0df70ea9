"""The commands of `server.py` that work on the store: API keys, migrate, backup, restore, check.

They read the settings of the store only, so that running them takes none of the other secrets.
"""

import argparse
import asyncio
import secrets
import signal
import sys
from pathlib import Path

from auth import api_key_commands
from auth.api_key_commands import CommandOutput
from settings import StorageSettings
from storage.factory import file_of, from_url
from storage.sqlite import backup as sqlite_backup
from storage.sqlite import restore as sqlite_restore

_KEY_COMMANDS = ("create-key", "list-keys", "revoke-key")
NAMES = frozenset({*_KEY_COMMANDS, "migrate", "backup", "restore", "check"})

# Seconds. Commands take no lease, so any length does.
_NO_LEASE = 1.0

# Sent by Ctrl-C, by a supervisor, and by a terminal that is closed.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(options: argparse.Namespace, store: StorageSettings) -> int:
    """Run the command of `options` and print its result. Returns the exit status.

    Raises CannotManage and StorageError, whose messages are for the operator.
    """
    match options.command:
        case "migrate":
            if not asyncio.run(_migrate(store)):
                print("nothing to do")
        case "backup":
            sqlite_backup.backup(file_of(store.url), options.file, print, _Stop())
        case "restore":
            _restore(file_of(store.url), options.file)
        case "check":
            return 0 if _check(store, options.file) else 1
        case _:
            output = asyncio.run(_manage_keys(options, store))
            print(output.result)
            print(output.remark, file=sys.stderr)
    return 0


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands and their options to the command line."""
    commands.add_parser("migrate", help="bring the store to this version's schema")

    backup = commands.add_parser("backup", help="copy the SQLite file; a server may be running")
    backup.add_argument(
        "file", type=Path, metavar="FILE", help="the copy to make; it must not exist yet"
    )

    restore = commands.add_parser("restore", help="replace the SQLite file by a backup")
    restore.add_argument("file", type=Path, metavar="FILE", help="the backup")

    check = commands.add_parser(
        "check", help="check the SQLite file, or a backup of it, for damage"
    )
    check.add_argument(
        "file", type=Path, metavar="FILE", nargs="?", help="the backup (the SQLite file)"
    )

    create = commands.add_parser("create-key", help="create an API key, which is shown once")
    create.add_argument("--user", required=True, help="the user that the key belongs to")
    create.add_argument(
        "--admin", action="store_true", help="permit reading /metrics and acting for other users"
    )
    create.add_argument("--days", type=int, help="days until the key expires (never)")
    create.add_argument(
        "--models", metavar="PATTERNS", help="models that it permits: openai/*,qwen/qwen-plus (all)"
    )
    create.add_argument("--note", default="", help="a note, which list-keys shows")

    listing = commands.add_parser("list-keys", help="list the API keys, without their secrets")
    listing.add_argument("--user", help="only the keys of this user")

    revoke = commands.add_parser("revoke-key", help="revoke API keys")
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("key", nargs="*", default=[], help="the key's id, or the key itself")
    which.add_argument("--user", help="all keys of this user")


async def _manage_keys(options: argparse.Namespace, store: StorageSettings) -> CommandOutput:
    """Run a command for API keys. Raises CannotManage and StorageError."""
    storage = from_url(store.url, process=secrets.token_hex(16), lease_seconds=_NO_LEASE)
    await storage.open(without_lease=True)
    try:
        match options.command:
            case "create-key":
                return await api_key_commands.create(
                    storage,
                    user=options.user,
                    admin=options.admin,
                    note=options.note,
                    days=options.days,
                    models=options.models,
                )
            case "list-keys":
                return await api_key_commands.list_keys(storage, options.user)
            case _:
                return await api_key_commands.revoke(storage, options.key, options.user)
    finally:
        await storage.close()


async def _migrate(store: StorageSettings) -> bool:
    """Migrate the store; returns whether there was anything to do. Raises StorageError."""
    storage = from_url(store.url, process=secrets.token_hex(16), lease_seconds=_NO_LEASE)
    return await storage.migrate(print)


def _restore(file: Path, copy: Path) -> None:
    sqlite_restore.restore(file, copy, print, _Stop())
    print(
        "Everything that happened after that backup is undone: API keys that were revoked are "
        "valid "
        "again, and deleted conversations are back.",
        file=sys.stderr,
    )


def _check(store: StorageSettings, copy: Path | None) -> bool:
    file = file_of(store.url) if copy is None else copy
    return sqlite_backup.check(file, is_ours=copy is None, write_line=print, stop=_Stop())


class _Stop:
    """Whether a signal has arrived; the command checks it, so that nothing is left half done.

    A signal that the process was started to ignore, as by `nohup`, stays ignored.
    """

    def __init__(self) -> None:
        self._came = False
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._take)

    def __call__(self) -> bool:
        return self._came

    def _take(self, *_: object) -> None:
        self._came = True
