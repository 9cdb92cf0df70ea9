"""The units of the page, which Vitest runs: its stream client first of all."""

import os
import subprocess
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_units_of_the_page(web: Path) -> None:
    ran = subprocess.run(
        ["npm", "--silent", "test"],
        cwd=web,
        env={**os.environ, "CI": "true", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
