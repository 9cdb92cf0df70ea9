"""Every example of docs/clients.md, and those of the first screens of both READMEs, as they stand.

Only the address is another one, and the packages are those of `package.json`, where the majors of
one package have names of their own.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.server import Server
from tests.clients.scripts import FOLDER
from tests.readers import call
from tests.rooms import ROOT
from tests.serving import Serving
from tests.steps import messages_of
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow

ADDRESS = "http://127.0.0.1:8080"
_PACKAGES = {
    '"ai"': '"ai7"',
    '"@ai-sdk/vue"': '"ai7-vue"',
    '"@ai-sdk/openai-compatible"': '"ai7-compatible"',
}
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """An example, and the heading above it."""

    heading: str
    language: str
    code: str

    def __str__(self) -> str:
        return self.heading


def examples(document: str) -> Iterator[Example]:
    """All that are to be run."""
    parts = re.split(r"^#+ ", (ROOT / document).read_text("utf-8"), flags=re.MULTILINE)
    for part in filter(None, parts):
        for language, code in _FENCED.findall(part):
            yield Example(part.splitlines()[0], language, code)


EXAMPLES = list(examples("docs/clients.md"))
FIRST_SCREENS = [
    next(example for example in examples(readme) if example.language == "python")
    for readme in ("README.md", "README.zh-CN.md")
]


async def started(
    example: Example, url: str, folder: Path, program: str = sys.executable
) -> asyncio.subprocess.Process:
    """The example's program."""
    code = example.code.replace(ADDRESS, url).replace("hr_…", "any")
    assert url in code
    match example.language:
        case "python":
            command = [program, "-c", code]
        case "js":
            for name, installed in _PACKAGES.items():
                code = code.replace(f"from {name}", f"from {installed}")
            (folder / "node_modules").symlink_to(FOLDER / "node_modules")
            (folder / "example.mjs").write_text(code, "utf-8")
            command = [program, "--no-warnings", str(folder / "example.mjs")]
        case _:
            command = ["sh", "-c", code]
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    return await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


async def output(program: asyncio.subprocess.Process) -> str:
    """What it wrote, once it has ended well."""
    written, errors = await program.communicate()
    assert 0 == program.returncode, errors.decode()
    return written.decode()


@pytest.fixture
def program(example: Example, request: pytest.FixtureRequest) -> str:
    """What runs the example; the packages that it imports are installed."""
    if example.language == "js":
        request.getfixturevalue("node")
        node: str = request.getfixturevalue("needs")("node")
        return node
    if example.heading == "LiteLLM":  # whose packages are apart from ours
        return str(request.getfixturevalue("litellm_python"))
    return sys.executable


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
@pytest.mark.gen_test(timeout=60)  # LiteLLM is compiled when it is imported for the first time
async def test_an_example_shows_the_answer(
    example: Example,
    headrace: Server,
    upstream: ScriptedUpstream,
    program: str,
    tmp_path: Path,
) -> None:
    upstream.tokens("你好")
    process = await started(example, headrace.url, tmp_path, program)
    running = asyncio.create_task(output(process))
    asked = asyncio.create_task(upstream.request(0))
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    upstream.tokens("，世界！")
    upstream.finish()

    written = await running

    text = "".join(re.findall(r'"content":"([^"]*)"', written)) or written  # curl shows events
    assert "你好，世界！" in text
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_the_example_of_a_key_gets_one_answer_twice(
    headrace: Server, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    example = next(each for each in EXAMPLES if "Idempotency-Key" in each.code)
    upstream.tokens("你好")
    upstream.finish()

    first, second = (await output(await started(example, headrace.url, tmp_path))).splitlines()

    assert first == second
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_the_example_of_resuming_resumes(
    headrace: Server, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    example = next(each for each in EXAMPLES if "starting_after" in each.code)
    upstream.tokens("你好")
    program = await started(example, headrace.url, tmp_path)
    assert program.stdout is not None
    seen = await program.stdout.readexactly(len("你好".encode()))
    upstream.tokens("，世界！")
    upstream.finish()

    assert "你好，世界！" == seen.decode() + await output(program)


@pytest.mark.parametrize("example", FIRST_SCREENS, ids=["English", "Chinese"])
@pytest.mark.gen_test
async def test_the_first_screen_is_a_dialogue_with_the_demo(
    example: Example, serve: Serving, tmp_path: Path
) -> None:
    server = await serve.start(providers={"demo": {}})

    written = await output(await started(example, server.url, tmp_path))

    [conversation] = (await call(server.url, "GET", "/api/v1/conversations")).body["data"]
    _, answer = await messages_of(server, f"/api/v1/conversations/{conversation['id']}")
    assert "complete" == answer["status"]
    assert answer["blocks"][0]["text"] == written


def test_every_section_that_names_a_client_has_an_example() -> None:
    counted = [example.heading for example in EXAMPLES]

    assert len(set(counted)) == len(counted)
    assert 12 <= len(counted)
    assert all(len(example.code.splitlines()) <= 16 for example in EXAMPLES)
