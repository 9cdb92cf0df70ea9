"""What conftest.py promises to every test, tried on small suites of their own."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

Suite = Callable[..., str]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Run tests given as text under our own conftest.py; gives what pytest printed."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    conftest = (ROOT / "tests" / "conftest.py").read_text("utf-8")
    # Less the fixtures that have files of their own: they are not what is tried here.
    plugins = 'pytest_plugins = ["tests.scheduling"]'
    conftest, replaced = re.subn(r"(?m)^pytest_plugins = .*$", plugins, conftest)
    assert 1 == replaced
    (tmp_path / "tests" / "conftest.py").write_text(conftest, "utf-8")
    (tmp_path / "tests" / "scheduling.py").write_bytes(
        (ROOT / "tests" / "scheduling.py").read_bytes()
    )

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "pytest_tornado.plugin", "-p", "xdist.plugin"]

    def run(body: str, *arguments: str, **environ: str) -> str:
        head = "import asyncio, logging, socket, pytest\n"
        (tmp_path / "tests" / "test_it.py").write_text(head + body, "utf-8")
        done = subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            # To import the plugins of other packages takes longer than to run these tests.
            env={"PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    return run


@pytest.mark.slow
def test_async_tests_run_on_the_loop_their_fixtures_were_built_on(suite: Suite) -> None:
    out = suite("""
@pytest.fixture
def event(io_loop):
    event = asyncio.Event()
    io_loop.call_later(0, event.set)
    return event

@pytest.mark.gen_test
async def test_it(event):
    await event.wait()
""")
    assert "1 passed" in out


@pytest.mark.slow
def test_an_async_test_that_nobody_would_await_fails(suite: Suite) -> None:
    assert "1 failed" in suite("async def test_it(): pass")


@pytest.mark.slow
def test_what_an_async_test_leaves_behind_fails_it(suite: Suite) -> None:
    complaints = {
        "keep = asyncio.create_task(asyncio.sleep(99))": "left running: <coroutine object sleep",
        "asyncio.create_task(fail()); await asyncio.sleep(0)": "exception was never retrieved",
        "logging.getLogger('room').error('on fire')": "unexpected in the log of room: on fire",
        "socket.socket()": "ResourceWarning: unclosed",
    }
    out = suite(
        "async def fail():\n    raise KeyError\n"
        + "".join(
            f"\n@pytest.mark.gen_test\nasync def test_{number}():\n    {leaving}\n"
            for number, leaving in enumerate(complaints)
        )
    )
    for number, complaint in enumerate(complaints.values()):
        assert re.search(rf"^(ERROR|FAILED) \S+::test_{number}\b", out, re.MULTILINE)
        assert complaint in out


@pytest.mark.slow
def test_an_expected_error_passes_and_has_to_come(suite: Suite) -> None:
    out = suite("""
@pytest.mark.parametrize("text", ["on fire", "all is well"])
def test_it(expect_log, text) -> None:
    expect_log("room", "fire$")
    logging.getLogger("room").error(text)
""")
    assert "room logged nothing like 'fire$'" in out
    assert "2 passed, 1 error" in out


@pytest.mark.slow
def test_a_missing_program_is_said_loudly_here_and_fails_in_ci(suite: Suite) -> None:
    body = "def test_it(needs): needs('no-such-program')"

    assert "LEFT OUT 1: needs no-such-program" in suite(body)
    assert "LEFT OUT 1: needs no-such-program" in suite(body, "-n", "2")
    assert "1 failed" in suite(body, CI="true")


@pytest.mark.slow
def test_no_worker_runs_a_test_beside_one_that_is_alone(suite: Suite, tmp_path: Path) -> None:
    out = suite(
        """
import os, pathlib, time
pytestmark = pytest.mark.parametrize("number", range(20))
inside = pathlib.Path("inside")

def others():
    return [each for each in os.listdir(inside) if each != str(os.getpid())]

@pytest.fixture(autouse=True)
def seen():
    inside.mkdir(exist_ok=True)
    mine = inside / str(os.getpid())
    mine.touch()
    time.sleep(0.02)
    yield
    mine.unlink()

def test_in_company(number):
    if others():
        pathlib.Path("met").touch()

@pytest.mark.alone
def test_alone(number):
    assert [] == others()
""",
        *("-n", "2", "--dist", "load"),
    )

    assert "40 passed" in out
    assert (tmp_path / "met").exists()
