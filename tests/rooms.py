"""What the server consists of: its rooms, which are folders, and the modules beside them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Folders with Python in them that are no part of the server.
_OTHERS = {"bench", "fuzz", "tests", "web"}


def rooms() -> list[str]:
    """The server's folders at the top, by name."""
    folders = {file.parent.name for file in ROOT.glob("*/*.py")}
    return sorted(name for name in folders - _OTHERS if not name.startswith("."))


def modules() -> list[str]:
    """The server's modules beside its rooms, by file name."""
    return sorted(file.name for file in ROOT.glob("*.py"))


def sources() -> list[Path]:
    """Every Python file of the server."""
    files = [file for room in rooms() for file in (ROOT / room).rglob("*.py")]
    return sorted([*files, *(ROOT / module for module in modules())])
