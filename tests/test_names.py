"""No two classes of one name in the whole of the server, private ones included, and in the page.

A name that is searched for is found once, and a traceback says without a doubt which class it was.
"""

import ast
import re
from collections import defaultdict

from tests.rooms import ROOT, sources


def test_no_two_classes_have_one_name() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for source in sources():
        for node in ast.walk(ast.parse(source.read_bytes(), str(source))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(source.relative_to(ROOT)))

    assert {} == {name: found for name, found in places.items() if len(found) > 1}


def test_no_two_types_of_the_page_have_one_name() -> None:
    exported = re.compile(r"^export (?:abstract )?(?:class|interface|type) (\w+)", re.MULTILINE)
    places: defaultdict[str, list[str]] = defaultdict(list)
    for source in (ROOT / "web" / "src").rglob("*.[tv]*"):
        for name in exported.findall(source.read_text("utf-8")):
            places[name].append(str(source.relative_to(ROOT)))

    assert len(places) > 50
    assert {} == {name: found for name, found in places.items() if len(found) > 1}
