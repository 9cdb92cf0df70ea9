"""The commands that work on the store, beside servers or in their place: `server.py` runs them.

They read the settings of the store alone: whoever runs them needs no secret of the server's.
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
from storage.opening import file_of, from_url
from storage.sqlite import backups, restoring

_KEY_COMMANDS = ("create-key", "list-keys", "revoke-key")
NAMES = frozenset({*_KEY_COMMANDS, "migrate", "backup", "restore", "check"})

# Seconds: a command beside the servers takes none, so its length means nothing.
_NO_LEASE = 1.0

# From a person, a supervisor, and a terminal that is closed.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(options: argparse.Namespace, store: StorageSettings) -> int:
    """Do what `options` ask for, and say so. Returns the exit status.

    Raises CannotManage and StorageError, with words for the operator.
    """
    match options.command:
        case "migrate":
            if not asyncio.run(_migrate(store)):
                print("nothing to do")
        case "backup":
            backups.backup(file_of(store.url), options.file, print, _Stop())
        case "restore":
            _restore(file_of(store.url), options.file)
        case "check":
            return 0 if _check(store, options.file) else 1
        case _:
            said = asyncio.run(_manage_keys(options, store))
            print(said.result)
            print(said.remark, file=sys.stderr)
    return 0


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Say what the command line takes."""
    commands.add_parser("migrate", help="bring the store to this version")

    backup = commands.add_parser("backup", help="copy the SQLite file, also beside a server")
    backup.add_argument("file", type=Path, metavar="FILE", help="where to; it may not be there yet")

    restore = commands.add_parser("restore", help="put a backup in the SQLite file's place")
    restore.add_argument("file", type=Path, metavar="FILE", help="the backup")

    check = commands.add_parser("check", help="look through the SQLite file, or a backup of it")
    check.add_argument("file", type=Path, metavar="FILE", nargs="?", help="the backup")

    create = commands.add_parser("create-key", help="make an API key, which is shown once")
    create.add_argument("--user", required=True, help="whose it is")
    create.add_argument("--admin", action="store_true", help="for others' data and /metrics")
    create.add_argument("--days", type=int, help="for how long it is good (until revoked)")
    create.add_argument(
        "--models", metavar="PATTERNS", help="which it may ask: openai/*,qwen/qwen-plus (any)"
    )
    create.add_argument("--note", default="", help="what for, as list-keys shows it")

    listing = commands.add_parser("list-keys", help="show what is known of the API keys")
    listing.add_argument("--user", help="only this one's")

    revoke = commands.add_parser("revoke-key", help="take API keys back")
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("key", nargs="*", default=[], help="its id, or all of it")
    which.add_argument("--user", help="all of this one's")


async def _manage_keys(options: argparse.Namespace, store: StorageSettings) -> CommandOutput:
    """Do what a command for API keys asks. Raises CannotManage and StorageError."""
    storage = from_url(store.url, process=secrets.token_hex(16), lease_seconds=_NO_LEASE)
    await storage.open(beside=True)
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
                return await api_key_commands.listing(storage, options.user)
            case _:
                return await api_key_commands.revoke(storage, options.key, options.user)
    finally:
        await storage.close()


async def _migrate(store: StorageSettings) -> bool:
    """Bring the store to this version; whether there was anything to do. Raises StorageError."""
    storage = from_url(store.url, process=secrets.token_hex(16), lease_seconds=_NO_LEASE)
    return await storage.migrate(print)


def _restore(file: Path, copy: Path) -> None:
    restoring.restore(file, copy, print, _Stop())
    print(
        "What was done since that backup is undone: revoked API keys are good again, and deleted "
        "conversations are back.",
        file=sys.stderr,
    )


def _check(store: StorageSettings, copy: Path | None) -> bool:
    file = file_of(store.url) if copy is None else copy
    return backups.check(file, is_ours=copy is None, say=print, stop=_Stop())


class _Stop:
    """Whether a signal came since; it ends nothing by itself, so that nothing is left half done.

    One that is ignored, as `nohup` has it, goes on to be.
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
