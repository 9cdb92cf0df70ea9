"""Puts a fault onto the way of each token, or of each question: one more line of code."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from relay.asking import Asker
from relay.delta_intake import DeltaIntake
from relay.reader import Reader

Work = Literal["token", "shared token", "chat token", "question"]

# Each passes here once; a shared token once for each of its readers.
_ON_THE_WAY: dict[Work, tuple[type, str]] = {
    "token": (DeltaIntake, "text"),
    "shared token": (Reader, "take"),
    "chat token": (DeltaIntake, "text"),
    "question": (Asker, "ask"),
}


@contextmanager
def line_added(work: Work, line: str) -> Iterator[None]:
    """Have what each token or question passes begin with this line while the block runs."""
    owner, name = _ON_THE_WAY[work]
    method = getattr(owner, name)
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    function.body[1:1] = ast.parse(line).body  # after the docstring
    names = dict(vars(sys.modules[owner.__module__]))
    exec(compile(tree, inspect.getfile(owner), "exec"), names)
    setattr(owner, name, names[name])
    try:
        yield
    finally:
        setattr(owner, name, method)
