"""Reads the body of a question, which may have megabytes of images and files in it.

A long body is decoded in a thread, and so are the files in it. What is no file has the same bound
as in any other body, in bytes and in what it costs to decode.
"""

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec
from tornado.httputil import HTTPServerRequest

from handlers.attached_files import FileLimits, check_file_count, data_length, take_files
from handlers.file_parts import with_types
from handlers.json_body import body_too_large, read_body
from handlers.request_bodies import Question
from model.blocks import Block
from model.prompt import Turn
from relay.file_threads import FileThreads
from relay.question_files import NewFile

Asked = TypeVar("Asked", bound=Question)
Other = TypeVar("Other")

# Bytes of a body that is decoded in the event loop, in a tenth of a millisecond.
_SHORT = 64 * 1024

# What a body takes to decode depends on its commas, quotation marks and brackets. A longer one may
# have as many as one of the usual length in which every fourth byte is one: no text has that many,
# and base64 has none.
_STRUCTURE = (b",", b'"', b"[", b"{")
_STRUCTURE_PART = 4


def _nothing(_: object) -> int:
    return 0


class QuestionContent(NamedTuple):
    """What is asked: a text, or parts if there is more, and the files that the parts refer to."""

    text: str
    parts: tuple[Block, ...]
    files: tuple[NewFile, ...] = ()


class QuestionReader:
    """Reads questions, with threads for what is long."""

    def __init__(self, threads: FileThreads, limits: FileLimits, *, max_body_bytes: int) -> None:
        self._threads = threads
        self._limits = limits
        self._max_body_bytes = max_body_bytes

    async def read(
        self, request: HTTPServerRequest, kind: type[Asked]
    ) -> tuple[Asked, QuestionContent]:
        """The question in the body, without its content, and its content. Raises ApiError."""
        if len(request.body) <= _SHORT:
            return self._read(request, kind)
        return await self._threads.run(self._read, request, kind)

    async def read_turns(
        self,
        request: HTTPServerRequest,
        kind: type[Other],
        turns_of: Callable[[Other], tuple[Turn, ...]],
        passed_over: Callable[[Other], int] = _nothing,
    ) -> tuple[Other, tuple[Turn, ...], tuple[NewFile, ...]]:
        """The body of another protocol, its turns and the files that the turns refer to.

        `turns_of` returns the turns with the content of images and files as `data:` URIs, and
        `passed_over` the bytes of such content that is in the body and in no turn. Both may run in
        a thread, and raise ApiError. Raises ApiError.
        """
        if len(request.body) <= _SHORT:
            return self._read_turns(request, kind, turns_of, passed_over)
        return await self._threads.run(self._read_turns, request, kind, turns_of, passed_over)

    def _read_turns(
        self,
        request: HTTPServerRequest,
        kind: type[Other],
        turns_of: Callable[[Other], tuple[Turn, ...]],
        passed_over: Callable[[Other], int],
    ) -> tuple[Other, tuple[Turn, ...], tuple[NewFile, ...]]:
        length, most = len(request.body), self._max_body_bytes
        self._check_structure(request.body)
        body = read_body(request, kind)
        turns = turns_of(body)
        blocks = [block for turn in turns for block in turn.blocks]
        without_files = length - sum(map(data_length, blocks))
        if without_files > most and without_files - passed_over(body) > most:
            raise body_too_large(most, "limits.max_body_bytes")
        # The question is the last turn. What clients send before it grows with their conversation.
        check_file_count(turns[-1].blocks if turns else (), self._limits)
        taken, files = take_files(blocks, self._limits)
        if files:
            remaining = iter(taken)
            turns = tuple(
                msgspec.structs.replace(turn, blocks=tuple(islice(remaining, len(turn.blocks))))
                for turn in turns
            )
        return body, turns, files

    def _check_structure(self, body: bytes) -> None:
        most = self._max_body_bytes
        if len(body) > most and sum(map(body.count, _STRUCTURE)) > most // _STRUCTURE_PART:
            raise body_too_large(most, "limits.max_body_bytes")

    def _read(self, request: HTTPServerRequest, kind: type[Asked]) -> tuple[Asked, QuestionContent]:
        length, most = len(request.body), self._max_body_bytes
        self._check_structure(request.body)
        question = read_body(request, kind, change=with_types)
        if length <= most and isinstance(question.content, str) and not question.images:
            return question, QuestionContent(question.content, ())
        text, parts = question.text_and_parts()
        if length - sum(map(data_length, parts)) > most:
            raise body_too_large(most, "limits.max_body_bytes")
        if not parts:
            return question, QuestionContent(text, ())
        check_file_count(parts, self._limits)
        content = QuestionContent(text, *take_files(parts, self._limits))
        # What a file was decoded from is not needed any more.
        return msgspec.structs.replace(question, content="", images=[]), content
