"""A question's way through `Asker.ask`, in order, until the request is sent to the provider.

A question whose idempotency key was used before seldom comes here: `IdempotentAsks` finds the
answer that was started then, without admission or any other check. Only if that answer's question
was never sent is it asked here, like any other.

Checks come first, so that a refused question is neither stored nor sent. Connecting to the provider
begins before question and answer are stored, and the request is sent when the store has confirmed
them: so durability takes little time, and the operator is never billed for a question that was not
stored.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

import msgspec

from model.blocks import later_kinds, stored_file_bytes
from model.messages import Conversation, Message, Role
from model.prompt import FileContent, Prompt
from providers.errors import UnsupportedOption, UnsupportedPart
from relay.admission import Admission, Slot
from relay.answer import Answer
from relay.ask_request import AskRequest, Caller
from relay.checkpoints import Checkpoints
from relay.context import History, history
from relay.deletion_sweep import DeletionSweep
from relay.delta_intake import DeltaIntake
from relay.ending_writer import EndingWriter
from relay.endings import disconnected_before_sending, never_sent
from relay.errors import (
    IdBeingDeleted,
    QuestionTooLong,
    ShuttingDown,
    StorageUnavailable,
    UnknownParent,
    UnsupportedContent,
    UnsupportedParameter,
    Upgrading,
)
from relay.finishing import Finisher
from relay.generation import Generation
from relay.limits import Limits
from relay.live_answers import LiveAnswers
from relay.models import Models, Source
from relay.new_messages import new_conversation, new_messages
from relay.orphans import Orphans
from relay.pacing import Pacer
from relay.prompt_files import PromptFiles, base64_bytes
from relay.question_files import QuestionFiles
from relay.reader_timeout import ReaderTimeout, UnreadAnswers
from relay.timeline import Timeline
from relay.titles import title_of
from relay.tool_loop import calls_in, check_results
from relay.upstream_call import UpstreamCall
from storage.contract import Storage
from storage.errors import BeingDeleted, Busy, KeyTaken, NotFound
from storage.sizes import conversation_bytes, messages_bytes
from storage.values import IdempotencyKey

# The errors after which nothing of a question is stored.
_NOT_STORED = (NotFound, Busy, KeyTaken, IdBeingDeleted)

_NO_FILES: Mapping[str, FileContent] = {}


class Asker:
    """Starts the answers to questions."""

    def __init__(
        self,
        storage: Storage,
        models: Models,
        limits: Limits,
        *,
        admission: Admission,
        live: LiveAnswers,
        unread: UnreadAnswers,
        checkpoints: Checkpoints,
        orphans: Orphans,
        ending_writer: EndingWriter,
        finisher: Finisher,
        pacer: Pacer,
        prompt_files: PromptFiles,
        deletion_sweep: DeletionSweep,
    ) -> None:
        self._storage = storage
        self._models = models
        self._limits = limits
        self._admission = admission
        self._live = live
        self._unread = unread
        self._checkpoints = checkpoints
        self._orphans = orphans
        self._ending_writer = ending_writer
        self._finisher = finisher
        self._pacer = pacer
        self._prompt_files = prompt_files
        self._deletion_sweep = deletion_sweep
        self._is_closed = False

    def close(self) -> None:
        """Take no more questions."""
        self._is_closed = True

    async def ask(
        self,
        request: AskRequest,
        replaced: Answer | None = None,
        *,
        key_from: str | None = None,
        with_key: bool = True,
    ) -> Answer:
        """Store the question and start its answer.

        `replaced` is an earlier answer whose question was stored but never sent: the new answer is
        stored beside it, and the idempotency key refers to the new one from now on. `key_from` is
        the answer to another question that the key may refer to so far. Raises what `Relay.ask`
        says, and KeyTaken; nothing was sent to the provider then.
        """
        slot = await self._admission.enter(request.user)
        try:
            placed = await self._placed(request, replaced)
            conversation, new = await self._conversation(placed)
            chars = request.chars_in(conversation)
            if chars + request.option_chars > self._limits.max_question_chars:
                raise QuestionTooLong(self._limits.max_question_chars)
            if request.client_chars > self._limits.max_question_chars:  # it may repeat the tools
                raise QuestionTooLong(self._limits.max_question_chars)
            model = request.model or conversation.model or self._models.default_for(request.allowed)
            source, source_model = self._models.resolve(model, request.allowed)
            unreadable = await self._check_readable(request, source)
            past = await self._history(
                placed, conversation, model, source, chars, is_new=new is not None
            )
            contents = await self._contents(request, past, slot)
            prompt = request.prompt(source_model, conversation, past.turns, contents)
            try:
                source.check(request.alone_in(prompt) if past.has_files else prompt)
            except UnsupportedOption as error:
                raise UnsupportedParameter(name=error.name) from None
            except UnsupportedPart as error:
                raise UnsupportedContent(model=model, kind=error.kind) from None
            question, live = new_messages(
                placed, conversation.id, past.parent_id, model, prompt, self._storage.process
            )
            files = QuestionFiles(question, request.files) if request.files else None
            if files is not None:
                question = files.question
            if request.store:
                await self._admission.make_room(slot, _stored_bytes(question, live, new))
            if self._is_closed:  # from here on, closing the asker also ends the answer
                raise ShuttingDown
            generation = self._connect(
                request, live, prompt, source, slot, keeps_data="data" not in unreadable
            )
            try:
                if request.store:
                    if files is not None:
                        await files.store(self._storage)
                    key = request.stored_key(live) if with_key else None
                    replaces = key_from if replaced is None else replaced.id
                    await self._store(request, question, live, new, key, replaces)
                self._begin(generation, is_stored=request.store)
            except BaseException as error:
                self._give_up(generation, error, may_be_stored=request.store)
                if files is not None and isinstance(error, _NOT_STORED):
                    await files.discard(self._storage)
                raise
            return generation.answer
        except BaseException:
            self._admission.leave(slot)
            raise

    async def _placed(self, request: AskRequest, replaced: Answer | None) -> AskRequest:
        """The request, with the question of the answer that it replaces."""
        if replaced is None:
            return request
        return request.regenerating(await self._storage.message(request.user, replaced.question_id))

    async def _conversation(self, request: AskRequest) -> tuple[Conversation, Conversation | None]:
        """Return the conversation, and again if it is a new one that has to be stored.

        Raises NotFound.
        """
        if request.conversation_id is None:
            new = new_conversation(request)
            return new, new
        try:
            stored = await self._storage.conversation(request.user, request.conversation_id)
        except NotFound:
            if not request.creates_conversation:
                raise
            new = new_conversation(request)
            return new, new
        return stored, None

    async def _check_readable(self, request: AskRequest, source: Source) -> frozenset[str]:
        """The kinds of content of the answer that a process beside this one could not read.

        Raises Upgrading if the question has such content. Most questions are text, and need no
        query.
        """
        asked = later_kinds(request.blocks)
        if not request.store or not (asked or source.output_kinds):
            return frozenset()
        unreadable = await self._storage.unreadable(asked | source.output_kinds)
        if asked & unreadable:
            raise Upgrading
        return unreadable

    async def _history(
        self,
        request: AskRequest,
        conversation: Conversation,
        model: str,
        source: Source,
        question_chars: int,
        *,
        is_new: bool,
    ) -> History:
        """The history that the question follows; empty for a first question.

        Raises as `history` does.
        """
        parent_id = request.parent_id
        if request.history is not None:
            last = request.history[-1].blocks if request.history else ()
            check_results(request.tool_results, calls_in(last))
            parent = await self._checked_parent(request, conversation.id)
            return History(parent, request.history)
        if parent_id is None or (parent_id is msgspec.UNSET and is_new):
            if request.parts:
                check_results(request.tool_results, ())
            return History()
        return await history(
            self._storage,
            request,
            conversation.id,
            model=model,
            kinds=source.input_kinds,
            question_chars=question_chars,
            limits=self._limits,
        )

    async def _checked_parent(self, request: AskRequest, conversation_id: str) -> str | None:
        """The answer that the question with a history of its own is stored behind.

        Raises UnknownParent.
        """
        parent_id = request.parent_id
        if not isinstance(parent_id, str):
            return None
        with suppress(NotFound):
            parent = await self._storage.message(request.user, parent_id)
            if (parent.conversation_id, parent.role) == (conversation_id, Role.ASSISTANT):
                return parent_id
        raise UnknownParent

    async def _contents(
        self, request: AskRequest, past: History, slot: Slot
    ) -> Mapping[str, FileContent]:
        """The contents of the images and files of the question and its history, by their ids."""
        if not (request.parts or request.files or past.has_files):
            return _NO_FILES
        blocks = [*request.parts, *(block for turn in past.turns for block in turn.blocks)]
        self._admission.hold_files(slot, base64_bytes(stored_file_bytes(blocks)))
        return await self._prompt_files.load(request.user, blocks, request.files)

    def _connect(
        self,
        request: AskRequest,
        live: Message,
        prompt: Prompt,
        source: Source,
        slot: Slot,
        *,
        keeps_data: bool,
    ) -> Generation:
        """Begin to connect to the provider; nothing of the question is sent yet."""
        answer = Answer.restored(live)
        timeline = Timeline()
        intake = DeltaIntake(
            answer,
            timeline,
            self._pacer,
            max_chars=self._limits.max_answer_chars,
            keeps_data=keeps_data,
        )
        upstream = UpstreamCall(source, prompt, intake, timeline, name=f"upstream {answer.id}")
        generation = Generation(
            answer,
            prompt,
            user=request.user,
            provider=source.name,
            caller=request.caller or Caller(),
            slot=slot,
            timeline=timeline,
            intake=intake,
            upstream=upstream,
            reader_timeout=ReaderTimeout(
                answer, upstream, self._limits.grace_for(request), self._unread
            ),
        )
        self._live.add(generation)
        return generation

    async def _store(
        self,
        request: AskRequest,
        question: Message | None,
        live: Message,
        new: Conversation | None,
        key: IdempotencyKey | None,
        replaces: str | None,
    ) -> None:
        """Store question and answer.

        Neither an orphaned live answer prevents it, nor what is left of a deleted conversation with
        the id that the client chose.
        """
        store = partial(
            self._storage.ask,
            question,
            live,
            title=title_of(request.text if request.parts else request.content),
            new=new,
            key=key,
            replaces=replaces,
            id_is_chosen=request.creates_conversation,
        )
        try:
            await store()
        except Busy:
            if not await self._orphans.end_all():
                raise
            await store()
        except BeingDeleted:
            await self._deletion_sweep.finish(request.user, live.conversation_id)
            try:
                await store()
            except BeingDeleted:  # again, in the meantime
                raise IdBeingDeleted from None

    def _begin(self, generation: Generation, *, is_stored: bool) -> None:
        """Let the request be sent; the answer is saved as it grows, and ends with the call."""
        self._admission.stored(generation.slot)
        generation.is_begun, generation.is_stored = True, is_stored
        generation.upstream.send()
        if is_stored:
            self._checkpoints.add(generation.answer)
        self._finisher.finish_after(generation)

    def _give_up(
        self, generation: Generation, error: BaseException, *, may_be_stored: bool
    ) -> None:
        """Drop a question that was not stored, or whose storing is uncertain."""
        generation.upstream.drop()
        self._checkpoints.discard(generation.answer)
        if may_be_stored and not isinstance(error, _NOT_STORED):
            # If it was stored, its answer must not stay live.
            left = isinstance(error, asyncio.CancelledError)
            ending = disconnected_before_sending() if left else never_sent(StorageUnavailable())
            self._ending_writer.write_if_stored(generation.answer.id, ending)
        self._live.remove(generation)


def _stored_bytes(question: Message | None, live: Message, new: Conversation | None) -> int:
    """The bytes that count of the question and its answer that has not grown yet."""
    size = messages_bytes((live,) if question is None else (question, live))
    return size if new is None else size + conversation_bytes(new)
