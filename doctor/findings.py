"""The findings of the doctor, and their text."""

from enum import StrEnum
from typing import NamedTuple


class Mark(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    LOOK = "look"  # it works, and may not be what the operator intended
    WRONG = "wrong"  # the server would not start, or not serve


class Finding(NamedTuple):
    """One finding: its subject, what was found, and what to do about it."""

    mark: Mark
    about: str
    words: str
    remedy: str = ""


def ok(about: str, words: str) -> Finding:
    """A finding of something that is in order."""
    return Finding(Mark.OK, about, words)


def look(about: str, words: str, remedy: str) -> Finding:
    """A finding that the operator should look at."""
    return Finding(Mark.LOOK, about, words, remedy)


def wrong(about: str, words: str, remedy: str) -> Finding:
    """A finding that keeps the server from starting or from serving."""
    return Finding(Mark.WRONG, about, words, remedy)


def as_text(finding: Finding) -> str:
    """The finding as one line, and a second one with its remedy."""
    line = f"{finding.mark:5}  {finding.about}: {finding.words}"
    return line + (f"\n       -> {finding.remedy}" if finding.remedy else "")


def summary(findings: list[Finding]) -> str:
    """How many things are wrong, in one line."""
    count = sum(finding.mark is Mark.WRONG for finding in findings)
    if count == 0:
        return "Nothing is wrong."
    return "1 thing is wrong." if count == 1 else f"{count} things are wrong."
