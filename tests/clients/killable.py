"""A server that is killed, and whose successor has its store and its address."""

import json
from typing import Any

from tests.launching import Launched, Launcher
from tests.mongod import free_ports

# Seconds. What the killed process owned is its successor's business after the lease.
_RELAY = {"checkpoint_seconds": 0.05, "lease_seconds": 0.5, "heartbeat_seconds": 0.5}


class KillableServer:
    """A process, and then the next one."""

    def __init__(self, launcher: Launcher, providers: dict[str, dict[str, Any]]) -> None:
        self._launcher = launcher
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        tables: dict[str, dict[str, Any]] = {
            "storage": {"url": "sqlite:///headrace.db"},
            "relay": _RELAY,
            **{f"providers.{name}": settings for name, settings in providers.items()},
        }
        lines = [f"port = {port}"]
        for name, table in tables.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        launcher.settings.write_text("\n".join([*lines, ""]), "utf-8")
        self._process: Launched | None = None

    async def start(self) -> None:
        self._process = await self._launcher.serve()

    async def kill(self) -> None:
        """As `kill -9` does."""
        assert self._process is not None
        await self._process.kill()

    async def restart(self) -> None:
        """Kill it, and start the next one."""
        await self.kill()
        await self.start()
