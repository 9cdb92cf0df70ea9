"""The operator's commands for keys, as processes: beside a server that runs, on either store."""

import asyncio
import re

import pytest

from server import main
from tests.launching import Launcher
from tests.readers import Reader, call
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow  # each command is a process

MODELS = ("GET", "/api/v1/models")
UNDOABLE = [
    (("create-key", "--user", ""), "--user: a name is"),
    (("create-key", "--user", "a\nb"), "--user: a name is"),
    (("create-key", "--user", "a", "--days", "0"), "--days: from 1"),
    (("create-key", "--user", "a", "--note", "x" * 201), "--note: at most"),
    (("create-key", "--user", "a", "--models", ""), "--models: up to"),
    (("create-key", "--user", "a", "--models", "openai/*,"), "--models: up to"),
    (("create-key", "--user", "a", "--models", "gpt-4o"), "--models: up to"),
    (("create-key", "--user", "a", "--models", "a/b c"), "--models: up to"),
    (("revoke-key", "a" * 16), "there is no key"),
    (("revoke-key", "hr_half-a-key"), "a key is named by its id"),
]
SECRET = {"HEADRACE_AUTH__SECRET": "the-service-has-it-the-shell-has-not"}


async def command(launcher: Launcher, *arguments: str) -> tuple[int | None, str, str]:
    """A command's exit status and what it says; its environment has no secret."""
    process = await launcher.start("--config", str(launcher.settings), *arguments)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def settled(launcher: Launcher, store_url: str, upstream: ScriptedUpstream) -> Launcher:
    launcher.settings.write_text(
        f'port = 0\n[storage]\nurl = "{store_url}"\n[auth]\nmode = "keys"\n'
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\n'
    )
    return launcher


@pytest.mark.gen_test
async def test_from_making_a_key_to_taking_it_back_beside_a_running_server(
    settled: Launcher, upstream: ScriptedUpstream
) -> None:
    server = await settled.serve(**SECRET)
    refused = await call(server.url, *MODELS)
    assert 401 == refused.status

    status, out, err = await command(
        settled,
        *("create-key", "--user", "alice", "--days", "30", "--note", "her laptop"),
        *("--models", "openai/*"),
    )
    key = out.strip()
    assert (0, True) == (status, key.startswith("hr_"))
    assert "It is not shown again" in err
    assert key not in err
    headers = {"Authorization": f"Bearer {key}"}
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url, headers=headers)
    await reader.text("Hel")

    status, out, _ = await command(settled, "list-keys")
    assert (0, 2) == (status, len(out.splitlines()))
    assert re.search(r"^[a-z2-7]{16}  alice .*Z .*openai/\*  her laptop$", out, re.MULTILINE)
    assert key not in out

    status, out, err = await command(settled, "revoke-key", out.splitlines()[1].split()[0])
    assert (0, " of alice\n") == (status, out[16:])
    async with asyncio.timeout(5):  # within seconds
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.end()
    assert 401 == (await call(server.url, *MODELS, headers=headers)).status
    await server.kill()
    assert key not in settled.log(server.process)


@pytest.mark.gen_test
async def test_all_keys_of_one_user_go_at_once_and_a_leaked_key_names_itself(
    settled: Launcher,
) -> None:
    server = await settled.serve(**SECRET)
    keys = [(await command(settled, "create-key", "--user", name))[1].strip() for name in "aab"]
    assert 0 == (await command(settled, "revoke-key", "--user", "a"))[0]
    for key, status in zip(keys, (401, 401, 200), strict=True):
        headers = {"Authorization": f"Bearer {key}"}
        assert status == (await call(server.url, *MODELS, headers=headers)).status
    status, out, _ = await command(settled, "revoke-key", keys[2])
    assert (0, f"{keys[2][3:19]} of b\n") == (status, out)


@pytest.mark.gen_test
async def test_commands_that_cannot_be_done_say_why_in_one_line(
    settled: Launcher, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, since ten more of their own would show nothing else."""
    server = await settled.serve(**SECRET)
    for words, complaint in UNDOABLE:
        arguments = ["--config", str(settled.settings), *words]
        status = await asyncio.to_thread(main, arguments)
        out, err = capsys.readouterr()
        assert (1, "") == (status, out), words
        assert re.fullmatch(rf"headrace: {complaint}[^\n]*\n", err), words
        assert "half-a-key" not in err
    await server.kill()


@pytest.mark.gen_test
async def test_keys_for_a_file_that_no_server_has_made_yet_are_refused_with_its_place(
    launcher: Launcher,
) -> None:
    launcher.settings.write_text('[storage]\nurl = "sqlite:///data/headrace.db"\n')
    status, _, err = await command(launcher, "create-key", "--user", "alice")
    assert 1 == status
    assert f"{launcher.folder.resolve()}/data/headrace.db does not exist" in err


@pytest.mark.parametrize("mode", ["keys", "jwt"])
@pytest.mark.gen_test
async def test_a_server_without_what_its_mode_needs_does_not_start(
    launcher: Launcher, mode: str
) -> None:
    said = await launcher.refused(HEADRACE_AUTH__MODE=mode)
    assert said.startswith(f'headrace: auth: secret is required for mode "{mode}"')
    assert 1 == said.count("\n")


@pytest.mark.gen_test
async def test_a_key_that_is_not_there_keeps_no_other_from_being_taken_back(
    settled: Launcher,
) -> None:
    server = await settled.serve(**SECRET)
    made = [(await command(settled, "create-key", "--user", "a"))[1].strip() for _ in range(2)]
    ids = [key.split("_")[1] for key in made]

    status, _, err = await command(settled, "revoke-key", ids[0], "a" * 16, ids[1])

    assert 1 == status
    said = f"there is no key {'a' * 16}; revoked: {ids[0]} of a, {ids[1]} of a"
    assert f"headrace: {said}\n" == err
    for key in made:
        refused = await call(server.url, *MODELS, headers={"Authorization": f"Bearer {key}"})
        assert 401 == refused.status
