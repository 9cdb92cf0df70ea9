"""What the doctor found, and how that is told."""

from enum import StrEnum
from typing import NamedTuple


class Mark(StrEnum):
    """How a finding stands."""

    OK = "ok"
    LOOK = "look"  # it may be meant; whoever did not mean it wants to know
    WRONG = "wrong"  # the server would not start, or not serve


class Finding(NamedTuple):
    """One of them: about what, in words, and what to do."""

    mark: Mark
    about: str
    words: str
    remedy: str = ""


def ok(about: str, words: str) -> Finding:
    """As it should be."""
    return Finding(Mark.OK, about, words)


def look(about: str, words: str, remedy: str) -> Finding:
    """Perhaps not as it was meant."""
    return Finding(Mark.LOOK, about, words, remedy)


def wrong(about: str, words: str, remedy: str) -> Finding:
    """In the way of serving."""
    return Finding(Mark.WRONG, about, words, remedy)


def told(finding: Finding) -> str:
    """The finding as lines for people."""
    line = f"{finding.mark:5}  {finding.about}: {finding.words}"
    return line + (f"\n       -> {finding.remedy}" if finding.remedy else "")


def summary(findings: list[Finding]) -> str:
    """All of them, in one line."""
    count = sum(finding.mark is Mark.WRONG for finding in findings)
    if count == 0:
        return "Nothing is wrong."
    return "1 thing is wrong." if count == 1 else f"{count} things are wrong."
