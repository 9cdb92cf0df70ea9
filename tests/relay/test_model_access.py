"""Which models fit the patterns that a key has."""

import time

import pytest

from relay.model_access import allowed_choices, is_allowed


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("openai/gpt-4o", ["openai/gpt-4o"], ["openai/gpt-4o-mini", "openai/gpt", "OpenAI/gpt-4o"]),
        ("openai/*", ["openai/gpt-4o", "openai/a/b", "openai/"], ["openai", "openai2/x", "x"]),
        ("*", ["openai/x", "a", ""], []),
        ("*/gpt-*", ["a/gpt-4", "a/b/gpt-"], ["gpt-4", "a/gpt"]),
        ("a*a", ["aa", "aba", "a/a"], ["a", "ab"]),
        ("a*b*b", ["abb", "axbxb"], ["ab", "abx", "axb"]),
        ("**", ["", "x"], []),
        ("openai/gpt-[45]", ["openai/gpt-[45]"], ["openai/gpt-4"]),
        ("openai/gpt-?", ["openai/gpt-?"], ["openai/gpt-4"]),
        ("openai/gpt.4", ["openai/gpt.4"], ["openai/gptx4"]),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_does(
    pattern: str, fits: list[str], does_not: list[str]
) -> None:
    assert all(is_allowed(model, (pattern,)) for model in fits)
    assert not any(is_allowed(model, (pattern,)) for model in does_not)


def test_without_patterns_any_is_allowed_and_with_none_of_them_none_is() -> None:
    assert is_allowed("openai/x", None)
    assert not is_allowed("openai/x", ())


def test_names_of_a_megabyte_are_no_work() -> None:
    began = time.process_time()
    assert not is_allowed("a" * 1_000_000, ("*a" * 100 + "b",))
    assert time.process_time() - began < 1


def test_what_is_allowed_by_its_whole_name_can_be_chosen_though_nobody_lists_it() -> None:
    models = ["a/x", "a/y", "b/z"]
    assert models == allowed_choices(models, None)
    assert ["a/x", "a/y", "c/new"] == allowed_choices(models, ("a/*", "c/new"))
    assert [] == allowed_choices(models, ())
