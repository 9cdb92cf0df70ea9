"""No two classes of one name in the whole of the server, private ones included.

A name that is searched for is found once, and a traceback says without a doubt which class it was.
"""

import ast
from collections import defaultdict

from tests.rooms import ROOT, sources


def test_no_two_classes_have_one_name() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for source in sources():
        for node in ast.walk(ast.parse(source.read_bytes(), str(source))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(source.relative_to(ROOT)))

    assert {} == {name: found for name, found in places.items() if len(found) > 1}
