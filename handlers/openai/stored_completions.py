"""`/v1/chat/completions` by id and as a list: the answers that were asked for with `store`."""

import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from handlers.openai.answer_deletion import delete_answer
from handlers.openai.base import OpenAIHandler
from handlers.openai.chat_body import ChatMetadata
from handlers.openai.chat_messages import OpenBody
from handlers.openai.chat_placing import PROTOCOL
from handlers.openai.completion import (
    ChatCompletion,
    answer_id_of,
    completion_id,
    stored_completion,
)
from handlers.openai.field_errors import invalid_parameter
from handlers.openai.stored_messages import stored_messages
from model.messages import Message, Role
from relay.answer import Answer
from storage.cursors import answer_cursor
from storage.errors import InvalidCursor, NotFound
from storage.values import ClientAnswers

_LIMIT: Final = 20
_MOST: Final = 100

# Messages of the branch that are shown of one completion.
_MESSAGES: Final = 200

_METADATA: Final = re.compile(r"metadata\[(.{1,64})\]")


class ChangedCompletion(OpenBody, frozen=True):
    """What may be changed of a stored completion."""

    metadata: Annotated[
        ChatMetadata | None, Meta(description="The strings that replace those there are.")
    ]


class DeletedCompletion(msgspec.Struct, frozen=True):
    """What is left of a deleted completion."""

    id: Annotated[str, Meta(description="The completion's id.")]
    object: Annotated[str, Meta(description="Always `chat.completion.deleted`.")]
    deleted: Annotated[bool, Meta(description="Always true.")]


class CompletionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list; the last id leads to the next page as `after`."""

    object: Annotated[str, Meta(description="Always `list`.")] = "list"
    data: Annotated[list[ChatCompletion], Meta(description="The completions, in order.")]
    first_id: Annotated[str | None, Meta(description="The id of the first one.")]
    last_id: Annotated[str | None, Meta(description="The id of the last one.")]
    has_more: Annotated[bool, Meta(description="Whether there is another page.")]


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of a completion; the last id leads to the next page as `after`."""

    object: Annotated[str, Meta(description="Always `list`.")] = "list"
    data: Annotated[
        list[dict[str, Any]], Meta(description="The messages, as requests have them, with ids.")
    ]
    first_id: Annotated[str | None, Meta(description="The id of the first one.")]
    last_id: Annotated[str | None, Meta(description="The id of the last one.")]
    has_more: Annotated[bool, Meta(description="Whether there is another page.")]


class _ListHandler(OpenAIHandler):
    """What lists of OpenAI's API have in common."""

    def limit(self) -> int:
        """The number of items in a page. Raises ApiError 400."""
        given = self.get_query_argument("limit", str(_LIMIT))
        if re.fullmatch(r"[0-9]{1,3}", given) and 1 <= int(given) <= _MOST:
            return int(given)
        raise invalid_parameter("limit", f"a whole number from 1 to {_MOST}")

    def is_descending(self) -> bool:
        """Whether the newest come first. Raises ApiError 400."""
        order = self.get_query_argument("order", "asc")
        if order not in ("asc", "desc"):
            raise invalid_parameter("order", "asc or desc")
        return order == "desc"


class CompletionListHandler(_ListHandler):
    """`GET /v1/chat/completions`; `chat_completions.py` adds the POST of the same path."""

    async def get(self) -> None:
        """Write a page of completions."""
        metadata = {
            match[1]: self.get_query_argument(name)
            for name in self.request.query_arguments
            if (match := _METADATA.fullmatch(name))
        }
        chosen = ClientAnswers(
            protocol=PROTOCOL,
            model=self.get_query_argument("model", None),
            metadata=metadata,
            oldest_first=not self.is_descending(),
        )
        limit, after = self.limit(), self.get_query_argument("after", None)
        async with self.services.relay.unsent_budget.loading(self.user):
            try:
                page = await self.services.storage.answers_of_protocol(
                    self.user,
                    chosen,
                    limit=limit,
                    after=None if after is None else await self._cursor(after),
                )
            except (InvalidCursor, NotFound):
                raise invalid_parameter("after", "the id of a completion") from None
            data = [stored_completion(Answer.restored(message)) for message in page.data]
            self.write_json(
                CompletionPage(
                    data=data,
                    first_id=data[0].id if data else None,
                    last_id=data[-1].id if data else None,
                    has_more=page.next is not None,
                )
            )

    async def _cursor(self, after: str) -> str:
        return answer_cursor(await self.services.storage.message(self.user, answer_id_of(after)))


class StoredCompletionHandler(OpenAIHandler):
    """`/v1/chat/completions/{id}`: one stored completion."""

    async def get(self, given: str) -> None:
        """Write the completion, as far as it is."""
        answer = await self.services.relay.peek(self.user, answer_id_of(given))
        async with self.services.relay.unsent_budget.loading(self.user):
            self.write_json(stored_completion(answer))

    async def post(self, given: str) -> None:
        """Replace the completion's metadata."""
        changed = self.body(ChangedCompletion)
        message = await self.services.relay.change_client_metadata(
            self.user, answer_id_of(given), changed.metadata or {}
        )
        self.write_json(stored_completion(Answer.restored(message)))

    async def delete(self, given: str) -> None:
        """Delete the completion with its conversation, if that has no others."""
        answer_id = answer_id_of(given)
        await delete_answer(self.services, self.user, answer_id)
        deleted = DeletedCompletion(completion_id(answer_id), "chat.completion.deleted", True)
        self.write_json(deleted)


class CompletionMessagesHandler(_ListHandler):
    """`GET /v1/chat/completions/{id}/messages`: the messages that a completion answers."""

    async def get(self, given: str) -> None:
        """Write a page of messages."""
        limit, after, is_descending = (
            self.limit(),
            self.get_query_argument("after", None),
            self.is_descending(),
        )
        async with self.services.relay.unsent_budget.loading(self.user):
            found = [
                each for message in await self._branch(given) for each in stored_messages(message)
            ]
            if is_descending:
                found.reverse()
            start = 0
            if after is not None:
                ids = [each["id"] for each in found]
                if after not in ids:
                    raise invalid_parameter("after", "the id of a message of this completion")
                start = ids.index(after) + 1
            data = found[start : start + limit]
            self.write_json(
                MessagePage(
                    data=data,
                    first_id=data[0]["id"] if data else None,
                    last_id=data[-1]["id"] if data else None,
                    has_more=start + limit < len(found),
                )
            )

    async def _branch(self, given: str) -> list[Message]:
        storage = self.services.storage
        answer = await storage.message(self.user, answer_id_of(given))
        if answer.role != Role.ASSISTANT:
            raise NotFound
        page = await storage.branch(
            self.user, answer.conversation_id, limit=_MESSAGES, last=answer.parent_id
        )
        return list(page.data)


routes = [
    (r"/v1/chat/completions/([^/]+)", StoredCompletionHandler),
    (r"/v1/chat/completions/([^/]+)/messages", CompletionMessagesHandler),
]
