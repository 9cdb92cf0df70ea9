"""The runbook of docs/operating.md: its lines are those of the log, provoked on real parts.

Each scene makes something fail and looks for the lines that it stands for. No line is in the table
without a scene, and no warning in the code without a line in the table.
"""

import ast
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.rooms import ROOT, sources
from tests.runbook import clients, providers, starts, stores, webhooks
from tests.runbook.stage import SCENES, Scene, Stage

# Importing them has registered their scenes.
SCENES_OF = (starts, stores, clients, providers, webhooks)


def lines_of_the_table() -> list[str]:
    """The second cells of the runbook's tables, which are code."""
    text = (ROOT / "docs/operating.md").read_text("utf-8")
    runbook = text.partition("## Runbook\n")[2].partition("\n## ")[0]
    cells = re.finditer(r"^\|[^|]*\| (`+)([^|]+?)\1 \|", runbook, re.MULTILINE)
    return [cell[2] for cell in cells]


# The table and the code


def warnings_in_the_code() -> Iterator[tuple[str, str]]:
    """How every warning begins, and where it is; an ERROR with a traceback is a bug's, and none."""
    for source in sources():
        if source.parent.name == "telemetry":  # logs for others, in their words
            continue
        tree = ast.parse(source.read_bytes())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        no_warnings: set[ast.expr] = set()
        for call_ in calls:
            called = ast.unparse(call_.func)
            is_bug = any(keyword.arg == "exc_info" for keyword in call_.keywords)
            if is_bug or called in ("log.info", "log.debug"):
                no_warnings.update(call_.args)
        for call_ in calls:
            called = ast.unparse(call_.func)
            if called in ("log.warning", "log.error", "LogEvent") and call_ not in no_warnings:
                words = call_.args[0]
            elif called == "OutageLog":
                words = call_.args[1]
            else:
                continue
            if words not in no_warnings and (begins := beginning(words)) is not None:
                yield begins, f"{source.relative_to(ROOT)}:{call_.lineno}"


def beginning(words: ast.expr) -> str | None:
    """What stands before the first value in a line's words; None of words from elsewhere."""
    if isinstance(words, ast.JoinedStr):
        words = words.values[0]
    if isinstance(words, ast.Constant):
        return re.split(r"%[sd]", str(words.value))[0]
    assert isinstance(words, ast.Call | ast.Name | ast.Attribute), ast.unparse(words)
    return None  # an event, which is looked at where it is made


@pytest.mark.slow
def test_every_warning_in_the_code_is_in_the_runbook() -> None:
    table = lines_of_the_table()
    warnings = dict(warnings_in_the_code())

    assert len(warnings) > 20
    missing = [
        f"{where}: {words}"
        for words, where in warnings.items()
        if not any(line.startswith(words) for line in table)
    ]
    assert [] == missing


def test_every_line_of_the_runbook_is_provoked_by_one_scene() -> None:
    provoked = [line for scene in SCENES.values() for line in scene]

    assert sorted(provoked) == sorted(lines_of_the_table())


@pytest.mark.slow
@pytest.mark.parametrize("played", SCENES, ids=lambda played: played.play.__name__)
def test_what_goes_wrong_is_in_the_log_as_the_runbook_has_it(
    played: Scene, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, io_loop: Any
) -> None:
    for name in ("headrace", "tornado.general"):  # as the server has them
        caplog.set_level(logging.INFO, name)
    stage = Stage(request, caplog)
    for name in played.needs:
        request.getfixturevalue(name)

    io_loop.run_sync(lambda: played.play(stage), timeout=90)

    missing = [line for line in SCENES[played] if not stage.has(line)]
    assert [] == missing, "\n".join(stage.lines)
