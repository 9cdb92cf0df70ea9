"""What the relay refuses, and how an answer fails for a reason of our own.

RelayError
├── UnknownModel
├── ModelNotAllowed      who asks may have others only
├── UnknownParent        what the question goes on from is no answer of its conversation
├── KeyReused            the idempotency key was used for another question
├── QuestionTooLong      past `limits.max_question_chars`
├── StorageQuotaExceeded ... or the user keeps as much as `limits.kept_bytes_per_user` allows
├── UnsupportedContent   the question carries what the model cannot take
├── Upgrading            ... or what an older process, which shares the store, cannot read
├── RetryLater               a limit is reached; `retry_after` says how long that lasts
│   ├── Overloaded       this process has as many answers as it may
│   ├── TooManyAnswers   the user has
│   ├── TooManyQuestions the user asked as many this minute as they may
│   ├── TooManyRequests  the user has as many under way as they may
│   ├── TooManyStreams   ... or open
│   ├── TooMuchUnread    the user reads too little of what they asked for
│   ├── TooManyStops     ... or had as many answers stopped at other processes
│   ├── TooManyChanges   ... or made and changed as many conversations
│   └── TokenBudgetSpent the user's answers cost as much today as they may
├── ShuttingDown
├── AnswerElsewhere            another process has the answer, and this one no longer follows it
├── StorageUnavailable   what was to be kept is not, or nobody knows
├── AnswerTooLong        the answer outgrew its bound; its reader holds what fits
├── LeaseLost            others took this process for dead and ended its answer
└── InternalError        a bug of ours
"""

from typing import ClassVar


class RelayError(Exception):
    """Base of the relay's own errors. `code` is what clients match on; it is never reworded."""

    code: ClassVar[str] = "relay_error"
    words: ClassVar[str] = "The server could not do this."

    def __init__(self) -> None:
        super().__init__(self.words)


class UnknownModel(RelayError):
    """The model names no configured provider."""

    code = "unknown_model"
    words = "There is no such model here; GET /api/v1/models lists them."


class ModelNotAllowed(RelayError):
    """The model is none of those that the asker's key or token is for."""

    code = "model_not_allowed"
    words = "Your key is not for this model; GET /api/v1/models lists those it is for."


class UnknownParent(RelayError):
    """The question is to go on from what is no answer of its conversation."""

    code = "unknown_parent"
    words = "parent_id names no answer of this conversation."


class AnswerTooLong(RelayError):
    """The answer grew past `relay.max_answer_chars`."""

    code = "answer_too_long"
    words = "The answer grew longer than this server allows."


class KeyReused(RelayError):
    """The idempotency key stands for a question that is not this one."""

    code = "idempotency_key_reused"
    words = "This Idempotency-Key was used for another question."


class QuestionTooLong(RelayError):
    """The question and its system prompt are longer than `limits.max_question_chars`."""

    code = "question_too_long"
    words = "The question, with its system prompt, is longer than this server allows."


class StorageQuotaExceeded(RelayError):
    """With what is to be stored the user would keep more than `limits.kept_bytes_per_user`."""

    code = "storage_quota_exceeded"
    words = "You keep as much here as you may. Delete a conversation to make room."


class UnsupportedContent(RelayError):
    """The question carries a kind of content that its target cannot take."""

    code = "unsupported_content"
    words = "This model cannot be asked with such content."


class Upgrading(RelayError):
    """A process of an earlier version runs beside this one, and could not read the question."""

    code = "upgrading"
    words = "The server is being upgraded, and takes such content in a moment. Try again shortly."


class RetryLater(RelayError):
    """A limit is reached. It is worth asking again in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class Overloaded(RetryLater):
    """This process writes as many answers as it may: `limits.answers`."""

    code = "overloaded"
    words = "The server has as much to do as it can. Try again shortly."


class TooManyAnswers(RetryLater):
    """As many of the user's answers are live here as may be: `limits.answers_per_user`."""

    code = "too_many_answers"
    words = "Too many of your answers are still being written. Wait for one of them, or stop one."


class TooManyQuestions(RetryLater):
    """The user asked `limits.questions_per_minute` within this minute."""

    code = "too_many_questions"
    words = "You asked too many questions within this minute."


class TooManyRequests(RetryLater):
    """As many of the user's requests are being answered here as may be."""

    code = "too_many_requests"
    words = "Too many of your requests are being answered. Wait for one of them."


class TooManyStreams(RetryLater):
    """The user has `limits.streams_per_user` open here."""

    code = "too_many_streams"
    words = "You read too many answers at a time. Close one of the streams."


class TooMuchUnread(RetryLater):
    """The user's part of `limits.max_unsent_bytes` is held for them, and they do not read it."""

    code = "too_much_unread"
    words = "Too much of what you asked for has not been read yet. Read it, or hang up."


class TooManyStops(RetryLater):
    """As many answers of other processes are being stopped from here as may be."""

    code = "too_many_stops"
    words = "Too many answers are being stopped. Wait until some have ended."


class TooManyChanges(RetryLater):
    """The user made or changed `limits.questions_per_minute` conversations within this minute."""

    code = "too_many_changes"
    words = "You made or changed too many conversations within this minute."


class TokenBudgetSpent(RetryLater):
    """The user's answers took `limits.tokens_per_day` today."""

    code = "token_budget_spent"
    words = "Your tokens for today are spent."


class AnswerElsewhere(RelayError):
    """Another process has the answer, and this one stopped following it."""

    code = "answer_elsewhere"
    words = "Another process has this answer. Ask for it again."


class ShuttingDown(RelayError):
    """The server is going away and takes no more questions."""

    code = "shutting_down"
    words = "The server is shutting down. Try again shortly."


class StorageUnavailable(RelayError):
    """The store did not acknowledge, for longer than it may take."""

    code = "storage_unavailable"
    words = "The server cannot store conversations just now. Try again shortly."


class LeaseLost(RelayError):
    """The answer was ended by another process while this one still streamed it."""

    code = "lease_lost"
    words = "The server lost track of this answer. What is stored may be shorter."


class InternalError(RelayError):
    """Something that should not happen; the log has the traceback."""

    code = "internal_error"
    words = "The server failed. That is a bug."


def forget_frames(error: BaseException | None) -> None:
    """Let go of what was at hand where it was raised, once nobody will look at that.

    A frame that waited for a task holds it, the task holds the error, and the error the frame: with
    all of a question in it, until a collector comes. Hundreds of refused ones were hundreds of MB.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
