"""`server.py migrate` as an operator runs it, on what the first stage left in either store."""

import os

import pytest

from tests.launching import Launcher
from tests.readers import Reader, call
from tests.storage.raw import leave_first_stage
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow  # each command is a process

CONVERSATIONS = ("GET", "/api/v1/conversations")


async def command(launcher: Launcher, *arguments: str) -> tuple[int | None, list[str], str]:
    """A command's exit status, the lines of what it says, and its complaint."""
    process = await launcher.start("--config", str(launcher.settings), *arguments)
    out, err = await process.communicate()
    return process.returncode, out.decode().splitlines(), err.decode()


@pytest.fixture
def settled(launcher: Launcher, store_url: str, upstream: ScriptedUpstream) -> Launcher:
    leave_first_stage(store_url)
    launcher.settings.write_text(
        f'port = 0\n[storage]\nurl = "{store_url}"\n'
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\n'
    )
    return launcher


@pytest.mark.gen_test
async def test_it_says_what_it_changed_and_then_that_nothing_is_left(settled: Launcher) -> None:
    status, said, err = await command(settled, "migrate")

    assert (0, "") == (status, err)
    assert said
    assert all(line.startswith(("changed: ", "saved: ")) for line in said)
    assert (0, ["nothing to do"], "") == await command(settled, "migrate")
    server = await settled.serve()
    listed = await call(server.url, *CONVERSATIONS, headers={"Headrace-User": "alice"})
    assert 2 == len(listed.body["data"])
    await server.kill()


@pytest.mark.parametrize("store_url", ["mongo"], indirect=True)
@pytest.mark.gen_test
async def test_beside_a_server_it_disturbs_no_answer(
    settled: Launcher, upstream: ScriptedUpstream
) -> None:
    server = await settled.serve()
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url)
    await reader.text("Hel")

    status, said, _ = await command(settled, "migrate")

    assert (0, True) == (status, bool(said))
    upstream.tokens("lo")
    upstream.finish()
    await reader.text("Hello")
    assert "complete" == (await reader.end())["status"]
    await server.kill()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.gen_test
async def test_a_file_that_a_server_has_is_refused_in_one_line(settled: Launcher) -> None:
    server = await settled.serve()

    said = await settled.refused("--config", str(settled.settings), "migrate")

    file = settled.folder / "headrace.db"
    assert (
        f"headrace: {file} is in use by another Headrace (process {server.process.pid}): " in said
    )
    assert 1 == said.count("\n")
    assert [] == [name for name in os.listdir(settled.folder) if "before" in name]
    await server.kill()


@pytest.mark.gen_test
async def test_it_needs_no_secret_and_no_provider(settled: Launcher) -> None:
    with settled.settings.open("a") as settings:
        settings.write('[auth]\nmode = "keys"\n')

    status, _, err = await command(settled, "migrate")

    assert (0, "") == (status, err)
