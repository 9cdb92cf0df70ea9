"""No release with a known hole: what is locked, and what is installed, is past each of them."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The first releases without the hole that stands beside them: what the server runs with,
SERVER = {
    "certifi": (2024, 7, 4),  # CVE-2024-39689: a root that is trusted no more
    "cryptography": (50, 0, 0),  # CVE-2026-26007 and -39892, and the OpenSSL in the wheels
    "dnspython": (2, 6, 1),  # CVE-2023-29483: answers of others taken for the resolver's
    "pydantic": (2, 4, 0),  # CVE-2024-3772: a pattern that takes for ever
    "pyjwt": (2, 13, 0),  # CVE-2026-32597 and -48526: tokens that should not have been let in
    "pymongo": (4, 6, 3),  # CVE-2024-5629: reads past the end of a crafted document
    "python-dotenv": (1, 2, 2),  # CVE-2026-28684: follows links as it writes
    "tornado": (6, 6, 1),  # CVE-2024-52804, CVE-2025-47287 and what came after them
}
# with traces,
TRACES = {
    "idna": (3, 7),  # CVE-2024-3651: names that take for ever
    "protobuf": (6, 33, 5),  # CVE-2025-4565 and CVE-2026-0994: messages that nest too deep
    "requests": (2, 33, 0),  # CVE-2024-47081 and CVE-2026-25645: credentials, a temporary file
    "urllib3": (2, 6, 3),  # CVE-2025-66418, -66471 and CVE-2026-21441: bodies that inflate
}
# and what the tests run with, which read nothing but what this machine says.
TESTS = {
    "aiohttp": (3, 13, 3),  # CVE-2025-69223 to -69230
    "h11": (0, 16, 0),  # CVE-2025-43859: chunks whose ends it did not look at
    "pygments": (2, 20, 0),  # CVE-2026-4539: a pattern that takes for ever
    "setuptools": (78, 1, 1),  # CVE-2025-47273: writes where it should not
    "starlette": (0, 49, 1),  # CVE-2025-62727: ranges that take for ever
    "virtualenv": (20, 36, 1),  # CVE-2024-53899 and CVE-2026-22702
    "werkzeug": (3, 1, 6),  # CVE-2026-27199 and those before it
}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


@pytest.mark.parametrize(
    ("lock_file", "floors"),
    [
        ("requirements.txt", SERVER),
        ("requirements-traces.txt", SERVER | TRACES),
        ("constraints.txt", SERVER | TRACES | TESTS),
    ],
)
def test_what_is_locked_has_no_known_hole(
    lock_file: str, floors: dict[str, tuple[int, ...]]
) -> None:
    locked = dict(re.findall(r"^([a-z0-9-]+)==([0-9.]+)", (ROOT / lock_file).read_text(), re.M))
    assert floors.keys() <= locked.keys()
    assert [] == [name for name in floors if _numbers(locked[name]) < floors[name]]


@pytest.mark.parametrize(("name", "floor"), (SERVER | TRACES | TESTS).items())
def test_what_is_installed_has_no_known_hole(name: str, floor: tuple[int, ...]) -> None:
    assert _numbers(version(name)) >= floor


@pytest.mark.parametrize("name", ["pyjwt", "tornado"])
def test_what_we_ask_for_is_no_older(name: str) -> None:
    asked = re.search(rf'"{name}(?:\[\w+\])?>=([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    assert asked is not None
    assert _numbers(asked[1]) >= SERVER[name]
