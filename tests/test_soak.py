"""Many streams of all kinds, then nothing is wrong and nothing is left: bench/soak.py, in short.

It counts what the server holds: tasks, handles, objects of every class, descriptors, threads. It
works by numbers of streams, not for a time.
"""

import asyncio
import sys
from pathlib import Path

import pytest

_SOAK = Path(__file__).parents[1] / "bench" / "soak.py"

pytestmark = pytest.mark.slow


async def soak(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_SOAK),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert 0 == process.returncode, printed.decode()


@pytest.fixture(params=["sqlite", "mongo"])
def storage(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "mongo":
        return ["--storage", request.getfixturevalue("mongo_url")]
    return []


@pytest.mark.gen_test(timeout=300)
async def test_no_text_is_wrong_and_nothing_is_left_when_people_come_and_go(
    storage: list[str],
) -> None:
    await soak("--rounds", "3", "--turns", "2", "--users", "30", *storage)


@pytest.mark.gen_test(timeout=600)
async def test_nothing_is_left_behind_after_5000_streams() -> None:
    await soak("--streams", "5000")
