"""Both stages on one database: the first one comes out of git as it landed, and runs as processes.

Fixtures: `stages` starts servers of either, `start_here` one of this stage in the test's process.
"""

import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from app.server import Server
from tests import image_provider
from tests.image_provider import ImageProvider
from tests.launching import Launcher
from tests.rolling.stages import TABLES, Stages
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

ROOT = Path(__file__).resolve().parents[2]

# The commit that it landed with.
FIRST_STAGE = "7b1c2e59753d6dde7344cbcb8f7ea3eabb495014"


@pytest.fixture(scope="session")
def first_stage(
    needs: Callable[[str], str],
    leave_out: Callable[[str, str], NoReturn],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The first stage's server.py, in a folder with the rest of its commit."""
    folder = tmp_path_factory.mktemp("first_stage")
    archive = folder / "checkout.zip"
    command = [needs("git"), "-C", str(ROOT), "archive", "--output", str(archive), FIRST_STAGE]
    archived = subprocess.run(command, capture_output=True, text=True, check=False)
    if archived.returncode:
        complaint = archived.stderr.strip()
        leave_out(f"needs commit {FIRST_STAGE} in git", f"clone all of it; git says: {complaint}")
    shutil.unpack_archive(archive, folder)
    return folder / "server.py"


@pytest.fixture
def stages(
    launcher: Launcher, mongo_url: str, upstream: ScriptedUpstream, first_stage: Path
) -> Stages:
    stages = Stages(launcher, mongo_url, upstream)
    stages.first_stage = first_stage
    return stages


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[ImageProvider]:
    """The providers of servers in the test's own process, which see."""
    built: list[ImageProvider] = []

    def build(*arguments: Any, **named: Any) -> ImageProvider:
        built.append(image_provider.build_provider(*arguments, **named))
        return built[-1]

    monkeypatch.setattr("app.composition.build_provider", build)
    return built


@pytest.fixture
def start_here(
    stages: Stages,  # whose database outlives this server
    serve: Serving,
    sources: list[ImageProvider],
    mongo_url: str,
    providers: dict[str, dict[str, Any]],
) -> Callable[[], Awaitable[Server]]:
    """Starts a server of this stage in the test's own process, which can ask with images."""
    return lambda: serve.start(providers=providers, storage={"url": mongo_url}, **TABLES)
