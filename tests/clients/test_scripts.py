"""The scripts' runner itself: what it passes on, and that nothing outlives its test."""

import os
from pathlib import Path

import pytest

from tests.clients.scripts import FOLDER, Scripts


@pytest.fixture
def node(needs, tmp_path: Path) -> Scripts:
    """Runs scripts of the test's folder, which import no packages."""
    return Scripts(needs("node"), tmp_path)


def write(folder: Path, body: str) -> None:
    imports = f'import {{ heard, run, say }} from "{(FOLDER / "script.js").as_uri()}";\n'
    (folder / "a.mjs").write_text(f"{imports}run(async (given) => {{ {body} }});\n", "utf-8")


@pytest.mark.gen_test
async def test_a_script_is_given_values_and_says_and_hears_them(
    node: Scripts, tmp_path: Path
) -> None:
    write(tmp_path, "say({ got: given.text }); return [await heard(), await heard()];")

    async with node.start("a.mjs", text="北京\n👀") as script:
        first = await script.heard()
        script.say({"a": 1})
        script.say()
        result = await script.result()

    assert {"got": "北京\n👀"} == first
    assert [{"a": 1}, None] == result


@pytest.mark.gen_test
async def test_a_script_that_fails_fails_its_test(node: Scripts, tmp_path: Path) -> None:
    write(tmp_path, 'throw new Error("so it failed");')

    with pytest.raises(AssertionError, match="so it failed"):
        await node.run("a.mjs")


@pytest.mark.gen_test
async def test_a_script_that_ends_early_is_not_waited_for(node: Scripts, tmp_path: Path) -> None:
    write(tmp_path, 'throw new Error("so it failed");')

    async with node.start("a.mjs") as script:
        with pytest.raises(AssertionError, match="so it failed"):
            await script.heard()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_script_that_hangs_is_killed(node: Scripts, tmp_path: Path) -> None:
    write(tmp_path, "say(process.pid); await new Promise(() => setInterval(() => {}, 1000));")
    found: list[int] = []

    async def overstay() -> None:
        async with node.start("a.mjs", seconds=1.0) as script:
            found.append(await script.heard())
            await script.result()

    with pytest.raises(TimeoutError):
        await overstay()

    with pytest.raises(ProcessLookupError):
        os.kill(found[0], 0)
