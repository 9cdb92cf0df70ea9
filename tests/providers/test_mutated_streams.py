"""Any right stream, changed as gateways change it, gives its text once and a true ending.

What removes nothing ends complete, with the exact text; what removes something never passes for a
whole answer. Each seed is one stream; `make fuzz` tries a hundred thousand of each dialect.
"""

import os
from collections.abc import Callable

import pytest

from presets import PRESETS, Switches
from providers.dialect import Dialect
from providers.openai import OpenAI
from providers.qianfan import Qianfan
from tests.providers.anthropic_mutations import mutated_message
from tests.providers.gemini_mutations import mutated_candidates
from tests.providers.line_mutations import mutated_lines
from tests.providers.mutated_responses import mutated_response
from tests.providers.outcome import (
    ANTHROPIC,
    CUMULATIVE,
    DASHSCOPE,
    GEMINI,
    OLLAMA,
    OPENAI,
    QIANFAN,
    QIANFAN_V1,
    RESPONSES,
    Outcome,
    read,
)
from tests.providers.stream_mutations import (
    CLASSES,
    DIALECTS,
    MutatedStream,
    mutated_stream,
    pieces,
)

# How the streams of further dialects are made.
_OTHERS: dict[str, Callable[[str, int, tuple[int, ...]], MutatedStream]] = {
    "anthropic": mutated_message,
    "gemini": mutated_candidates,
    "ollama": mutated_lines,
    "openai-responses": mutated_response,
}
_ALL = (*DIALECTS, *_OTHERS)

# In the suite: some seconds. Each class of changes alone, too, so that none hides another.
SEEDS = int(os.environ.get("HEADRACE_TEST_SEEDS", "600"))
SEEDS_OF_A_CLASS = 100

_DIALECTS: dict[str, Dialect] = {
    "openai-responses": RESPONSES,
    "openai": OPENAI,
    "qianfan": QIANFAN,
    "dashscope": DASHSCOPE,
    "dashscope-cumulative": CUMULATIVE,
    "qianfan-v1": QIANFAN_V1,
    "ollama": OLLAMA,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
}
_WHERE_DONE_ENDS: dict[str, Dialect] = {
    "openai": OpenAI(PRESETS["openai"].base_url, Switches(done_ends=True)),
    "qianfan": Qianfan(PRESETS["qianfan"].base_url, Switches(done_ends=True)),
}


def stream_of(dialect: str, seed: int, classes: tuple[int, ...]) -> MutatedStream:
    """The stream of a seed, in any dialect."""
    return _OTHERS.get(dialect, mutated_stream)(dialect, seed, classes)


def outcome_of(stream: MutatedStream, seed: int) -> Outcome:
    dialects = _WHERE_DONE_ENDS if stream.done_ends else _DIALECTS
    dialect = dialects[stream.dialect]
    cut = pieces(stream.body, seed)
    return read(dialect, cut, status=stream.status, broken=stream.broken)


def check(dialect: str, seed: int, classes: tuple[int, ...] = CLASSES) -> None:
    stream = stream_of(dialect, seed, classes)
    outcome = outcome_of(stream, seed)
    calls = [(each["id"], each["name"], each["arguments"]) for each in outcome.tool_calls]
    what = (dialect, seed, stream.did, outcome.error, stream.body)

    if stream.whole is not None:
        assert stream.whole == outcome.complete, what
    if outcome.complete:
        assert (stream.text, stream.reasoning) == (outcome.text_, outcome.reasoning_), what
        assert stream.calls == calls, what
        assert outcome.mark is not None, what
        # What is cut off may be our mark, after [DONE]: then another choice's has to do.
        assert stream.whole is None or stream.reason == outcome.mark.reason, what


@pytest.mark.slow
@pytest.mark.parametrize("dialect", _ALL)
def test_a_mutated_stream_gives_its_text_once_and_a_true_ending(dialect: str) -> None:
    for seed in range(SEEDS):
        check(dialect, seed)


@pytest.mark.slow
@pytest.mark.parametrize("number", CLASSES)
@pytest.mark.parametrize("dialect", _ALL)
def test_a_stream_mutated_in_one_way_gives_its_text_once_and_a_true_ending(
    dialect: str, number: int
) -> None:
    for seed in range(SEEDS_OF_A_CLASS):
        check(dialect, seed, (number,))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", _ALL)
@pytest.mark.parametrize("number", CLASSES)
def test_each_class_of_mutations_is_tried(dialect: str, number: int) -> None:
    """Else a change of the generator could leave one out, and nothing would fail."""
    did = {
        what
        for seed in range(SEEDS_OF_A_CLASS)
        for what in stream_of(dialect, seed, (number,)).did
        if what.startswith(f"{number}:")
    }
    has_none = (dialect, number) in {
        *((each, 7) for each in _ALL if each not in _WHERE_DONE_ENDS),
        ("qianfan-v1", 4),
        ("ollama", 4),
        ("anthropic", 4),
    }
    assert has_none == (not did)
