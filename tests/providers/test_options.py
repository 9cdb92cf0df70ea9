"""Options become fields by a dialect's table; what the table does not name is refused by name."""

from typing import Any

import pytest

from model.messages import Role
from model.prompt import OPTION_NAMES, Prompt, Tool, text_turn
from providers.errors import UnsupportedOption
from providers.options import Field, write_options

TABLE = {
    "temperature": Field("temperature"),
    "top_k": Field("config.top.k"),
    "seed": Field("config.seed", str),
    "stop": Field("stop", lambda _: None),
    "reasoning_effort": (
        Field("thinking.on", lambda value: value != "none"),
        Field("effort"),
    ),
}


def prompt(**options: Any) -> Prompt:
    return Prompt(model="m", turns=(text_turn(Role.USER, "hi"),), **options)


def test_options_are_written_where_the_table_says() -> None:
    body: dict[str, Any] = {"model": "m"}

    write_options(body, prompt(temperature=0.0, top_k=3, seed=4, stop=("a",)), TABLE)

    assert {
        "model": "m",
        "temperature": 0.0,
        "config": {"top": {"k": 3}, "seed": "4"},
    } == body


@pytest.mark.parametrize(
    "option",
    [
        {"top_p": 0.5},
        {"tools": (Tool("weather"),)},
        {"parallel_tool_calls": False},
        {"presence_penalty": 0.5},
    ],
)
def test_an_option_without_a_row_is_refused_by_name(option: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedOption) as caught:
        write_options({}, prompt(**option), TABLE)

    assert [caught.value.name] == list(option)


def test_an_option_without_a_row_that_asks_for_nothing_is_left_out() -> None:
    body: dict[str, Any] = {}
    asked = prompt(
        presence_penalty=0.0, frequency_penalty=0, top_p=1.0, parallel_tool_calls=True, top_k=3
    )

    write_options(body, asked, TABLE)

    assert {"config": {"top": {"k": 3}}} == body


def test_extra_fields_are_added() -> None:
    body: dict[str, Any] = {"model": "m"}

    write_options(body, prompt(extra={"user": "u", "nested": {"a": [1]}}), TABLE)

    assert {"model": "m", "user": "u", "nested": {"a": [1]}} == body


def test_an_option_may_take_two_fields() -> None:
    body: dict[str, Any] = {}

    write_options(body, prompt(reasoning_effort="low"), TABLE)

    assert {"thinking": {"on": True}, "effort": "low"} == body


def test_extra_objects_are_merged_into_ours() -> None:
    extra = {"thinking": {"keep": "all"}, "config": {"top": {"n": 1}}}
    body: dict[str, Any] = {}

    write_options(body, prompt(extra=extra, reasoning_effort="low"), TABLE)

    assert {
        "thinking": {"on": True, "keep": "all"},
        "effort": "low",
        "config": {"top": {"n": 1}},
    } == body
    assert {"keep": "all"} == extra["thinking"]


@pytest.mark.parametrize(
    "extra",
    [
        *({name: 1} for name in ("model", "temperature", "config", "stop", "effort", "mine")),
        *({"config": {"seed": 1}}, {"config": {"top": 1}}, {"config": {"top": {"k": 1}}}),
        *({"own": {"input": 1}}, {"own": 1}, {"mine": {"a": 1}}, {"model": {"a": 1}}),
    ],
)
def test_extra_fields_overwrite_none_of_ours(extra: dict[str, Any]) -> None:
    own = frozenset({"own.input", "mine"})

    with pytest.raises(UnsupportedOption) as caught:
        write_options({"model": "m"}, prompt(extra=extra), TABLE, own)

    assert caught.value.name.startswith(f"extra.{next(iter(extra))}")


def test_every_field_after_the_files_is_an_option() -> None:
    fields = Prompt.__struct_fields__
    assert ("model", "turns", "system", "files", *OPTION_NAMES) == fields
