"""Random ids are never returned twice: not in another thread, and not in a child process."""

import os
import re
import threading

from model.random_ids import random_id


def test_ids_are_hexadecimal_digits_and_all_different() -> None:
    ids = [random_id() for _ in range(10_000)]

    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


def test_threads_share_no_id() -> None:
    found: list[list[str]] = [[] for _ in range(8)]

    def fill(ids: list[str]) -> None:
        ids.extend(random_id() for _ in range(5_000))

    threads = [threading.Thread(target=fill, args=(ids,)) for ids in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ids = [each for of_one in found for each in of_one]
    assert 40_000 == len(ids) == len(set(ids))


def test_a_child_process_shares_no_id_with_its_parent() -> None:
    random_id()  # there are more by now
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "".join(random_id() for _ in range(300)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 32 * 300).decode()
    os.close(reading)
    os.close(writing)

    theirs = {told[at : at + 32] for at in range(0, len(told), 32)}
    ours = {random_id() for _ in range(300)}
    assert 300 == len(theirs) == len(ours)
    assert not theirs & ours
