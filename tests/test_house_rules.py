"""What CONTRIBUTING.md asks of tests and a machine can see."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rooms import sources as server_sources

TESTS = Path(__file__).parent

# What tests read or take hold of that belongs to the code alone, and why nothing public would do.
# Constants of modules are no part of this: a test sets a bound or a time, and need not wait for it.
PRIVATE = {
    # How much is held in memory has no other witness.
    **dict.fromkeys(("_cached", "_lookups", "_queue"), "what an API key verifier holds"),
    "_blocks": "the pieces of an answer",
    "_body": "the body of an error that is read",
    "_recent": "the kinds of lines that a rate-limited log remembers",
    **dict.fromkeys(("_write_buffer", "_buffer"), "what Tornado has not written, or not read"),
    **dict.fromkeys(("_probes", "_open"), "which probe connections are open"),
    # A part is made to fail, or to be slow, at a place that no socket and no file leads to.
    **dict.fromkeys(("_file", "_connections", "_writer"), "SQLite's connections and its writer"),
    **dict.fromkeys(("_check_key_claim", "_ended_or_gone"), "a step between two of MongoDB's"),
    "_http": "what a request is handed to, ahead of its handler",
    # A moment that comes once a second, or after ten minutes, comes now.
    "_admission": "the counts that its process shares",
    **dict.fromkeys(("_timer", "_deadline"), "when an upstream call ends that has gone silent"),
    **dict.fromkeys(("_on_send", "_on_head", "_on_body"), "what the HTTP client calls then"),
}

# They belong to named tuples and to os.
NOT_PRIVATE = {"_replace", "_exit"}


class Source(NamedTuple):
    name: str
    lines: list[str]
    tree: ast.Module
    nodes: list[ast.AST]

    def at(self, node: ast.expr | ast.stmt) -> str:
        return f"{self.name}:{node.lineno}: {self.lines[node.lineno - 1].strip()}"


def sources() -> Iterator[Source]:
    for path in sorted(TESTS.rglob("*.py")):
        if path.parent.name != "first_stage":  # recorded as it was
            text = path.read_text("utf-8")
            name = str(path.relative_to(TESTS.parent))
            tree = ast.parse(text)
            yield Source(name, text.splitlines(), tree, list(ast.walk(tree)))


@pytest.fixture(scope="module")
def everything() -> list[Source]:
    return list(sources())


# Length

# What can be read at a sitting. A module that has more has a second idea.
MAX_LINES = 450
# Made of the API's document, and held to it by a test; nobody reads it through.
GENERATED = "web/src/stream/apiTypes.ts"


def test_no_module_is_too_long() -> None:
    page = (TESTS.parent / "web" / "src").rglob("*.[tv]*")
    lines = {
        str(path.relative_to(TESTS.parent)): len(path.read_text("utf-8").splitlines())
        for path in (*TESTS.rglob("*.py"), *page, *server_sources())
    }

    lines.pop(GENERATED)
    assert {} == {name: count for name, count in lines.items() if count > MAX_LINES}


# `assert expected == actual`


def is_plain(node: ast.expr) -> bool:
    """Whether it is written out: nothing in it is computed."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(map(is_plain, node.elts))
    if isinstance(node, ast.Dict):
        return all(each is not None and is_plain(each) for each in (*node.keys, *node.values))
    if isinstance(node, ast.UnaryOp):
        return is_plain(node.operand)
    return isinstance(node, ast.Constant)


def test_what_is_expected_stands_on_the_left(everything: list[Source]) -> None:
    equal = [
        (source, node)
        for source in everything
        for node in source.nodes
        if isinstance(node, ast.Assert)
        and isinstance(node.test, ast.Compare)
        and isinstance(node.test.ops[0], ast.Eq)
    ]

    assert len(equal) > 1000
    assert [] == [
        source.at(node)
        for source, node in equal
        if isinstance(node.test, ast.Compare)
        and is_plain(node.test.comparators[-1])
        and not is_plain(node.test.left)
    ]


# What a test waits for is an event


def sleeps(source: Source) -> Iterator[ast.Call]:
    """Where a length of time is waited for, and nothing is looked at in a loop."""
    looking: set[ast.AST] = set()
    for node in source.nodes:
        if isinstance(node, ast.While | ast.For):
            looking.update(ast.walk(node))
    for node in source.nodes:
        if isinstance(node, ast.Call) and node not in looking:
            called = ast.unparse(node.func)
            if called in ("asyncio.sleep", "time.sleep") and ast.unparse(node.args[0]) != "0":
                yield node


def test_who_waits_for_a_length_of_time_says_why(everything: list[Source]) -> None:
    waits = [(source, node) for source in everything for node in sleeps(source)]

    assert 5 < len(waits) < 30
    assert [] == [
        source.at(node)
        for source, node in waits
        if "#" not in source.lines[node.lineno - 1]
        and not source.lines[node.lineno - 2].strip().startswith("#")
    ]


# Marks


def test_marks_of_a_whole_module_stand_where_tests_are(everything: list[Source]) -> None:
    marking = [
        source.name
        for source in everything
        for node in source.tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]

    assert len(marking) > 10
    # pytest takes no notice of one in a module that only helps.
    assert [] == [name for name in marking if not Path(name).name.startswith("test_")]


# Private state


def own_names(source: Source) -> set[str]:
    """What a file defines or assigns itself: its classes may look into each other."""
    names = set()
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls"):
            names.add(node.attr)
    return names


def private_reads(source: Source) -> Iterator[ast.Attribute]:
    own = own_names(source) | NOT_PRIVATE
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr not in own:
            name = node.attr
            if name.startswith("_") and name[1] != "_" and name.upper() != name:
                yield node


def test_tests_look_at_what_is_public_but_for_a_few_named_places(everything: list[Source]) -> None:
    reads = [(source, node) for source in everything for node in private_reads(source)]

    assert [] == [source.at(node) for source, node in reads if node.attr not in PRIVATE]
    assert PRIVATE.keys() == {node.attr for _, node in reads}
