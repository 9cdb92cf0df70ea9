"""`make fuzz` itself runs: it is not part of the suite, and would rot unseen."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[2] / "fuzz" / "streams.py"


@pytest.mark.slow
def test_a_few_inputs_of_each_target_break_no_promise() -> None:
    run = subprocess.run(
        [sys.executable, str(FUZZ), "20"], capture_output=True, text=True, check=False
    )

    assert (0, "nothing uncaught") == (run.returncode, run.stdout.splitlines()[-1]), run.stderr
