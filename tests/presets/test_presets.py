"""Every provider that is known by name answers with nothing set but its key."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tornado.ioloop import IOLoop

from app.composition import running
from presets import PRESETS
from settings import load
from tests.presets.look_alikes import VENDORS, LookAlike
from tests.readers import call
from tests.steps import JSON

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


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.gen_test
async def test_a_key_alone_is_enough(
    name: str, look_alike: LookAlike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    vendor = VENDORS[name]
    environ = {key: text.format(url=look_alike.url) for key, text in vendor.variables.items()}

    async with running(load(None, {**environ, "HEADRACE_PORT": "0"})) as server:
        answer = await call(server.url, "POST", "/api/v1/chat", QUESTION, headers=JSON)

    assert [] == look_alike.refusals
    assert (200, "complete") == (answer.status, answer.body["status"]), answer.body
    texts = [block["text"] for block in answer.body["blocks"] if block["type"] == "text"]
    assert vendor.text == "".join(texts)
    assert f"{name}/{PRESETS[name].models[0]}" == answer.body["model"]
