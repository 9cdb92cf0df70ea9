"""`server.py doctor` as an operator runs it: what it says, and its exit status."""

import re
import socket
from pathlib import Path

import pytest

from tests.launching import Launcher
from tests.upstreams import ScriptedUpstream


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, str]:
    return {"url": f"sqlite:///{tmp_path}/data/headrace.db"}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_fresh_checkout_is_fine_and_nothing_is_made(launcher: Launcher) -> None:
    process = await launcher.start("doctor", HEADRACE_PORT="0")
    out, err = await process.communicate()

    assert (0, b"") == (process.returncode, err)
    assert out.endswith(b"Nothing is wrong.\n")
    assert not (launcher.folder / "data").exists()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_running_server_is_known_and_not_disturbed(launcher: Launcher) -> None:
    launcher.settings.write_text("port = 0\n[metrics]\nport = 0\n")
    serving, url = await launcher.serve()
    log = launcher.log(serving)
    beside = log.split("metrics at ")[1].partition("/metrics")[0].rpartition(":")[2]
    port = url.rpartition(":")[2]
    process = await launcher.start(
        "doctor",
        HEADRACE_PORT=port,
        HEADRACE_METRICS__PORT=beside,
        HEADRACE_METRICS__HOST="127.0.0.1",
    )
    out, _ = await process.communicate()

    said = out.decode()
    assert 0 == process.returncode, said
    assert f"port: 127.0.0.1:{port} is used by a Headrace that responds" in said
    assert f"metrics.port: 127.0.0.1:{beside} is used by a Headrace that responds" in said
    assert f"process {serving.pid} uses it" in said


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_is_wrong_is_told_with_what_to_do_and_exit_status_1(
    launcher: Launcher, upstream: ScriptedUpstream
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        launcher.settings.write_text(
            f"port = {port}\n[storage]\n"
            'url = "mongodb://u:canary@127.0.0.1:9/h?serverSelectionTimeoutMS=100"\n'
            '[providers.openai]\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "canary"\n'
        )
        process = await launcher.start("--config", str(launcher.settings), "doctor", "--ask")
        out, err = await process.communicate()

    said = out.decode()
    assert (1, b"") == (process.returncode, err)
    assert "canary" not in said
    assert said.endswith("3 things are wrong.\n")
    for about in ("port", "storage", "openai"):
        assert f"wrong  {about}: " in said
    assert 3 == len(re.findall(r"^wrong .*\n       -> ", said, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_wrong_setting_is_named(launcher: Launcher) -> None:
    said = await launcher.refused("doctor", HEADRACE_PROT="1")

    assert "HEADRACE_PROT" in said
