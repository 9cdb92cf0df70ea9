"""The tables of `docs/providers.md`, made of the presets and of what their dialects send.

`.venv/bin/python -m tests.presets.page` writes them into the page.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from model.prompt import OPTION_NAMES
from presets import PRESETS, Preset
from providers.building import build_dialect
from settings import ProviderSettings

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "providers.md"

NAMES = [name for name in PRESETS if name != "demo"]

_ABILITIES = {
    "image_url": "image by address",
    "image": "image",
    "file_url": "file by address",
    "file": "file",
    "tools": "tools",
    "parallel_tools": "parallel calls",
    "json_object": "JSON object",
    "json_schema": "JSON schema",
    "reasoning": "shows reasoning",
    "effort": "effort, or on and off",
    "budget": "budget",
    "prefix": "prefix",
}


def configured_as(name: str) -> ProviderSettings:
    """The settings of a preset with a key, and an address if it has none."""
    keys = {"access_token": "k"} if name == "qianfan-v1" else {"api_key": "k"}
    address = {} if PRESETS[name].base_url else {"base_url": "https://x.openai.azure.com"}
    return ProviderSettings.model_validate({"preset": name, **keys, **address})


def options_of(name: str) -> list[str]:
    """The options of a question that the preset's dialect sends, `extra` aside."""
    configured = configured_as(name)
    known = build_dialect(configured, configured.base_url).options
    return [option for option in OPTION_NAMES if option in known]


def written(page: str) -> str:
    """The page with today's tables."""
    for name, lines in (
        ("addresses", _addresses()),
        ("abilities", _abilities()),
        ("options", _options()),
    ):
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        table = begin + "\n".join(lines) + "\n" + end
        page, count = re.subn(pattern, lambda _, table=table: table, page, flags=re.DOTALL)
        assert 1 == count, f"{PAGE} needs {begin}"
    return page


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _addresses() -> Iterator[str]:
    yield _row(["preset", "dialect", "address", "variables", "default model"])
    yield "|---|---|---|---|---|"
    for name in NAMES:
        preset = PRESETS[name]
        address = f"`{preset.base_url}`" if preset.base_url else "the endpoint of your resource"
        models = ", ".join(f"`{model}`" for model in preset.models)
        yield _row(
            [
                f"`{name}`",
                f"`{preset.dialect}`",
                f"{address} {preset.marks[0]}",
                _variables(preset),
                f"{models} {preset.marks[1]}",
            ]
        )


def _variables(preset: Preset) -> str:
    sets = [" + ".join(f"`{name}`" for name in each) for each in preset.key_variables]
    others = [f"`{name}`" for name in preset.other_variables]
    return " or ".join(sets) + (f"; with it {', '.join(others)}" if others else "")


def _abilities() -> Iterator[str]:
    yield _row(["preset", *_ABILITIES.values()])
    yield "|---" * (1 + len(_ABILITIES)) + "|"
    for name in NAMES:
        facts = [getattr(PRESETS[name].abilities, ability) for ability in _ABILITIES]
        yield _row([f"`{name}`", *facts])


def _options() -> Iterator[str]:
    yield _row(["preset", "not sent"])
    yield "|---|---|"
    for name in NAMES:
        sent = options_of(name)
        lacking = [f"`{each}`" for each in OPTION_NAMES if each not in (*sent, "extra")]
        yield _row([f"`{name}`", ", ".join(lacking) or "—"])


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
