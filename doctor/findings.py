"""The findings of the doctor, and their text."""

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warn"  # it works, and may not be what the operator intended
    WRONG = "wrong"  # the server would not start, or not serve


class Finding(NamedTuple):
    """One finding: its subject, what was found, and what to do about it."""

    severity: Severity
    about: str
    words: str
    hint: str = ""


def ok(about: str, words: str) -> Finding:
    """A finding of something that is in order."""
    return Finding(Severity.OK, about, words)


def warning(about: str, words: str, hint: str) -> Finding:
    """A finding that may not be what the operator intended."""
    return Finding(Severity.WARNING, about, words, hint)


def wrong(about: str, words: str, hint: str) -> Finding:
    """A finding that keeps the server from starting or from serving."""
    return Finding(Severity.WRONG, about, words, hint)


def as_text(finding: Finding) -> str:
    """The finding as one line, and a second one with its hint."""
    line = f"{finding.severity:5}  {finding.about}: {finding.words}"
    return line + (f"\n       -> {finding.hint}" if finding.hint else "")


def summary(findings: list[Finding]) -> str:
    """How many things are wrong, in one line."""
    count = sum(finding.severity is Severity.WRONG for finding in findings)
    if count == 0:
        return "Nothing is wrong."
    return "1 thing is wrong." if count == 1 else f"{count} things are wrong."
