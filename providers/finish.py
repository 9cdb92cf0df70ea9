"""Maps a provider's finish word, in any spelling, to a reason.

Known words are in a table. Unknown ones are judged by the words they contain: one with "error" in
it is not taken for success just because it is not listed. Any other unknown word is a proper end in
a server's own terms (`eos_token`), and is logged once.
"""

import re
from collections.abc import Mapping
from typing import Final

from model.messages import FinishReason
from providers.sink import Finish

_KNOWN: Final[Mapping[str, FinishReason]] = {
    **dict.fromkeys(
        (
            *("stop", "eos", "eos_token", "stop_sequence", "stop_word", "end_turn"),  # and others:
            *("normal", "end", "ended", "done", "complete", "completed", "finish", "finished"),
            "is_end",  # Qianfan v1's own mark
        ),
        FinishReason.STOP,
    ),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use"), FinishReason.TOOL_CALLS),
    "function_call": FinishReason.TOOL_CALLS,  # its deprecated form
    # Anthropic stopped to be asked to go on, which nobody does: the answer is cut short.
    "pause_turn": FinishReason.LENGTH,
}

# Parts of unknown words, in order of precedence: an incomplete answer is never taken for a complete
# one, so `content_filter_error` and `MALFORMED_FUNCTION_CALL` are errors; but `max_tokens_exceeded`
# is a length.
_PATTERNS: Final[tuple[tuple[re.Pattern[str], FinishReason], ...]] = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (
            r"error|malformed|fail|abort|cancel|interrupt|exception|time_?d?_?out|unavailable"
            r"|overload|unexpected|throttl|incomplete|unfinished|broken|crash|disconnect|invalid"
            r"|terminated|rate_?limit|quota|repetition|not_?complete",
            FinishReason.ERROR,
        ),
        (
            r"filter|safe|guard|sensitive|prohibit|block|moderat|censor|policy|violat|inspect"
            r"|refus|reject|recitation|spii|harm|risk|flagged|armor|jailbreak|nsfw|(^|_)language",
            FinishReason.CONTENT_FILTER,
        ),
        (
            r"length|max_?(output|new|completion)?_?tokens?|max_?output|token_?limit|context|truncat"
            r"|too_?long|(^|_)limit(_|$)|max_?time",
            FinishReason.LENGTH,
        ),
        (
            r"exceed|exhaust|insufficient|missing|too_?many|deadline|internal|busy|killed|lost"
            r"|connection|network|(^|_)(oom|err)($|_)|memory|panic|evict|preempt|shut_?down|stall"
            r"|partial|cut_?off",
            FinishReason.ERROR,
        ),
        (r"tool|function", FinishReason.TOOL_CALLS),
    )
)

# Words which say that the answer goes on. Qianfan v1's `normal` would be one, but its dialect does
# not use this function.
_UNFINISHED_WORDS: Final = frozenset(
    (
        *("", "null", "none", "nil", "undefined", "false", "0", "unspecified", "in_progress"),
        *("running", "generating", "processing", "streaming", "pending", "continue"),
        *("not_finish", "not_finished"),
    )
)


def finish_of(word: str | None) -> Finish | None:
    """Return the finish mark that `word` stands for, spelled as the provider did; None while the
    answer goes on.
    """
    if word is None or word == "null":  # DashScope sends this on every event
        return None
    spelled = _spelled(word)
    if spelled in _UNFINISHED_WORDS or spelled.endswith("_unspecified"):
        return None
    return Finish(_reason(spelled), word)


def is_known(finish: Finish) -> bool:
    """Whether the word of `finish` is known. If not, it was taken for a proper end."""
    return finish.reason is not FinishReason.STOP or _spelled(finish.word) in _KNOWN


def _reason(spelled: str) -> FinishReason:
    if (known := _KNOWN.get(spelled)) is not None:
        return known
    for pattern, reason in _PATTERNS:
        if pattern.search(spelled):
            return reason
    return FinishReason.STOP


def _spelled(word: str) -> str:
    """Return `word` in lower case, with underscores between its parts."""
    return re.sub(r"[\s.:-]+", "_", word.strip().lower())
