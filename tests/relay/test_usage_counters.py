"""Counts that processes share: what a question costs, and by how much a limit can be passed."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from relay import usage_counters
from relay.admission import Admission, Allowance
from relay.errors import TooManyQuestions
from relay.usage_counters import UsageCounters
from relay.user_quota import UserQuota
from storage.errors import StorageError
from storage.values import UsageCount, UsageSpan


class CountsInMemory:
    """Only what the counts ask of a store; each call is a command sent to it."""

    def __init__(self) -> None:
        self.kept: dict[tuple[UsageSpan, str], int] = {}
        self.calls: list[int] = []
        self.fails = False
        self.gate: asyncio.Event | None = None

    async def share_counts(self, counts: Sequence[UsageCount]) -> Mapping[UsageSpan, int]:
        self.calls.append(len(counts))
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise StorageError("the test says so")
        for each in counts:
            place = (each.span, each.writer)
            self.kept[place] = max(self.kept.get(place, 0), each.amount)
        return {each.span: self.together(each.span) for each in counts}

    def together(self, of: UsageSpan) -> int:
        return sum(amount for (span, _), amount in self.kept.items() if span == of)


@pytest.fixture
def store() -> CountsInMemory:
    return CountsInMemory()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the time; it stands still between two settings."""

    def at(seconds: float) -> None:
        monkeypatch.setattr(usage_counters.time, "time", lambda: seconds)

    at(1_790_000_000.0 // 3600 * 3600)
    return at


def quota(store: CountsInMemory, limit: int = 80, *, reads_counts_first: bool = False) -> UserQuota:
    """A process's own."""
    return UserQuota(
        UsageCounters(store),
        "questions",
        limit=limit,
        seconds=60,
        reads_counts_first=reads_counts_first,
    )


async def asked(quota: UserQuota, user: str = "alice") -> bool:
    """One question, counted if there is room for it."""
    if await quota.is_spent(user):
        return False
    quota.add(user, 1)
    return True


@pytest.mark.gen_test
async def test_a_process_alone_lets_in_as_many_as_the_limit_says(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    mine = quota(store)
    assert [True] * 80 + [False] * 20 == [await asked(mine) for _ in range(100)]


@pytest.mark.gen_test
async def test_ordinary_questions_ask_nothing_of_the_store(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    mine = quota(store)
    for user in range(50):
        for _ in range(10):
            assert await asked(mine, f"user {user}")
        assert [] == store.calls


@pytest.mark.parametrize("processes", [2, 8])
@pytest.mark.gen_test
async def test_a_limit_is_passed_by_an_eighth_for_each_process_at_most(
    clock: Callable[[float], None], store: CountsInMemory, processes: int
) -> None:
    each = [quota(store) for _ in range(processes)]

    async def all_asked(mine: UserQuota) -> int:
        return sum([await asked(mine) for _ in range(200)])

    let_in = sum(await asyncio.gather(*map(all_asked, each)))
    assert 80 <= let_in <= 80 + processes * 80 // 8


@pytest.mark.gen_test
async def test_after_a_round_everybody_knows(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    mine, other = quota(store), quota(store)
    for _ in range(80):
        await asked(other)
    await other.counts.share()
    assert await asked(mine)  # unknown yet, and within the eighth
    await mine.counts.share()
    assert not await asked(mine)


@pytest.mark.gen_test
async def test_the_careful_look_first_and_only_once(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    before = quota(store, reads_counts_first=True)
    before.add("alice", 500)
    await before.counts.share()
    store.calls.clear()

    restarted = quota(store, reads_counts_first=True)
    assert [True] * 5 == [await restarted.is_spent("alice") for _ in range(5)]
    assert 1 == len(store.calls)


@pytest.mark.gen_test
async def test_a_new_span_begins_at_nothing_and_says_when(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    clock(1_789_999_230.5)
    mine = quota(store, 3)
    assert [True, True, True, False] == [await asked(mine) for _ in range(4)]
    left = mine.seconds_left()
    clock(1_789_999_230.5 + left - 1)
    assert not await asked(mine)
    clock(1_789_999_230.5 + left)
    assert await asked(mine)


@pytest.mark.gen_test
async def test_those_who_wait_share_one_round(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    mine = quota(store, reads_counts_first=True)
    users = [f"user {number}" for number in range(200)]
    assert [False] * 200 == await asyncio.gather(*map(mine.is_spent, users))
    assert len(store.calls) <= 2


@pytest.mark.gen_test
async def test_what_is_counted_during_a_round_is_in_the_next_one(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    mine = quota(store)
    await asked(mine)
    store.gate = asyncio.Event()
    round_ = asyncio.create_task(mine.counts.share())
    while not store.calls:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asked(mine)
    store.gate.set()
    await round_
    await mine.counts.share()
    assert [2] == list(store.kept.values())


@pytest.mark.gen_test
async def test_a_store_that_fails_refuses_nobody_and_loses_nothing(
    clock: Callable[[float], None], store: CountsInMemory, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.usage_counters", "counts are not shared")
    mine = quota(store)
    store.fails = True
    assert [True] * 80 + [False] == [await asked(mine) for _ in range(81)]
    store.fails = False
    await mine.counts.share()
    assert [80] == list(store.kept.values())


@pytest.mark.gen_test
async def test_what_is_given_back_was_never_told_to_others(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    mine, other = quota(store, 3), quota(store, 3)
    held = [mine.reserve("alice") for _ in range(3)]
    assert await mine.is_spent("alice")
    await mine.counts.share()
    for hold in held:
        assert hold is not None
        hold.give_back()
    assert {0} == set(store.kept.values())
    assert [True, True, True, False] == [await asked(mine) for _ in range(4)]
    await mine.counts.share()
    assert not await asked(other) or not await asked(other)


@pytest.mark.gen_test
async def test_what_was_held_during_a_round_and_used_behind_it_is_in_the_next_one(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    mine = quota(store, 3)
    hold = mine.reserve("alice")
    assert hold is not None
    await mine.counts.share()
    hold.use()
    await mine.counts.share()
    assert [1] == list(store.kept.values())


@pytest.mark.gen_test
async def test_no_limit_counts_nothing(store: CountsInMemory) -> None:
    mine = quota(store, 0)
    assert [True] * 50 == [await asked(mine) for _ in range(50)]
    assert (0, []) == (len(mine.counts), store.calls)


@pytest.mark.gen_test
async def test_what_is_over_is_let_go_of(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    clock(0)
    mine = quota(store)
    await asked(mine)
    mine.counts.forget()
    assert 1 == len(mine.counts)  # it is not shared yet
    await mine.counts.share()
    mine.counts.forget()
    assert 0 == len(mine.counts)


@pytest.mark.gen_test
async def test_an_outage_of_hours_fills_no_memory(
    clock: Callable[[float], None],
    store: CountsInMemory,
    expect_log: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expect_log("headrace.usage_counters", "counts are not shared")
    mine, store.fails = quota(store), True
    for minute in range(3):
        clock(60 * minute)
        for user in range(10):
            await asked(mine, f"user {user}")
    await mine.counts.share()
    monkeypatch.setattr(usage_counters, "_IDLE_SECONDS", -1.0)  # nobody has come for long
    mine.counts.forget()
    store.fails = False
    store.calls.clear()
    await mine.counts.share()

    assert (0, []) == (len(mine.counts), store.calls)


@pytest.mark.gen_test
async def test_a_question_that_was_none_gives_its_room_back_in_its_own_minute(
    clock: Callable[[float], None], store: CountsInMemory
) -> None:
    allowance = Allowance(
        answers=9,
        answers_per_user=0,
        requests_per_user=0,
        streams_per_user=0,
        questions_per_minute=2,
        tokens_per_day=0,
        stored_bytes=0,
        prompt_file_bytes=0,
    )
    admission = Admission(store, allowance)
    clock(59)
    slot = await admission.enter("alice")
    clock(60)
    admission.leave(slot)
    for _ in range(2):
        await admission.enter("alice")
    with pytest.raises(TooManyQuestions):
        await admission.enter("alice")
