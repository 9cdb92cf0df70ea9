"""What the documents promise names the tests that hold it, and those are there."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rooms import ROOT, sources

TESTS = ROOT / "tests"

_TESTED_IN = re.compile(r"<!-- tested in: (.*?) -->", re.DOTALL)
_SETTING = re.compile(
    r"`(?:auth|context|cors|limits|metrics|relay|storage|timeouts|upstream)\.([a-z_]+)`"
)


class Promise(NamedTuple):
    """A row of a table, or a section, and the tests that it names, by their places in `tests/`."""

    document: str
    said: str
    tests: list[str]

    def __str__(self) -> str:
        return f"{self.document}: {self.said[:60]}"


def rows(document: str) -> Iterator[Promise]:
    """The rows of every table whose last column is `tested in`."""
    is_tested = False
    for line in (ROOT / document).read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells or set("".join(cells)) <= {"-"}:
            is_tested = is_tested and bool(cells)
        elif cells[-1] == "tested in":
            is_tested = True
        elif is_tested:
            yield Promise(document, " ".join(cells[:-1]), re.findall(r"`([\w/.]+)`", cells[-1]))


def sections(document: str) -> Iterator[Promise]:
    """The sections of a document, whose tests stand in a comment at their ends."""
    parts = re.split(r"^(?=#{1,3} )", (ROOT / document).read_text("utf-8"), flags=re.MULTILINE)
    for part in filter(None, parts):
        found = _TESTED_IN.search(part)
        yield Promise(document, part.splitlines()[0], found[1].split() if found else [])


PROMISES = [*rows("SECURITY.md"), *rows("docs/failures.md"), *sections("docs/api.md")]


def source(places: list[str]) -> str:
    """The text of test files, and of all in a folder."""
    files = [
        file
        for place in places
        for file in ([TESTS / place] if place.endswith(".py") else (TESTS / place).rglob("*.py"))
    ]
    return "\n".join(map(_text, files))


@cache
def _text(file: Path) -> str:
    return file.read_text("utf-8")


@pytest.mark.parametrize("promise", PROMISES, ids=str)
def test_a_promise_names_its_tests_and_they_are_there(promise: Promise) -> None:
    assert promise.tests
    assert [] == [place for place in promise.tests if not (TESTS / place).exists()]


@pytest.mark.parametrize("promise", PROMISES, ids=str)
def test_the_tests_of_a_promise_are_not_left_out(promise: Promise) -> None:
    assert not re.search(r"mark\.(skip|xfail)\b", source(promise.tests))


def test_tests_of_a_setting_set_it() -> None:
    """Else they may hold what the row says for another reason, or with it switched off."""
    unset = [
        f"{promise}: {name}"
        for promise in PROMISES
        if promise.document != "docs/api.md"  # which names them to say where they are
        for name in _SETTING.findall(promise.said)
        if name not in source(promise.tests)
    ]

    assert [] == unset


def test_the_promises_are_found() -> None:
    counts = {
        document: sum(promise.document == document for promise in PROMISES)
        for document in ("SECURITY.md", "docs/failures.md", "docs/api.md")
    }

    assert all(count >= 10 for count in counts.values()), counts


def test_every_code_of_the_api_is_met_by_a_test() -> None:
    errors = (ROOT / "docs/api.md").read_text("utf-8").partition("## Errors")[2]
    listed = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", errors, re.MULTILINE)
    codes = {code for cell in listed for code in re.findall(r"[a-z_]+", cell)}
    tests = source(["."])

    assert len(codes) > 50
    assert [] == sorted(code for code in codes if f'"{code}"' not in tests)


# Of classes whose subclasses are raised.
_BASE_CODES = {"provider_error", "relay_error", "unauthenticated"}


def test_every_code_that_the_server_has_is_in_the_api() -> None:
    server = "\n".join(file.read_text("utf-8") for file in sources())
    codes = {
        *re.findall(r"^    code(?:: [^=\n]+)? = \"([a-z_]+)\"$", server, re.MULTILINE),
        *re.findall(r"ApiError\(\s*HTTPStatus\.[A-Z_]+,\s*\"([a-z_]+)\"", server),
    }
    api = (ROOT / "docs/api.md").read_text("utf-8")

    assert len(codes) > 70
    assert _BASE_CODES == {code for code in codes if f"`{code}`" not in api}


ARCHITECTURE = (ROOT / "docs/architecture.md").read_text("utf-8")
ROOMS = sorted({source.parent.relative_to(ROOT).as_posix() for source in sources()} - {"."})


def test_the_drawing_of_the_rooms_has_all_of_them() -> None:
    drawing = ARCHITECTURE.partition("## The rooms\n")[2].partition("\n## ")[0]

    drawn: list[str] = []
    outer = ""
    for indent, name in re.findall(r"^    ( *)([a-z_]+)/  ", drawing, re.MULTILINE):
        outer = outer if indent else name
        drawn.append(f"{outer}/{name}" if indent else name)

    assert len(ROOMS) > 15
    assert [] == [room for room in ROOMS if room not in drawn]


def test_every_file_that_the_architecture_names_is_there() -> None:
    named = set(re.findall(r"(?<![\w/.])(?:[\w.]+/)+[\w.]+\.(?:py|json|md|ts)\b", ARCHITECTURE))

    assert len(named) > 100
    assert [] == sorted(name for name in named if not (ROOT / name).is_file())


def test_the_way_of_a_token_names_functions_that_its_files_have() -> None:
    way = ARCHITECTURE.partition("## The way of a token\n")[2].partition("\nFor a token")[0]
    named = re.findall(r"^[ │├└─▶]+([\w/]+\.py) +(\w+)", way, re.MULTILINE)

    assert len(named) > 20
    assert [] == [
        f"{file}: {name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text()
    ]


def test_every_name_of_the_code_that_the_architecture_uses_is_in_the_code() -> None:
    code = "\n".join(file.read_text("utf-8") for file in sources())
    words = set(re.findall(r"\w+", code))
    named = re.findall(r"`([A-Za-z_]\w*(?:\.[a-z_]\w*)?)`", ARCHITECTURE)
    names = {name for name in named if re.search(r"[a-z][A-Z]|[A-Z][a-z]|_|\.", name)}
    names = {name for name in names if not re.search(r"\.(py|ts|md|json)$", name)}

    assert len(names) > 30
    assert [] == sorted(name for name in names if not set(name.split(".")) <= words)


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_of_a_room_is_named_in_the_architecture_or_by_the_room_itself(
    room: str,
) -> None:
    listed = re.search(rf"^### `{room}/`\n(.*?)\n\n", ARCHITECTURE, re.MULTILINE | re.DOTALL)
    text = listed[1] if listed else (ROOT / room / "__init__.py").read_text("utf-8")

    named = set(re.findall(r"`(\w+\.py)`", text))

    modules = {file.name for file in (ROOT / room).glob("*.py")} - {"__init__.py"}
    assert modules == named


def test_the_readmes_show_every_picture_of_the_page() -> None:
    there = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.png")}
    for readme in ("README.md", "README.zh-CN.md"):
        assert there == set(re.findall(r"docs/[\w.-]+\.png", (ROOT / readme).read_text("utf-8")))
