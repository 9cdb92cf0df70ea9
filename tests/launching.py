"""Headrace as a process of its own: server.py with a settings file, signals, and what it logs.

Fixtures: `launcher` starts processes in the test's folder, and ends at the end whatever still runs
by its own process id; `fleet` starts servers that share a database. A traceback in the log of any
of them fails the test.
"""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tornado.ioloop import IOLoop

from tests.readers import close_all
from tests.upstreams import ScriptedUpstream

_SERVER = Path(__file__).parents[1] / "server.py"

# What systemd does for a process that it hands a socket to. Arguments: its descriptor, the command.
_HAND_DOWN = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
names = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "headrace"}
os.execve(sys.argv[2], sys.argv[2:], os.environ | names)
"""

# A lease that is sat through by tests, and ticks that fit it several times.
CHECKPOINT_SECONDS = 0.2
LEASE_SECONDS = 2.0
HEARTBEAT_SECONDS = 0.5

# Seconds. A server is up after one here; a loaded machine may take its time.
_PATIENCE = 20


class Launched(NamedTuple):
    """A serving process and its address."""

    process: asyncio.subprocess.Process
    url: str

    async def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()
        await self.process.wait()

    def freeze(self) -> None:
        """Stop it where it is: its connections stay open, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to drain."""
        self.process.send_signal(signal.SIGTERM)


class Launcher:
    """Runs server.py as a process of its own, with a settings file in the test's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "headrace.toml"
        self.started: list[asyncio.subprocess.Process] = []

    async def start(self, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
        """Any call of server.py."""
        pipe = asyncio.subprocess.PIPE
        return await self._run(sys.executable, str(_SERVER), *arguments, stderr=pipe, **environ)

    async def serve(
        self, listening: socket.socket | None = None, program: Path = _SERVER, **environ: str
    ) -> Launched:
        """A serving process and its address; `listening` is handed down to it, as systemd would.

        `program` stands for server.py: that of another checkout, say.
        """
        command = (sys.executable, str(program), "--config", str(self.settings))
        fds: tuple[int, ...] = ()
        if listening is not None:
            fds = (listening.fileno(),)
            command = (sys.executable, "-c", _HAND_DOWN, str(fds[0]), *command)
        # A pipe that nobody reads would hold it up once it is full.
        unnamed = self.folder / "log"
        with unnamed.open("wb") as log:
            process = await self._run(*command, stderr=log.fileno(), pass_fds=fds, **environ)
        unnamed.rename(self._log(process))
        assert process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            ready = (await process.stdout.readline()).decode()
        assert ready.startswith("Headrace is ready at "), self.log(process)
        return Launched(process, ready.split()[-1])

    async def activated(self, activator: str, address: str) -> asyncio.subprocess.Process:
        """A server that `systemd-socket-activate` makes of itself at the first connection."""
        server = (sys.executable, str(_SERVER), "--config", str(self.settings))
        command = (activator, f"--listen={address}", "--fdname=headrace", *server)
        unnamed = self.folder / "log"
        with unnamed.open("wb") as log:
            process = await self._run(*command, stderr=log.fileno())
        unnamed.rename(self._log(process))
        return process

    async def refused(self, *arguments: str, **environ: str) -> str:
        """What a process says that must not start."""
        process = await self.start(*arguments, **environ)
        out, err = await process.communicate()
        assert (1, b"") == (process.returncode, out)
        return err.decode()

    def log(self, process: asyncio.subprocess.Process) -> str:
        """What a serving process has logged so far."""
        return self._log(process).read_text()

    async def end_all(self) -> None:
        """Leave nothing running. Fails for an error in the log of a serving process."""
        await close_all()
        for process in self.started:
            if process.returncode is None:
                process.kill()
            await process.communicate()
        for log in self.folder.glob("*.log"):
            text = log.read_text()
            assert not re.search(r"^\S+ \S+ ERROR|^Traceback", text, re.MULTILINE), text

    def _log(self, process: asyncio.subprocess.Process) -> Path:
        return self.folder / f"{process.pid}.log"

    async def _run(
        self, *command: str, stderr: int, pass_fds: tuple[int, ...] = (), **environ: str
    ) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            pass_fds=pass_fds,
        )
        self.started.append(process)
        return process


class Fleet:
    """Servers on one database whose only provider is the test's upstream."""

    def __init__(self, launcher: Launcher, mongo_url: str, upstream: ScriptedUpstream) -> None:
        self.launcher = launcher
        self._mongo_url = mongo_url
        self._upstream = upstream
        self._environ: dict[str, str] = {}

    def ask_for_keys(self) -> None:
        """Have the servers that are started from now on ask for API keys."""
        self._environ |= {"HEADRACE_AUTH__MODE": "keys", "HEADRACE_AUTH__SECRET": "s" * 32}

    def tell(self, url: str, secret: str) -> None:
        """Have the servers that are started from now on tell a webhook of answers."""
        self._environ |= {
            "HEADRACE_WEBHOOKS__0__URL": url,
            "HEADRACE_WEBHOOKS__0__SECRET": secret,
        }

    async def key(self) -> str:
        """A new API key, made beside the servers."""
        command = ("--config", str(self.launcher.settings), "create-key", "--user", "local")
        process = await self.launcher.start(*command)
        made, _ = await process.communicate()
        return made.decode().strip()

    async def serve(
        self,
        *,
        port: int = 0,
        reuse_port: bool = False,
        listening: socket.socket | None = None,
        program: Path = _SERVER,
        **relay: float,
    ) -> Launched:
        """One more; `relay` are settings of that table, `program` is as in `Launcher.serve`."""
        times = {
            "checkpoint_seconds": CHECKPOINT_SECONDS,
            "lease_seconds": LEASE_SECONDS,
            "heartbeat_seconds": HEARTBEAT_SECONDS,
            **relay,
        }
        table = "".join(f"{name} = {value}\n" for name, value in times.items())
        self.launcher.settings.write_text(
            f"port = {port}\nreuse_port = {str(reuse_port).lower()}\n"
            f'[storage]\nurl = "{self._mongo_url}"\n[relay]\n{table}'
            "[limits]\nquestions_per_minute = 0\n"  # some tests look by asking, again and again
            f'[providers.openai]\nbase_url = "{self._upstream.url}/v1"\n'
        )
        return await self.launcher.serve(listening, program, **self._environ)

    async def three(self) -> tuple[Launched, Launched, Launched]:
        return await self.serve(), await self.serve(), await self.serve()

    async def two(self) -> tuple[Launched, Launched]:
        return await self.serve(), await self.serve()

    def log(self, launched: Launched) -> str:
        return self.launcher.log(launched.process)

    async def logged(self, line: str, *servers: Launched) -> int:
        """Wait until it stands in their logs, which may be after others have seen what it says;
        how often it does then.
        """
        async with asyncio.timeout(_PATIENCE):
            # A log file tells nobody that it has grown.
            while not (count := sum(self.log(each).count(line) for each in servers)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return count


@pytest.fixture
def launcher(io_loop: IOLoop, tmp_path: Path) -> Iterator[Launcher]:
    launched = Launcher(tmp_path)
    yield launched
    io_loop.run_sync(launched.end_all)


@pytest.fixture
def fleet(launcher: Launcher, mongo_url: str, upstream: ScriptedUpstream) -> Fleet:
    """Servers on an empty MongoDB, none started yet."""
    return Fleet(launcher, mongo_url, upstream)
