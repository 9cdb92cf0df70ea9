"""The checkout as a whole: what the files beside the code promise."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.rooms import ROOT, modules, rooms

LOCK_FILES = (
    "constraints.txt",
    "pip.txt",
    "requirements.txt",
    "requirements-traces.txt",
    "tests/clients/litellm.txt",
)
NPM_FOLDERS = ("web", "tests/clients")

# The lock files


def pins(name: str) -> dict[str, str]:
    """What a lock file pins: everything before the hashes of a package, by its name."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return {line.split("==")[0]: line for line in lines}


@pytest.mark.parametrize("name", LOCK_FILES)
def test_a_lock_file_names_no_host_no_address_and_no_folder(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")

    assert [] == re.findall(r".*(?:://|--index|--find-links|--extra|@|file:|/).*", text)


@pytest.mark.parametrize("name", LOCK_FILES)
def test_everything_locked_has_one_version_and_its_hashes(name: str) -> None:
    pattern = re.compile(r"[a-z0-9-]+==\S+( ;[^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+")

    assert [] == [line for line in pins(name).values() if not pattern.fullmatch(line)]


@pytest.mark.parametrize("folder", NPM_FOLDERS)
def test_a_lock_of_npm_names_no_host_and_has_a_hash_for_everything(folder: str) -> None:
    text = (ROOT / folder / "package-lock.json").read_text("utf-8")
    packages = json.loads(text)["packages"]

    assert "://" not in text
    assert [] == [name for name, locked in packages.items() if name and "integrity" not in locked]


@pytest.mark.parametrize("folder", NPM_FOLDERS)
def test_what_package_json_asks_for_is_locked(folder: str) -> None:
    """It fails if a package was added without `make lock`."""
    asked = json.loads((ROOT / folder / "package.json").read_text("utf-8"))
    locked = json.loads((ROOT / folder / "package-lock.json").read_text("utf-8"))["packages"][""]

    for kind in ("dependencies", "devDependencies"):
        assert asked.get(kind, {}) == locked.get(kind, {})


def test_clients_for_node_have_exactly_one_version() -> None:
    """Without that, one major of a client silently becomes another one."""
    asked = json.loads((ROOT / "tests/clients/package.json").read_text("utf-8"))["devDependencies"]

    assert [] == [
        name for name, version in asked.items() if not re.search(r"\d+\.\d+\.\d+$", version)
    ]


def test_the_runtime_lock_is_a_part_of_the_whole_one() -> None:
    with_traces = pins("requirements-traces.txt").items()

    assert pins("requirements.txt").items() <= with_traces <= pins("constraints.txt").items()


def test_what_pyproject_asks_for_is_locked() -> None:
    """It fails if a dependency was added without `make lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime = [_name(line) for line in project["project"]["dependencies"]]
    groups = [_name(line) for group in project["dependency-groups"].values() for line in group]
    traces = [_name(line) for line in project["project"]["optional-dependencies"]["traces"]]

    assert set(runtime) <= pins("requirements.txt").keys()
    assert {*runtime, *traces} <= pins("requirements-traces.txt").keys()
    assert {*runtime, *traces, *groups} <= pins("constraints.txt").keys()


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


# The image


def test_the_image_holds_every_module() -> None:
    """It fails if a module was added and the image would not start."""
    wanted = {*modules(), *rooms(), "requirements.txt"}
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE)
    let_in = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)

    assert set() == wanted - set(" ".join(copied).split())
    assert set() == wanted - set(let_in)


def test_every_base_image_can_be_given_by_its_digest() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    compose = (ROOT / "compose.yaml").read_text("utf-8")
    taken = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    named = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)

    assert named == [f"${{{name}}}" for name in taken]
    assert all(":" in tagged for tagged in taken.values())
    assert f"args: [{', '.join(taken)}]" in compose
    assert [] == re.findall(r"image: (?!\$\{\w+:-[\w.-]+:[\w.-]+\}$).*", compose, re.MULTILINE)


# One command


def test_continuous_integration_runs_the_same_command_as_people_do() -> None:
    lines = (ROOT / ".ci/run").read_text("utf-8").splitlines()

    assert "make test" == lines[-1].split(" #")[0].strip()
    assert "make check" in lines
    assert "export CI=true" in {line.split(" #")[0].strip() for line in lines}
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text("utf-8")
        assert all(command in text for command in ("make run", "make test", "make check")), page


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    declared = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()

    assert declared == re.findall(r"^(\w+):.*## \S", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    ("python", "complaint"),
    [
        ("sys.version_info = (3, 10)", "Headrace needs Python 3.11 or newer"),
        ("sys.modules['ensurepip'] = None", "has no venv module"),
    ],
)
def test_setup_says_in_one_line_what_python_lacks(
    tmp_path: Path, python: str, complaint: str
) -> None:
    (tmp_path / "lacking.py").write_text(
        f"import sys\n{python}\nexec(sys.argv[sys.argv.index('-c') + 1])\n", "utf-8"
    )
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pip.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    made = subprocess.run(
        ["make", "setup", f"PYTHON={sys.executable} lacking.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in made.stderr.splitlines() if not line.startswith("make")]
    assert made.returncode != 0
    assert [True] == [complaint in line for line in ours]
