"""API keys as text: what a key looks like, and what is kept of it."""

import pytest

from auth import api_keys
from auth.errors import InvalidCredentials
from auth.principal import is_user_name


def test_a_key_is_plain_letters_that_a_double_click_selects_and_a_scanner_knows() -> None:
    made = api_keys.make()
    assert made.text.startswith("hr_")
    assert made.text.replace("_", "a").isalnum()
    assert made.id == api_keys.id_of(made.text)
    assert 52 == len(made.text)


def test_no_two_are_alike() -> None:
    made = [api_keys.make() for _ in range(1000)]
    assert 1000 == len({key.id for key in made})
    assert 1000 == len({key.text[20:] for key in made})


def test_what_is_kept_of_a_key_holds_neither_the_key_nor_its_secret() -> None:
    made = api_keys.make()
    kept = api_keys.digest(made.text)
    assert api_keys.matches(made.text, kept)
    assert not api_keys.matches(api_keys.make().text, kept)
    assert made.text.rpartition("_")[2] not in kept


@pytest.mark.parametrize("text", ["", "hr_", "hr_" + "a" * 49, "HR_" + "a" * 16 + "_" + "a" * 32])
def test_what_is_no_key_is_refused_without_being_looked_up(text: str) -> None:
    with pytest.raises(InvalidCredentials):
        api_keys.id_of(text)


def test_an_operator_names_a_key_by_its_id_or_whole() -> None:
    made = api_keys.make()
    assert made.id == api_keys.parse_id(made.id) == api_keys.parse_id(made.text)
    assert api_keys.parse_id(made.text[:-1]) is None


@pytest.mark.parametrize(
    "name", ["alice", "李雷", "a b", "auth0|5f7c8ec7c33c6c004bbafe82", "x" * 256]
)
def test_a_user_may_be_called_much(name: str) -> None:
    assert is_user_name(name)


@pytest.mark.parametrize("name", ["", "x" * 257, "a\nb", "a\0", "\x9b31m", "\u2028", "\ud800"])
def test_no_user_is_called_what_forges_lines_or_cannot_be_stored(name: str) -> None:
    assert not is_user_name(name)
