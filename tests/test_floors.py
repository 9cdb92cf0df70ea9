"""No release with a known hole: what is locked, and what is installed, is past each of them."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The first releases without the hole that stands beside them.
FLOORS = {
    "tornado": (6, 6, 1),  # CVE-2024-52804, CVE-2025-47287 and what came after them
    "pymongo": (4, 6, 3),  # CVE-2024-5629: reads past the end of a crafted document
    "certifi": (2024, 7, 4),  # CVE-2024-39689: a root that is trusted no more
    "pydantic": (2, 4, 0),  # CVE-2024-3772: a pattern that takes for ever
    "dnspython": (2, 6, 1),  # CVE-2023-29483: answers of others taken for the resolver's
}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


@pytest.mark.parametrize("lock_file", ["constraints.txt", "requirements.txt"])
def test_what_is_locked_has_no_known_hole(lock_file: str) -> None:
    locked = dict(re.findall(r"^([a-z0-9-]+)==([0-9.]+)", (ROOT / lock_file).read_text(), re.M))
    assert FLOORS.keys() <= locked.keys()
    assert [] == [name for name in FLOORS if _numbers(locked[name]) < FLOORS[name]]


@pytest.mark.parametrize("name", FLOORS)
def test_what_is_installed_has_no_known_hole(name: str) -> None:
    assert _numbers(version(name)) >= FLOORS[name]


def test_what_we_ask_for_is_no_older() -> None:
    asked = re.search(r'"tornado>=([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    assert asked is not None
    assert _numbers(asked[1]) >= FLOORS["tornado"]
