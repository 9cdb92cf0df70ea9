"""Running the doctor in the tests' own process."""

from typing import Any

from doctor.examination import examine
from settings import Settings


async def run_doctor(ask: bool = False, **settings: Any) -> tuple[bool, str]:
    """Whether nothing is wrong, and all that was said."""
    lines: list[str] = []
    fine = await examine(Settings(**{"port": 0, **settings}), ask=ask, write_line=lines.append)
    return fine, "\n".join(lines)
