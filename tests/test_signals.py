"""Signals to a process: each one drains, any second one ends the draining, and nohup is
respected.
"""

import asyncio
import fcntl
import os
import pty
import signal
import sys
import termios
from pathlib import Path

import pytest

from app.lifecycle import _ONE_HANGUP_SECONDS
from tests.launching import Launched, Launcher
from tests.readers import Reader, call
from tests.upstreams import ScriptedUpstream

_SERVER = Path(__file__).parents[1] / "server.py"
HUP, TERM, INT = signal.SIGHUP, signal.SIGTERM, signal.SIGINT

# Long enough that nothing ends by itself while a test looks.
_DRAIN_SECONDS = 60


@pytest.fixture
def settled(launcher: Launcher, upstream: ScriptedUpstream) -> Launcher:
    launcher.settings.write_text(
        f"port = 0\n[relay]\ndrain_seconds = {_DRAIN_SECONDS}\n"
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\n'
    )
    return launcher


async def _half(launched: Launched, upstream: ScriptedUpstream) -> Reader:
    """A reader of an answer that is half here."""
    upstream.tokens("half")
    reader = await Reader.ask(launched.url)
    await reader.text("half")
    return reader


async def _drains(launcher: Launcher, launched: Launched) -> None:
    """Wait until it says so."""
    async with asyncio.timeout(20):
        while "draining live_answers=1" not in launcher.log(launched.process):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # a log file tells nobody that it has grown


@pytest.mark.slow
@pytest.mark.gen_test
async def test_sighup_waits_for_the_answer_and_ends_the_process(
    settled: Launcher, upstream: ScriptedUpstream
) -> None:
    launched = await settled.serve()
    reader = await _half(launched, upstream)

    launched.process.send_signal(HUP)
    await _drains(settled, launched)
    upstream.tokens(" and half")
    upstream.finish()

    assert "complete" == (await reader.end())["status"]
    assert 0 == await launched.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(HUP, HUP), (HUP, TERM), (TERM, HUP)])
@pytest.mark.gen_test
async def test_the_two_of_a_terminal_or_a_session_that_ends_are_one(
    settled: Launcher, upstream: ScriptedUpstream, tmp_path: Path, first: int, second: int
) -> None:
    unhurried = tmp_path / "unhurried.py"  # no machine is so slow that they would be two
    unhurried.write_text(
        f"import sys\nsys.path.insert(0, {str(_SERVER.parent)!r})\nimport server\n"
        "from app import lifecycle\n"
        "lifecycle._ONE_HANGUP_SECONDS = 3600\nsys.exit(server.main(sys.argv[1:]))\n"
    )
    launched = await settled.serve(program=unhurried)
    reader = await _half(launched, upstream)

    launched.process.send_signal(first)
    await _drains(settled, launched)  # so that the kernel does not make one of them
    launched.process.send_signal(second)
    for count in range(1, 51):  # long enough to be interrupted in
        upstream.tokens("!")
        await reader.text("half" + count * "!")
    upstream.finish()

    assert "complete" == (await reader.end())["status"]
    assert 0 == await launched.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(HUP, HUP), (HUP, TERM), (TERM, HUP), (INT, HUP)])
@pytest.mark.gen_test
async def test_a_second_signal_of_any_kind_hurries(
    settled: Launcher, upstream: ScriptedUpstream, first: int, second: int
) -> None:
    launched = await settled.serve()
    reader = await _half(launched, upstream)

    launched.process.send_signal(first)
    await _drains(settled, launched)
    await asyncio.sleep(2 * _ONE_HANGUP_SECONDS)  # it is by their time that two are told from one
    launched.process.send_signal(second)

    assert "interrupted" == (await reader.end())["status"]
    assert 0 == await launched.process.wait()
    again = await settled.serve()
    kept = await Reader.come_back(again.url, reader.answer_id)
    assert "interrupted" == (await kept.end())["status"]
    assert "half" == kept.so_far


@pytest.mark.slow
@pytest.mark.gen_test
async def test_under_nohup_it_stays(
    settled: Launcher, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    nohup = tmp_path / "nohup.py"
    nohup.write_text(
        "import os, signal, sys\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        f"os.execv(sys.executable, [sys.executable, {str(_SERVER)!r}, *sys.argv[1:]])\n"
    )
    launched = await settled.serve(program=nohup)
    reader = await _half(launched, upstream)

    launched.process.send_signal(HUP)

    upstream.tokens(" and half")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]
    assert 200 == (await call(launched.url, "GET", "/readyz")).status
    assert "draining" not in settled.log(launched.process)
    launched.terminate()
    assert 0 == await launched.process.wait()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_terminal_that_is_closed_costs_nothing_that_was_said(
    settled: Launcher, upstream: ScriptedUpstream
) -> None:
    ours, theirs = pty.openpty()

    def on_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    settled.settings.write_text(settled.settings.read_text().replace("60", "0"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_SERVER), "--config", str(settled.settings)),
        cwd=settled.folder,
        env={"PATH": os.environ["PATH"]},
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
        preexec_fn=on_terminal,
    )
    settled.started.append(process)
    os.close(theirs)
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    reader = await _half(Launched(process, url), upstream)

    os.close(ours)

    assert "interrupted" == (await reader.end())["status"]
    await process.wait()  # its status says that there was nobody to take its last words
    again = await settled.serve()
    kept = await Reader.come_back(again.url, reader.answer_id)
    await kept.end()
    assert "half" == kept.so_far
