"""Clients that others wrote, from PyPI and npm, and the provider behind the server they call."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from tests.clients.killable import KillableServer
from tests.clients.qwen import settings_of
from tests.clients.scripts import FOLDER, Scripts
from tests.launching import Launcher
from tests.rooms import ROOT
from tests.scheduling import locked
from tests.upstreams import ScriptedUpstream


@pytest.fixture(scope="session")
def node(needs: Callable[[str], str]) -> Scripts:
    """Runs scripts of this folder; the packages of package.json are installed."""
    needs("npm")
    make("tests/clients/node_modules/ready")
    return Scripts(needs("node"))


class LiteLLM:
    """LiteLLM in a process that its tests share: to import it takes some seconds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def run(self, **given: object) -> Any:
        """What a call of `litellm_client.py` results in."""
        line = await asyncio.to_thread(self._call, json.dumps(given))
        assert line, "it has ended, and says why on standard error"
        return json.loads(line)

    def _call(self, given: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(given + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@pytest.fixture(scope="session")
def litellm_python() -> str:
    """The interpreter of LiteLLM's environment, which is its own: it is as large as ours, and wants
    other versions of what the server needs.
    """
    make(".venv-litellm/ready")
    return str(ROOT / ".venv-litellm/bin/python")


@pytest.fixture(scope="module")
def litellm(litellm_python: str) -> Iterator[LiteLLM]:
    """Calls LiteLLM, which ends with the module's tests."""
    with subprocess.Popen(
        [litellm_python, FOLDER / "litellm_client.py"],
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield LiteLLM(process)
        process.kill()


def make(target: str) -> None:
    """Have the Makefile install packages."""
    with locked(FOLDER):  # another worker may be installing them
        made = subprocess.run(
            ["make", "--no-print-directory", target], cwd=ROOT, capture_output=True, text=True
        )
    assert 0 == made.returncode, made.stdout + made.stderr


@pytest.fixture
def providers(upstream: ScriptedUpstream) -> dict[str, dict[str, Any]]:
    """Settings that name `upstream` as the only provider, which is not of OpenAI's kin."""
    return {"dashscope": settings_of(upstream)}


@pytest.fixture
def killable(
    io_loop: IOLoop, launcher: Launcher, providers: dict[str, dict[str, Any]]
) -> KillableServer:
    """A server as a process of its own, which may be killed and started again."""
    server = KillableServer(launcher, providers)
    io_loop.run_sync(server.start)
    return server
