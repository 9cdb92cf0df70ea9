"""The bytes of files in prompts are counted for each user, and forgotten with the last of them."""

import pytest

from relay.errors import Overloaded, TooManyFileBytes
from relay.prompt_file_budget import PromptFileBudget


def test_a_user_may_have_half_and_all_together_the_whole() -> None:
    budget = PromptFileBudget(100)
    budget.take("alice", 50)
    with pytest.raises(TooManyFileBytes):
        budget.take("alice", 1)
    budget.take("bob", 40)
    with pytest.raises(Overloaded):
        budget.take("carol", 11)

    budget.give("alice", 50)
    budget.take("carol", 11)

    assert (51, 2) == (budget.held, budget.users)


def test_users_whose_prompts_have_no_bytes_of_files_are_not_remembered() -> None:
    budget = PromptFileBudget(100)

    budget.take("alice", 0)  # tool results, or an image with an address
    budget.take("bob", 10)
    budget.give("bob", 10)
    with pytest.raises(TooManyFileBytes):
        budget.take("carol", 51)

    assert (0, 0) == (budget.held, budget.users)
