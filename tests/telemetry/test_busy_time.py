"""Whoever computes is busy, and whoever waits for a CPU is as well."""

import threading
import time
from pathlib import Path

import pytest

from telemetry import busy_time
from telemetry.busy_time import busy_seconds


def _compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_computing_counts() -> None:
    before = busy_seconds()

    _compute(0.1)

    assert busy_seconds() - before >= 0.095


def test_what_other_threads_computed_does_not() -> None:
    figures = []
    other = threading.Thread(target=lambda: figures.append(busy_seconds()))
    _compute(0.1)

    other.start()
    other.join()

    assert figures[0] < busy_seconds()


def test_it_is_cpu_time_where_the_kernel_does_not_say_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(busy_time, "_SCHEDULED", tmp_path / "missing")

    before, seconds, after = time.thread_time(), busy_seconds(), time.thread_time()

    assert before <= seconds <= after
