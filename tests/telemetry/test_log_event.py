"""Log lines as values: their text, and what they may be called."""

import ast

from telemetry.log_event import LogEvent
from tests.rooms import sources

# What every JSON line has anyway.
OWN_MEMBERS = {"time", "level", "logger", "message", "exception"}


def test_the_text_is_the_message_and_the_values_in_the_order_given() -> None:
    event = LogEvent("answer ended", status="failed", code=None, chars=12, estimated=False)

    assert "answer ended status=failed code=- chars=12 estimated=False" == str(event)
    assert "nothing to add" == str(LogEvent("nothing to add"))


def test_percent_signs_are_no_places_for_values() -> None:
    assert "100% of %s is=%d" == str(LogEvent("100% of %s", **{"is": "%d"}))


def test_no_value_is_called_as_a_member_that_every_line_has() -> None:
    names = {
        str(keyword.arg)
        for file in sources()
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "LogEvent"
        for keyword in node.keywords
    }

    assert len(names) > 20
    assert not OWN_MEMBERS & names
