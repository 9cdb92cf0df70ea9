"""Titles end where people see a character end, and with a word if they can."""

import regex
from hypothesis import given
from hypothesis import strategies as st

from relay.titles import shown, title_of

# What shows as one character, and is several code points.
CLUSTERS = [
    "👨‍👩‍👧‍👦",
    "🇩🇪",
    "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
    "👍🏽",
    "❤️‍🔥",
    "1️⃣",
    "e\u0301",
    "x\u0327\u0323",
    "क्षि",
    "నీ",
    "\u1112\u1161\u11ab",
    "กำ",
    "\uff8a\uff9e",
    "\u0600١",
]

# What nobody sees: zero-width, controls, signs of direction, blanks, selectors, fillers, tags.
UNSEEN = [
    *"\0\t\n\r\x1b\x85\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u2000\u200b\u200c\u200d\u200e",
    *"\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\u206f\u2800\u3000\u3164\ufe0e\ufe0f\ufeff\uffa0\ufff9",
    *"\U0001d173\U000e0001\U000e0041\U000e0100\U000e01ef ",
]


def characters(text: str) -> list[str]:
    """As the standard (UAX 29) has them, by a library that shares nothing with ours."""
    return regex.findall(r"\X", text)


def test_a_cut_parts_no_character_wherever_it_falls() -> None:
    for cluster in CLUSTERS:
        assert [cluster] == characters(cluster)
        for ahead in range(40):
            question = "x" * ahead + 30 * cluster

            title = title_of(question)

            assert title is not None
            assert characters(question)[: len(characters(title))] == characters(title)
            assert 40 - len(cluster) < len(title) <= 40


@given(st.lists(st.sampled_from([*CLUSTERS, *"ab你🇫\u200d\u0301"]), max_size=80))
def test_a_title_is_whole_characters_of_its_question(parts: list[str]) -> None:
    line = "".join(parts).lstrip("\u200d")  # which nobody sees at a line's beginning

    title = title_of(line) or ""

    found = characters(line)
    if found and len(found[0]) > 40:
        assert found[0][:40] == title
    else:
        assert found[: len(characters(title))] == characters(title)
    assert len(title) == len(line) if len(line) <= 40 else len(title) <= 40


def test_accents_without_end_make_no_title_without_end() -> None:
    assert "a" + 39 * "\u0301" == title_of("a" + 100_000 * "\u0301")
    assert 40 == len(title_of("\u1100" * 100_000) or "")


def test_a_title_ends_with_a_word_if_that_is_not_too_early() -> None:
    for question, title in (
        (
            "How do I write a parser for server-sent events?",
            "How do I write a parser for server-sent",
        ),
        ("x" * 40 + " more", "x" * 40),
        ("x" * 39 + " more", "x" * 39),
        ("x" * 20 + " " + "y" * 40, "x" * 20),
        ("Die " + "x" * 60, "Die " + "x" * 36),  # a word's end, but hardly anything ahead of it
        ("字" * 60, "字" * 40),
        ("你好 " + "字" * 60, "你好 " + "字" * 37),
        ("字" * 30 + " " + "字" * 60, "字" * 30),
        ("short", "short"),
    ):
        assert title == title_of(question)


def test_a_title_is_one_line_that_reads_in_one_direction() -> None:
    for question, title in (
        ("  one\r\n\n two\tthree\u2028four\x00five  ", "one two three four five"),
        ("\u202eevil\u202c \u2066and\u2069 \u200fgood\u200e", "evil and good"),
        ("\ufeffsoft\xadhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("hid\U000e0041\U000e0042den", "hidden"),
        (CLUSTERS[2] + "!", CLUSTERS[2] + "!"),  # whose tags are its spelling
        ("می\u200cخواهم", "می\u200cخواهم"),  # where a joiner is kept apart by a sign of its own
    ):
        assert title == title_of(question)


def test_a_question_of_which_nothing_can_be_seen_has_no_title() -> None:
    for question in ("", *UNSEEN, "".join(UNSEEN), "\u200b" * 400_000):
        assert title_of(question) is None
        assert shown(question) is None
    assert shown(None) is None


def test_what_can_be_seen_is_found_behind_what_cannot() -> None:
    for seen in ("x", "你", "👍🏽", "\ufffd", "\u0301", "☺️", "\ue000"):
        unseen = "".join(UNSEEN)
        assert seen == title_of(unseen + seen)
        assert unseen + seen == shown(unseen + seen)
