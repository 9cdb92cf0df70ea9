"""Every example of docs/clients.md, as it stands.

Only the address is another one, and the packages are those of `package.json`, where the majors of
one package have names of their own.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.server import Server
from tests.clients.scripts import FOLDER, Scripts
from tests.rooms import ROOT
from tests.upstreams import ScriptedUpstream

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
NEED_RESPONSES = ("Resuming a response", "OpenAI SDK for Node", "OpenAI Agents SDK")


async def started(
    example: Example, url: str, folder: Path, node: str = ""
) -> asyncio.subprocess.Process:
    """The example's program."""
    code = example.code.replace(ADDRESS, url).replace("hr_…", "any")
    assert url in code
    match example.language:
        case "python":
            command = [sys.executable, "-c", code]
        case "js":
            for name, installed in _PACKAGES.items():
                code = code.replace(f"from {name}", f"from {installed}")
            (folder / "node_modules").symlink_to(FOLDER / "node_modules")
            (folder / "example.mjs").write_text(code, "utf-8")
            command = [node, "--no-warnings", str(folder / "example.mjs")]
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


def _marked(example: Example) -> Any:
    is_slow = example.heading in ("LiteLLM",)  # which takes seconds to load
    return pytest.param(example, marks=pytest.mark.slow if is_slow else (), id=str(example))


@pytest.mark.parametrize(
    "example", [_marked(each) for each in EXAMPLES if each.heading not in NEED_RESPONSES]
)
@pytest.mark.gen_test
async def test_an_example_shows_the_answer(
    example: Example,
    headrace: Server,
    upstream: ScriptedUpstream,
    node: Scripts,  # which has installed the packages
    needs: Callable[[str], str],
    tmp_path: Path,
) -> None:
    upstream.tokens("你好")
    program = await started(example, headrace.url, tmp_path, needs("node"))
    running = asyncio.create_task(output(program))
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


def test_every_section_that_names_a_client_has_an_example() -> None:
    counted = [example.heading for example in EXAMPLES]

    assert len(set(counted)) == len(counted)
    assert 12 <= len(counted)
    assert all(len(example.code.splitlines()) <= 16 for example in EXAMPLES)
