"""What is held for readers is counted, shared, and given back."""

import pytest

from relay.errors import Overloaded, TooMuchUnread
from relay.unsent import FREE_BYTES, Unsent

MB = 1_000_000


def test_what_is_short_is_free_however_much_is_held() -> None:
    unsent = Unsent(MB)
    unsent.take("alice", 2 * MB)

    assert 0 == unsent.take("alice", FREE_BYTES)
    assert 0 == unsent.take("bob", FREE_BYTES)


def test_one_thing_alone_is_let_through_however_long_it_is() -> None:
    unsent = Unsent(MB)

    with unsent.holding("alice", 100 * MB):
        assert 100 * MB - FREE_BYTES == unsent.held

    assert 0 == unsent.held


def test_a_user_has_a_part_and_all_of_them_have_no_more_than_there_is() -> None:
    unsent = Unsent(8 * MB)
    taken = {user: unsent.take(user, MB) for user in map(str, range(8))}

    with pytest.raises(TooMuchUnread) as too_much:
        unsent.take("0", MB)
    unsent.take("8", MB // 2)
    with pytest.raises(Overloaded) as overloaded:
        unsent.take("9", MB)

    assert 2 == too_much.value.retry_after == overloaded.value.retry_after
    unsent.give("0", taken["0"])
    assert taken["0"] == unsent.take("0", MB)
