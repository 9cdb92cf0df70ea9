"""Every provider that is known by name answers with nothing set but its key."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tornado.ioloop import IOLoop

from app.composition import running
from doctor.examination import examine
from presets import PRESETS
from settings import Settings, load
from tests.presets.look_alikes import KEY, VENDORS, LookAlike, Vendor
from tests.readers import call
from tests.steps import JSON


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test runs there is no headrace.toml."""
    monkeypatch.chdir(tmp_path)


QUESTION = {"content": "q", "max_tokens": 20, "temperature": 0.5}


def test_each_preset_has_a_look_alike() -> None:
    assert PRESETS.keys() - {"demo"} == VENDORS.keys()


@pytest.fixture
def look_alike(name: str, io_loop: IOLoop, monkeypatch: pytest.MonkeyPatch) -> Iterator[LookAlike]:
    """The server of the vendor `name`, at whose host the preset finds it."""
    vendor, preset = VENDORS[name], PRESETS[name]
    server = LookAlike(vendor)
    io_loop.run_sync(server.start)
    if preset.base_url:
        host = urlsplit(preset.base_url)
        assert f"{host.scheme}://{host.netloc}" == vendor.address.partition(vendor.path)[0]
        monkeypatch.setitem(
            PRESETS,  # type: ignore[arg-type]
            name,
            preset._replace(base_url=server.url + host.path),
        )
    yield server
    io_loop.run_sync(server.stop)


def settings_of(vendor: Vendor, look_alike: LookAlike) -> Settings:
    """Those of an environment with the vendor's variables."""
    environ = {key: text.format(url=look_alike.url) for key, text in vendor.variables.items()}
    return load(None, {**environ, "HEADRACE_PORT": "0"})


@pytest.mark.slow
@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.gen_test
async def test_a_key_alone_is_enough(name: str, look_alike: LookAlike) -> None:
    vendor = VENDORS[name]

    async with running(settings_of(vendor, look_alike)) as server:
        answer = await call(server.url, "POST", "/api/v1/chat", QUESTION, headers=JSON)

    assert [] == look_alike.refusals
    assert (200, "complete") == (answer.status, answer.body["status"]), answer.body
    texts = [block["text"] for block in answer.body["blocks"] if block["type"] == "text"]
    assert vendor.text == "".join(texts)
    assert f"{name}/{PRESETS[name].models[0]}" == answer.body["model"]


@pytest.mark.slow
@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.gen_test
async def test_doctor_finds_that_each_answers(name: str, look_alike: LookAlike) -> None:
    lines: list[str] = []

    await examine(settings_of(VENDORS[name], look_alike), ask=True, write_line=lines.append)

    assert [] == look_alike.refusals
    assert [f"ok     {name}: {PRESETS[name].models[0]} answered"] == [
        line.partition(" in ")[0] for line in lines if "answered" in line
    ]


# Presets as generic servers: what an operator writes who does not know of the preset.
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mistral", "stream_options = false"),
        ("groq", 'max_tokens_name = "max_completion_tokens"'),
    ],
)
@pytest.mark.gen_test
async def test_doctor_finds_the_switches_of_a_server_that_it_does_not_know(
    name: str, found: str, look_alike: LookAlike
) -> None:
    lines: list[str] = []
    base_url = look_alike.url + VENDORS[name].path.removesuffix("/chat/completions")
    own = {"dialect": "openai", "base_url": base_url, "models": ["m"], "api_key": KEY}

    await examine(Settings(port=0, providers={"own": own}), ask=True, write_line=lines.append)

    assert f"   -> in [providers.own]: {found}" in "\n".join(lines).replace("       ", "   ")
