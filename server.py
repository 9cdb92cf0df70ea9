"""Headrace's command line; what it starts is put together in `app/`.

server.py [--config FILE]                 serve in the foreground
server.py [--config FILE] check-config    print the effective settings, secrets masked
server.py [--config FILE] doctor [--ask]  check settings, machine, store and providers
server.py [--config FILE] migrate         migrate the store to this version, and print the changes
server.py [--config FILE] backup FILE     copy the SQLite file, also while a server runs
server.py [--config FILE] restore FILE    replace the SQLite file by a backup
server.py [--config FILE] check [FILE]    check the SQLite file, or a backup of it, for damage
server.py [--config FILE] create-key --user NAME [--admin] [--days N] [--models …] [--note TEXT]
server.py [--config FILE] list-keys [--user NAME]
server.py [--config FILE] revoke-key ID… | --user NAME

Those from `migrate` on work on the store itself (`commands.py`), and need no server.
"""

import argparse
import asyncio
import gc
import logging
import os
import sys
from pathlib import Path

import commands
from auth.api_key_commands import CannotManage
from service_links import service_links
from settings import PREFIX, SettingsError, describe, load, load_storage
from sockets.listening import CannotListen
from storage.errors import StorageError
from telemetry import logs

log = logging.getLogger("headrace")


def main(arguments: list[str]) -> int:
    """The command line. Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command in commands.NAMES:
            return commands.run(options, load_storage(options.config, os.environ))
        settings = load(options.config, os.environ)
        logs.configure(settings.log.format, settings.log.level)
        if options.command == "check-config":
            print(describe(settings), end="")
        elif options.command == "doctor":
            from doctor.examination import examine

            return 0 if asyncio.run(examine(settings, ask=options.ask, write_line=print)) else 1
        else:
            if links := service_links(os.environ, PREFIX):
                log.info(
                    "ignored variables that Kubernetes sets for a Service: %s",
                    ", ".join(sorted(links)),
                )
            # A third of a second's work, which no other command waits for. It makes no garbage;
            # looking for some took 15 % of it.
            gc.disable()
            from app.lifecycle import serve

            gc.enable()
            asyncio.run(serve(settings))
    except (SettingsError, StorageError, CannotListen, CannotManage) as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="server.py",
        description="Relays LLM streams to readers.",
        epilog="A vendor's variable such as OPENAI_API_KEY enables its provider; docs/providers.md "
        "lists them, README.md all settings.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (headrace.toml)")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    parser.set_defaults(command="serve")
    subparsers.add_parser("serve", help="run the server in the foreground (the default)")
    subparsers.add_parser("check-config", help="print the effective settings, secrets masked")
    doctor = subparsers.add_parser("doctor", help="check settings, machine, store and providers")
    doctor.add_argument(
        "--ask",
        action="store_true",
        help="also ask each provider for one token, and find out which settings it needs",
    )
    commands.add_to(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
