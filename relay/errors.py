"""The errors of the relay: why a question is refused, and why an answer fails without a provider.

RelayError
├── UnknownModel         no such model
├── ModelNotAllowed      the user's key or token does not permit the model
├── UnknownParent        `parent_id` is not an answer of the conversation
├── UnknownToolCall      a tool result answers no open call of the parent answer
├── MissingToolResults   results of some open calls of the parent answer, and not of all
├── KeyReused            the idempotency key was used for another question
├── QuestionTooLong      the question exceeds `limits.max_question_chars`
├── ToolLoopTooLong      the question with its tool loop exceeds what is sent of it
├── StorageQuotaExceeded the user would store more than `limits.kept_bytes_per_user`
├── UnsupportedContent   the model cannot take the question's content
├── UnsupportedParameter the model's provider cannot express an option
├── IdBeingDeleted       what a deleted conversation of the chosen id had is still there
├── Upgrading            a process of an older version could not read the question's content
├── RetryLater           a limit is reached; `retry_after` says for how long
│   ├── Overloaded           this process is at capacity
│   └── UserLimitReached     one user's limit, which the message names
│       ├── TooManyAnswers   live answers
│       ├── TooManyQuestions questions within the minute
│       ├── TooManyRequests  requests in progress
│       ├── TooManyStreams   open streams
│       ├── TooManyFileBytes bytes of files in the prompts of live answers
│       ├── TooMuchUnread    bytes of responses that the user does not read
│       ├── TooManyStops     answers of other processes that are being stopped
│       ├── TooManyChanges   conversations that were created or changed within the minute
│       └── TokenBudgetSpent tokens of answers within the day
├── ShuttingDown         this process takes no more questions
├── AnswerElsewhere      another process has the answer, and this one no longer follows it
├── StorageUnavailable   the store did not confirm what was to be stored
├── AnswerTooLong        the answer exceeds `relay.max_answer_chars`
├── LeaseLost            another process declared this one dead and ended its answer
└── InternalError        a bug of the server
"""

from typing import ClassVar, Final

# The kinds of `model.blocks.input_kind`, in words.
_PARTS: Final = {
    "image": "an image",
    "image_url": "the address of an image",
    "file": "a file",
    "file_url": "the address of a file",
    "tool_result": "the result of a tool call",
}


class RelayError(Exception):
    """Base of the relay's errors.

    `code` is what clients match on; it is never reworded. `words` is the message for people, with
    the values in it that the error is raised with.
    """

    code: ClassVar[str] = "relay_error"
    words: ClassVar[str] = "The server could not handle this request."

    def __init__(self, **values: int | str) -> None:
        super().__init__(self.words.format(**values))


class UnknownModel(RelayError):
    """The model names no configured provider."""

    code = "unknown_model"
    words = "This server has no such model. GET /api/v1/models lists those it has."


class ModelNotAllowed(RelayError):
    """The user's key or token is for other models."""

    code = "model_not_allowed"
    words = (
        "Your key or token does not permit this model. GET /api/v1/models lists those it permits."
    )


class UnknownParent(RelayError):
    """`parent_id` is not the id of an answer of the question's conversation."""

    code = "unknown_parent"
    words = (
        "parent_id is not the id of an answer of this conversation. Send the id of one, or null "
        "for a first question."
    )


class UnknownToolCall(RelayError):
    """A result's id is not that of an open tool call of the answer that the question follows."""

    code = "unknown_tool_call"
    words = (
        "A tool result has the id of no open tool call. Send one result for each tool call of the "
        "answer that the question follows; an answer that was cut off has no open calls."
    )


class MissingToolResults(RelayError):
    """The question has results of some open tool calls of its parent answer, and not of all."""

    code = "missing_tool_results"
    words = (
        "Results of some tool calls are missing. Send one result for each tool call of the answer "
        "that the question follows, with `is_error` if a call failed."
    )


class AnswerTooLong(RelayError):
    """The answer grew past `relay.max_answer_chars`."""

    code = "answer_too_long"
    words = (
        "The answer reached this server's limit (relay.max_answer_chars). What was generated up "
        "to there is stored."
    )


class KeyReused(RelayError):
    """The idempotency key was used for another question."""

    code = "idempotency_key_reused"
    words = "This Idempotency-Key was used for another question. Send this one with a new key."


class QuestionTooLong(RelayError):
    """The question and its system prompt are longer than `limits.max_question_chars`."""

    code = "question_too_long"
    words = (
        "The question, its system prompt and its tools are longer than {limit:,} characters "
        "(limits.max_question_chars). Shorten them."
    )

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit)


class ToolLoopTooLong(RelayError):
    """The tool loop that the question continues cannot be sent as a whole."""

    code = "tool_loop_too_long"
    words = (
        "The question, its tool calls and their results are longer than {chars:,} characters "
        "(limits.max_question_chars), or are more than {messages:,} messages "
        "(context.max_messages). Ask a new question without tool results."
    )

    def __init__(self, *, chars: int, messages: int) -> None:
        super().__init__(chars=chars, messages=messages)


class StorageQuotaExceeded(RelayError):
    """With what is to be stored the user would exceed `limits.kept_bytes_per_user`."""

    code = "storage_quota_exceeded"
    words = (
        "This would exceed your storage quota of {limit:,} bytes (limits.kept_bytes_per_user). "
        "Delete conversations to make room."
    )

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit)


class UnsupportedContent(RelayError):
    """The question has a part of a kind that its model cannot take."""

    code = "unsupported_content"
    words = "The model {model} cannot be asked with {part}. Choose another model, or ask without."

    def __init__(self, *, model: str, kind: str) -> None:
        super().__init__(model=model, part=_PARTS.get(kind, kind))


class UnsupportedParameter(RelayError):
    """The question sets an option that its model's provider cannot express."""

    code = "unsupported_parameter"
    words = (
        "This model cannot be asked with the given `{name}`. Leave it out, or choose another model."
    )

    def __init__(self, *, name: str) -> None:
        super().__init__(name=name)
        self.name = name


class Upgrading(RelayError):
    """A process of an older version runs beside this one and could not read the question."""

    code = "upgrading"
    words = (
        "The server is being upgraded, and its older processes cannot read content of this kind. "
        "Try again in a few seconds."
    )


class IdBeingDeleted(RelayError):
    """A client chose the id of a conversation that was deleted and is not removed to its end."""

    code = "conversation_being_deleted"
    words = (
        "The conversation that had this id was deleted, and what it had is still being removed. "
        "Try again in a few seconds."
    )


class RetryLater(RelayError):
    """A limit is reached. The request may succeed after `retry_after` seconds."""

    def __init__(self, retry_after: int, **values: int) -> None:
        super().__init__(retry_after=retry_after, **values)
        self.retry_after = retry_after


class Overloaded(RetryLater):
    """This process is at capacity, for example with `limits.answers` live answers."""

    code = "overloaded"
    words = "The server is at capacity. Try again in {retry_after} s."


class UserLimitReached(RetryLater):
    """Base of the limits that each user has. `limit` is how much a user may have."""

    def __init__(self, retry_after: int, limit: int) -> None:
        super().__init__(retry_after, limit=limit)


class TooManyAnswers(UserLimitReached):
    """`limits.answers_per_user` answers of the user are live in this process."""

    code = "too_many_answers"
    words = (
        "{limit:,} of your answers are being generated, the most at a time "
        "(limits.answers_per_user). Stop one, or try again in {retry_after} s."
    )


class TooManyQuestions(UserLimitReached):
    """The user asked `limits.questions_per_minute` questions within this minute."""

    code = "too_many_questions"
    words = (
        "You asked {limit:,} questions within this minute, the most allowed "
        "(limits.questions_per_minute). Try again in {retry_after} s."
    )


class TooManyRequests(UserLimitReached):
    """`limits.requests_per_user` requests of the user are in progress in this process."""

    code = "too_many_requests"
    words = (
        "{limit:,} of your requests are in progress, the most at a time "
        "(limits.requests_per_user). Try again in {retry_after} s."
    )


class TooManyStreams(UserLimitReached):
    """The user has `limits.streams_per_user` streams open in this process."""

    code = "too_many_streams"
    words = (
        "{limit:,} of your streams are open, the most at a time (limits.streams_per_user). Close "
        "one, or try again in {retry_after} s."
    )


class TooMuchUnread(UserLimitReached):
    """The user does not read responses that fill their share of `limits.max_unsent_bytes`."""

    code = "too_much_unread"
    words = (
        "With this, more than {limit:,} bytes of responses would wait to be read by you, which is "
        "your share of limits.max_unsent_bytes. Read them or close their connections, then try "
        "again."
    )


class TooManyFileBytes(UserLimitReached):
    """The user's live answers have files that fill their share of
    `limits.max_file_bodies_bytes`.
    """

    code = "too_many_file_bytes"
    words = (
        "With this, the files of your answers that are being generated would have more than "
        "{limit:,} bytes, which is your share of limits.max_file_bodies_bytes. Stop one, or try "
        "again in {retry_after} s."
    )


class TooManyStops(UserLimitReached):
    """As many answers of other processes are being stopped from here as allowed."""

    code = "too_many_stops"
    words = (
        "{limit:,} answers at other processes are being stopped, the most at a time. Try again in "
        "{retry_after} s."
    )


class TooManyChanges(UserLimitReached):
    """The user created or changed `limits.questions_per_minute` conversations this minute."""

    code = "too_many_changes"
    words = (
        "You created or changed conversations {limit:,} times within this minute, the most "
        "allowed (limits.questions_per_minute; long texts count several times). Try again in "
        "{retry_after} s."
    )


class TokenBudgetSpent(UserLimitReached):
    """The user's answers took `limits.tokens_per_day` tokens today."""

    code = "token_budget_spent"
    words = (
        "Your answers used the {limit:,} tokens allowed per day (limits.tokens_per_day). The next "
        "day begins at midnight UTC, in {retry_after} s."
    )


class AnswerElsewhere(RelayError):
    """Another process has the answer, and this one stopped following it."""

    code = "answer_elsewhere"
    words = (
        "Another process generates this answer, and this one can no longer follow it. Request it "
        "again."
    )


class ShuttingDown(RelayError):
    """This process is shutting down and takes no more questions."""

    code = "shutting_down"
    words = "The server is shutting down. Try again in a few seconds."


class StorageUnavailable(RelayError):
    """The store did not confirm a write within the time that it may take."""

    code = "storage_unavailable"
    words = "The store did not confirm in time that this is stored. Try again in a few seconds."


class LeaseLost(RelayError):
    """Another process ended the answer while this one still generated it."""

    code = "lease_lost"
    words = (
        "The server lost its lease on this answer, and another process ended it. What is stored "
        "may be shorter than what you received."
    )


class InternalError(RelayError):
    """An error that only a bug explains; the log has the traceback."""

    code = "internal_error"
    words = "The server failed because of a bug. Its log has the details under the request's id."


def clear_traceback(error: BaseException | None) -> None:
    """Drop the tracebacks of `error` and its causes, so that their frames are freed.

    A frame that awaited a task refers to it, the task to the error, and the error to the frame: the
    cycle keeps a whole question in memory until the garbage collector runs. With hundreds of
    refused questions that was hundreds of MB.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
