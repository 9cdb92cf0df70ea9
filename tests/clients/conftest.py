"""Clients that others wrote, from PyPI and npm, and the provider behind the server they call."""

import subprocess
from collections.abc import Callable
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


@pytest.fixture(scope="session")
def litellm() -> Scripts:
    """Runs scripts that import LiteLLM: its environment is its own, since it is as large as ours,
    and wants other versions of what the server needs.
    """
    make(".venv-litellm/ready")
    return Scripts(str(ROOT / ".venv-litellm/bin/python"))


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
