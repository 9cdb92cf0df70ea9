"""The providers that are known by name, so that a key alone is enough.

`preset.py` says what is known of each; `own_dialects.py` and `compatible.py` are the table, which
settings, doctor and `docs/providers.md` use. This room imports no other.
"""

from collections.abc import Mapping
from typing import Final

from presets.compatible import COMPATIBLE
from presets.own_dialects import OWN_DIALECTS
from presets.preset import (
    USUAL,
    Abilities,
    DialectName,
    Fact,
    InputKind,
    Mark,
    MaxTokensName,
    Preset,
    ProviderField,
    ReasoningSummary,
    Switches,
)

__all__ = [
    "PRESETS",
    "USUAL",
    "Abilities",
    "DialectName",
    "Fact",
    "InputKind",
    "Mark",
    "MaxTokensName",
    "Preset",
    "ProviderField",
    "ReasoningSummary",
    "Switches",
]

# The first one with a key is the default provider, unless the settings name one.
PRESETS: Final[Mapping[str, Preset]] = {**OWN_DIALECTS, **COMPATIBLE}
