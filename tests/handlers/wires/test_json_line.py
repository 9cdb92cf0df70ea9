"""JSON is one line to every client, whichever characters it takes for the end of one."""

import json

import pytest

from handlers.wires.json_line import json_line


@pytest.mark.parametrize("end", ["\n", "\r", "\u2028", "\u2029", "\x85"])
def test_no_text_ends_the_line(end: str) -> None:
    value = {f"界{end}": [f"one{end}two{end}", end]}

    line = json_line(value).decode()

    assert [line] == line.splitlines()
    assert value == json.loads(line)
