"""The messages of errors: whole sentences, each with the values that it was raised with."""

import re
from collections.abc import Iterator

import pytest

from auth.errors import KeysUnavailable, Unauthenticated
from providers.errors import ProviderError
from relay.errors import (
    QuestionTooLong,
    RelayError,
    RetryLater,
    StorageQuotaExceeded,
    ToolLoopTooLong,
    UnsupportedContent,
    UnsupportedParameter,
    UserLimitReached,
)


def _family(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for child in error.__subclasses__():
        yield from _family(child)


def _raised(error: type[Exception]) -> Exception:
    """One of the class, with whatever values it takes."""
    if issubclass(error, UserLimitReached):
        return error(7, 12_000)
    if issubclass(error, RetryLater):
        return error(7)
    if issubclass(error, QuestionTooLong | StorageQuotaExceeded):
        return error(12_000)
    if issubclass(error, UnsupportedContent):
        return error(model="openai/gpt-4o-mini", kind="image_url")
    if issubclass(error, UnsupportedParameter):
        return error(name="top_k")
    if issubclass(error, ToolLoopTooLong):
        return error(chars=12_000, messages=200)
    if issubclass(error, Unauthenticated | KeysUnavailable):
        return error("a reason for the log")
    return error()


_ERRORS = [
    each
    for base in (RelayError, ProviderError, Unauthenticated, KeysUnavailable)
    for each in _family(base)
]


@pytest.mark.parametrize("error", _ERRORS, ids=lambda error: str(error.__name__))
def test_a_message_is_whole_sentences(error: type[Exception]) -> None:
    message = str(_raised(error))

    assert re.fullmatch(r"([A-Z]|parent_id |12,000 ).*[^.]\.", message)
    assert len(message.split()) > 3
    assert "{" not in message.replace("{answer_id}", "")
    assert "reason for the log" not in message


@pytest.mark.parametrize(
    "error",
    [*UserLimitReached.__subclasses__(), QuestionTooLong, StorageQuotaExceeded],
    ids=lambda error: str(error.__name__),
)
def test_a_message_of_a_limit_says_how_much_it_allows(error: type[Exception]) -> None:
    message = str(_raised(error))

    assert "12,000" in message
