"""Runs the scripts of this folder, which are clients that cannot run within a test: those written
for Node, and one in an environment of Python of its own.

    result = await node.run("openai_chat.js", base_url=f"{headrace.url}/v1", model=MODEL)

    async with node.start("openai_chat.js", base_url=…) as script:
        assert {"text": "你好"} == await script.heard()  # a line that it wrote
        upstream.cut()
        script.say("go on")                              # a line for it to read
        result = await script.result()                   # its last line

`script.js` is the other end of this. A script that fails, or takes longer than
`SECONDS`, fails its test, with what it wrote to standard error; none outlives its test.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

# Loading the largest package takes two seconds on a busy machine. An async test has thirty.
SECONDS = 25

# One line may hold a whole conversation.
_LONGEST_LINE = 1 << 24


class Script:
    """A script that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def heard(self) -> Any:
        """The next value that it says."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise AssertionError(await self._errors())
        return json.loads(line)

    def say(self, value: object = None) -> None:
        """Say something that it waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value).encode() + b"\n")

    async def result(self) -> Any:
        """What it says last, once it has ended."""
        assert self._process.stdout is not None
        lines = (await self._process.stdout.read()).splitlines()
        errors = await self._errors()
        assert 0 == self._process.returncode, errors
        return json.loads(lines[-1])

    async def _errors(self) -> str:
        assert self._process.stderr is not None
        errors = await self._process.stderr.read()
        await self._process.wait()
        return errors.decode()


class Scripts:
    """Starts scripts with a program, for which the packages that they import are installed."""

    def __init__(self, program: str, folder: Path = FOLDER) -> None:
        self._program = program
        self._folder = folder

    async def run(self, name: str, **given: object) -> Any:
        """The result of a script that nobody has to talk with."""
        async with self.start(name, **given) as script:
            return await script.result()

    @asynccontextmanager
    async def start(
        self, name: str, *, seconds: float = SECONDS, **given: object
    ) -> AsyncIterator[Script]:
        """A script that runs while the block does, and no longer than `seconds`."""
        process = await asyncio.create_subprocess_exec(
            *(self._program, str(self._folder / name), json.dumps(given)),
            env={"PATH": os.environ["PATH"], "NODE_NO_WARNINGS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        try:
            async with asyncio.timeout(seconds):
                yield Script(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()  # closes the pipes
