"""The types by which the page and its stream client know the API."""

import json
import subprocess
from pathlib import Path

import pytest

from handlers.openapi.document import document


@pytest.mark.slow
def test_the_types_are_those_of_the_openapi_document(web: Path) -> None:
    """If not: `curl -s http://127.0.0.1:8080/api/openapi.json | npm --prefix web run --silent
    types > web/src/stream/apiTypes.ts`.
    """
    generated = subprocess.run(
        ["npm", "--silent", "run", "types"],
        cwd=web,
        input=json.dumps(document(asks_for_keys=True)),
        capture_output=True,
        text=True,
    )

    assert 0 == generated.returncode, generated.stderr
    assert (web / "src" / "stream" / "apiTypes.ts").read_text() == generated.stdout
