"""Titles: a line of a conversation's first question, never cut within a visible character.

A visible character may have many code points: a flag, a family of emoji, a letter with accents, a
syllable of Korean or Hindi. Cut in the middle it shows as another one, or as none. The exact rules
need tables that Python does not have; here it is enough to know where *not* to cut, and one such
place too many costs a title a letter or two.
"""

import re
import unicodedata

# Code points in a title: a line in a list of conversations.
_TITLE_CHARS = 40

# A title ends with a whole word if that leaves at least half of its length. Not all text has
# spaces.
_LEAST_CHARS = 20

# How many characters of a question are examined: it may have a million, and its beginning is
# enough, unless hardly any of it can be seen.
_LOOKED_AT = (3 * _TITLE_CHARS, 100 * _TITLE_CHARS)

_CONTROL = r"\s\x00-\x1f\x7f-\x9f"
# Invisible and without effect on their neighbours: direction marks, word breaks.
_EMPTY = (
    r"\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e001f\U000e0080-\U000e00ff\U000e01f0-\U000e0fff"
)
# Invisible, but they shape their neighbours: joiners, variation selectors, fillers.
_SHAPING = (
    r"\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u200c\u200d\u3164\ufe00-\ufe0f\uffa0"
    r"\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
_BLANK = r"\u2800"  # Braille

_VISIBLE = re.compile(f"[^{_CONTROL}{_EMPTY}{_SHAPING}{_BLANK}]")
_CONTROLS = re.compile(f"[{_CONTROL}]+")
# Tags spell regional flags, such as that of Wales, after a black flag; elsewhere they are
# invisible.
_EMPTIES = re.compile(f"[{_EMPTY}]|(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0020-\U000e007f]+")

_JOINERS = "\u200c\u200d"
_ZWJ = "\u200d"
_EXTENDING = re.compile(r"[\u0e33\u0eb3\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
# Signs that precede what they belong to.
_PREPENDED = re.compile(
    r"[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2\U000111c3"
    r"\U0001193f\U00011941\U00011a3a\U00011a84-\U00011a89\U00011d46\U00011f02]"
)
_LEADING_JAMO = re.compile(r"[\u1100-\u115f\ua960-\ua97c]")
_FOLLOWING_JAMO = re.compile(r"[\u1160-\u11ff\ud7b0-\ud7fb]")
_HANGUL = re.compile(r"[\u1100-\u11ff\ua960-\ua97c\uac00-\ud7fb]")
_VIRAMA = 9  # the combining class of signs that join two consonants


def title_of(question: str) -> str | None:
    """The title of a conversation without one; None if nothing of the question is visible."""
    begin = _VISIBLE.search(question)
    if begin is None:
        return None
    for many in _LOOKED_AT:
        beginning = question[begin.start() : begin.start() + many]
        line = _CONTROLS.sub(" ", _EMPTIES.sub("", beginning))
        if len(line) > _TITLE_CHARS:
            break
    return _cut(line)


def shown(title: str | None) -> str | None:
    """A title as it was given; None if nothing of it is visible."""
    return title if title is not None and _VISIBLE.search(title) else None


def _cut(text: str) -> str:
    end = min(len(text), _TITLE_CHARS)
    if end < len(text):
        while end and _is_within(text, end):
            end -= 1
        end = end or _TITLE_CHARS  # one character longer than a title, with endless accents
        word = text.rfind(" ", _LEAST_CHARS, end + 1)
        if word > 0 and not _is_within(text, word):
            end = word
    return text[:end].rstrip(" ")


def _is_within(text: str, place: int) -> bool:
    """Whether a cut at `place` might split a visible character."""
    before, after = text[place - 1], text[place]
    return (
        _extends(after)
        or before == _ZWJ
        or _PREPENDED.match(before) is not None
        or _parts_hangul(before, after)
        or _parts_a_flag(text, place)
        or (after.isalpha() and _ends_in_virama(text[:place]))
    )


def _extends(char: str) -> bool:
    """Whether it belongs to the preceding character: a mark, a joiner, a skin tone."""
    is_mark = unicodedata.category(char).startswith("M")
    return is_mark or char in _JOINERS or _EXTENDING.match(char) is not None


def _parts_hangul(before: str, after: str) -> bool:
    if _LEADING_JAMO.match(before):
        return _HANGUL.match(after) is not None
    return _FOLLOWING_JAMO.match(after) is not None and _HANGUL.match(before) is not None


def _parts_a_flag(text: str, place: int) -> bool:
    """Whether it is between the two letters of a flag; flags follow each other without spaces."""
    if not _is_regional(text[place]):
        return False
    ahead = 0
    while ahead < place and _is_regional(text[place - 1 - ahead]):
        ahead += 1
    return ahead % 2 == 1


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _ends_in_virama(text: str) -> bool:
    """Whether a following consonant would be joined to the last one."""
    for char in reversed(text):
        if unicodedata.combining(char) == _VIRAMA:
            return True
        if not _extends(char):
            break
    return False
