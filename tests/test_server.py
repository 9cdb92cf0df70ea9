"""The server as its operator meets it: a process with a command line, signals and a store."""

import signal

import pytest

from tests.launching import Launcher
from tests.readers import Reader, call
from tests.upstreams import ScriptedUpstream


@pytest.fixture(params=["sqlite", "mongo"])
def settled(
    request: pytest.FixtureRequest, launcher: Launcher, upstream: ScriptedUpstream
) -> Launcher:
    """A launcher whose settings name the test's upstream and each of the two stores in turn."""
    url = "sqlite:///data/headrace.db"
    if request.param == "mongo":
        url = request.getfixturevalue("mongo_url")
    launcher.settings.write_text(
        f'port = 0\n[storage]\nurl = "{url}"\n'
        "[relay]\ncheckpoint_seconds = 0.05\nlease_seconds = 0.5\ndrain_seconds = 0\n"
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\n'
    )
    return launcher


async def _stored_text(url: str, conversation_id: str) -> str:
    """The text of the conversation's last message, as it is stored."""
    path = f"/api/v1/conversations/{conversation_id}/messages"
    *_, answer = (await call(url, "GET", path)).body["data"]
    return "".join(block["text"] for block in answer["blocks"])


async def _read_back(url: str, answer_id: str) -> Reader:
    """The answer with its end; until that is known the stream asks to come back."""
    while True:
        reader = await Reader.come_back(url, answer_id)
        while await reader.next() is not None:
            pass
        reader.close()
        if reader.seen:
            return reader


@pytest.mark.slow
@pytest.mark.gen_test
async def test_kill_9_loses_no_question_and_nothing_before_the_last_checkpoint(
    settled: Launcher, upstream: ScriptedUpstream
) -> None:
    process, url = await settled.serve()
    upstream.tokens("你好", "，世界")
    reader = await Reader.ask(url, "a question")
    start = await reader.start()
    await reader.text("你好，世界")
    while await _stored_text(url, start["conversation_id"]) != "你好，世界":
        pass  # each look is a request
    process.kill()
    await process.wait()

    _, url = await settled.serve()
    kept = await _read_back(url, start["answer_id"])
    path = f"/api/v1/conversations/{start['conversation_id']}/messages"
    question, answer = (await call(url, "GET", path)).body["data"]
    assert [{"type": "text", "text": "a question"}] == question["blocks"]
    assert ("interrupted", "interrupted") == (answer["status"], kept.seen[-1].data["status"])
    assert "你好，世界" == kept.so_far
    assert answer["usage"]["estimated"] is True
    upstream.finish()
    again = await Reader.open(url, "POST", path, {"content": "go on"})
    assert 200 == again.status  # nothing live is in the way


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.gen_test
async def test_a_signal_ends_it_with_everything_stored(
    settled: Launcher, upstream: ScriptedUpstream, number: int
) -> None:
    process, url = await settled.serve()
    upstream.tokens("half")
    reader = await Reader.ask(url)
    await reader.text("half")
    process.send_signal(number)
    assert "interrupted" == (await reader.end())["status"]
    assert 0 == await process.wait()
    await upstream.closed.wait()
    _, url = await settled.serve()
    kept = await Reader.come_back(url, reader.answer_id)
    assert "interrupted" == (await kept.end())["status"]
    assert "half" == kept.so_far


@pytest.mark.slow
@pytest.mark.gen_test
async def test_check_config_prints_what_is_in_effect_and_no_secret(launcher: Launcher) -> None:
    process = await launcher.start("check-config", OPENAI_API_KEY="sk-canary")
    out, err = await process.communicate()
    assert (0, b"") == (process.returncode, err)
    assert b'default_model = "openai/gpt-4o-mini"' in out
    assert b"canary" not in out


# With it a server may listen beyond its machine.
KEYS = f'[auth]\nmode = "keys"\nsecret = "{"s" * 32}"\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "environ", "named"),
    [
        ("prot = 1", {}, "prot"),
        ("", {"HEADRACE_PROT": "1"}, "HEADRACE_PROT"),
        ('host = "0.0.0.0"', {}, "auth.mode"),
        ('[storage]\nurl = "mysql://x"', {}, "storage.url"),
        (f'port = 0\n[metrics]\nport = 0\nhost = "{"a" * 70}.x"\n{KEYS}', {}, "metrics.port"),
        ('host = "unix:/nowhere/x"', {}, "cannot listen on unix:/nowhere/x: No such file"),
    ],
)
@pytest.mark.gen_test
async def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(
    launcher: Launcher, settings: str, environ: dict[str, str], named: str
) -> None:
    launcher.settings.write_text(settings)
    said = await launcher.refused("--config", str(launcher.settings), **environ)
    assert 1 == said.count("\n")
    assert named in said


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_second_server_on_the_same_file_is_told_so(launcher: Launcher) -> None:
    launcher.settings.write_text("port = 0")
    await launcher.serve()
    said = await launcher.refused("--config", str(launcher.settings))
    assert 1 == said.count("\n")
    assert "headrace.db" in said


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_port_that_is_taken_is_told_in_one_line(launcher: Launcher) -> None:
    launcher.settings.write_text("port = 0")
    _, url = await launcher.serve()
    port = url.rpartition(":")[2]
    launcher.settings.write_text(f'port = {port}\n[storage]\nurl = "sqlite:///other.db"')
    said = await launcher.refused("--config", str(launcher.settings))
    assert 1 == said.count("\n")
    assert port in said


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_database_that_is_not_there_is_told_without_its_password(
    launcher: Launcher,
) -> None:
    launcher.settings.write_text(
        '[storage]\nurl = "mongodb://u:canary@127.0.0.1:9/headrace?serverSelectionTimeoutMS=100"'
    )
    said = await launcher.refused("--config", str(launcher.settings))
    assert 1 == said.count("\n")
    assert "canary" not in said
