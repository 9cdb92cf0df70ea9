"""Headrace in the box as deploy/README.md installs it: the shipped units, settings, secrets.

Fixtures: `installed`, whose upstream is the test's, and `shared`, which has a MongoDB too, so that
there can be several processes. All of them are in the box's network.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from tests.mongod import replica_set
from tests.systemd_box.box import Box
from tests.upstreams import ScriptedUpstream
from tests.upstreams import start as start_upstream

_DEPLOY = Path(__file__).parents[2] / "deploy"
_UNITS = "/etc/systemd/system"
CREDENTIALS = "/etc/headrace/credentials"

# Where headrace.socket listens.
URL = "http://127.0.0.1:8080"


class Installed:
    """The units in place, nothing started yet."""

    def __init__(self, box: Box, **providers: str) -> None:
        self.box = box
        self._providers = providers
        for unit in (_DEPLOY / "systemd").iterdir():
            box.write(f"{_UNITS}/{unit.name}", unit.read_text("utf-8"))
        self.configure()
        self.keep("providers.openai.api_key", "sk-from-a-credential")

    def configure(self, more: str = "", relay: str = "") -> None:
        """Write the settings file: short waits, the providers, and what is given.

        One user may ask as fast as the load does.
        """
        text = f"[relay]\ncheckpoint_seconds = 0.1\nlease_seconds = 1\n{relay}\n"
        text += "[limits]\nquestions_per_minute = 0\n"
        for name, url in self._providers.items():
            text += f'[providers.{name}]\ndialect = "openai"\nbase_url = "{url}/v1"\n'
        self.box.write("/etc/headrace/headrace.toml", text + more)

    def ask_for_keys(self) -> None:
        """Let nobody in without an API key, as the shipped settings do."""
        self.keep("auth.secret", "s" * 64)
        self.configure('[auth]\nmode = "keys"\n')

    async def key(self, user: str = "alice") -> dict[str, str]:
        """The header that lets a new user in; the service has to have run once."""
        self.box.borrow("dbus.service", "dbus.socket")
        await self.box.run("systemctl", "start", "dbus.socket")
        said = await self.box.run("/opt/headrace/deploy/headrace", "create-key", "--user", user)
        (key,) = re.findall(r"hr_\S+", said)
        return {"Authorization": f"Bearer {key}"}

    def keep(self, name: str, secret: str) -> None:
        """Write a credential as an operator does: for root's eyes only."""
        self.box.write(f"{CREDENTIALS}/{name}", f"{secret}\n", 0o600)
        (self.box.root / CREDENTIALS.lstrip("/")).chmod(0o700)

    async def drop_in(self, text: str) -> None:
        """Change what the units of all instances say, as `systemctl edit` does."""
        self.box.write(f"{_UNITS}/headrace@.service.d/test.conf", f"[Service]\n{text}\n")
        await self.box.run("systemctl", "daemon-reload")

    async def start(self, *instances: int) -> None:
        """Start these; each is ready when this returns."""
        await self.systemctl("start", *instances)

    async def restart(self, *instances: int) -> None:
        """Restart these; each is ready again when this returns."""
        await self.systemctl("restart", *instances)

    async def systemctl(self, verb: str, *instances: int) -> None:
        """A verb of systemctl on these instances; it has to succeed."""
        await self.box.run("systemctl", verb, *(f"headrace@{number}" for number in instances))

    async def show(self, instance: int, name: str) -> str:
        """A property, as `systemctl show` has it."""
        return await self.box.show(f"headrace@{instance}", name)

    async def until(self, instance: int, name: str, value: str) -> None:
        """Return when a property is this."""
        while await self.show(instance, name) != value:
            pass  # each look is a process

    async def kill(self, instance: int, signal: str) -> None:
        """Send a signal to its process."""
        await self.box.run("systemctl", "kill", f"--signal={signal}", f"headrace@{instance}")

    async def pid(self, instance: int) -> str:
        """Its process, as the box numbers it."""
        return await self.show(instance, "MainPID")


@pytest.fixture
def second(box: Box, io_loop: IOLoop) -> Iterator[ScriptedUpstream]:
    """One more provider, with an empty script."""
    upstream = start_upstream(io_loop)
    yield upstream
    io_loop.run_sync(upstream.stop)


@pytest.fixture
def quick(box: Box, io_loop: IOLoop) -> Iterator[ScriptedUpstream]:
    """A provider that answers at once."""
    upstream = start_upstream(io_loop)
    upstream.tokens("你好", "，世界")
    upstream.finish()
    yield upstream
    io_loop.run_sync(upstream.stop)


@pytest.fixture
def installed(
    box: Box, upstream: ScriptedUpstream, second: ScriptedUpstream, quick: ScriptedUpstream
) -> Installed:
    """Headrace in a box. The box is asked for first, so that its providers are in its network."""
    return Installed(box, openai=upstream.url, second=second.url, quick=quick.url)


@pytest.fixture
def shared(installed: Installed, tmp_path: Path) -> Iterator[Installed]:
    """The same with a MongoDB, in the box's network as well."""
    folder = tmp_path / "mongod"
    folder.mkdir()
    with replica_set(folder) as mongod:
        installed.configure(f'[storage]\nurl = "{mongod.url("headrace")}"')
        yield installed
