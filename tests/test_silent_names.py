"""A name server that is silent about one provider takes no other one, and delays no end."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests import silent_names

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture
def in_a_network_of_its_own(
    needs: Callable[[str], str], leave_out: Callable[[str, str], NoReturn], tmp_path: Path
) -> list[str]:
    """What a command is run by whose only name server is 127.0.0.1, which has to be made there."""
    unshare, ip = needs("unshare"), needs("ip")
    resolving = tmp_path / "resolv.conf"
    # Longer than the test: a server that waited for its lookups would be noticed.
    resolving.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    steps = f'{ip} link set lo up && mount --bind {resolving} /etc/resolv.conf && exec "$@"'
    # With processes of its own, too: whoever ends the first of them ends all.
    own = ("--net", "--mount", "--mount-proc", "--pid", "--kill-child")
    command = [unshare, *own, "sh", "-c", steps, "sh"]
    tried = subprocess.run([*command, "true"], capture_output=True, check=False, timeout=20)
    if tried.returncode:
        leave_out("needs network namespaces, which only root can make", "run as root")
    return command


def test_a_silent_name_takes_no_other_provider_and_holds_up_no_end(
    in_a_network_of_its_own: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    command = [sys.executable, "-m", silent_names.__name__, str(folder)]

    ran = subprocess.run(
        [*in_a_network_of_its_own, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert 0 == ran.returncode, ran.stderr
    said = json.loads(ran.stdout.splitlines()[-1])
    assert ["complete"] * silent_names.HEALTHY == said["found"]
    assert 0 == said["code"]
