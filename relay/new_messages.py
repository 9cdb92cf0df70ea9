"""What a question adds to the store: the question, its answer, perhaps a new conversation."""

from model.messages import Conversation, Message, Role, Status, now
from model.prompt import Prompt
from model.random_ids import random_id
from relay.ask_request import AskRequest
from relay.usage import estimate


def new_conversation(request: AskRequest) -> Conversation:
    """The conversation for a question that names none, or one that does not exist yet."""
    begun = now()
    return Conversation(
        id=request.conversation_id or random_id(),
        user=request.user,
        model=request.model,
        system=request.system if request.keeps_system else None,
        created_at=begun,
        updated_at=begun,
    )


def new_messages(
    request: AskRequest,
    conversation_id: str,
    parent_id: str | None,
    model: str,
    prompt: Prompt,
    process: str,
) -> tuple[Message | None, Message]:
    """The question, unless it is stored already, and its answer before the first token."""
    asked = now()
    question = None
    if request.question_id is None:
        question = Message(
            id=_message_id(conversation_id),
            conversation_id=conversation_id,
            user=request.user,
            role=Role.USER,
            parent_id=parent_id,
            blocks=request.blocks,
            created_at=asked,
            ended_at=asked,
        )
    answer = Message(
        id=_message_id(conversation_id),
        conversation_id=conversation_id,
        user=request.user,
        role=Role.ASSISTANT,
        parent_id=request.question_id if question is None else question.id,
        model=model,
        status=Status.LIVE,
        usage=estimate(prompt, ()),  # an estimate, in case this process dies
        client=request.client,
        owner=process,
        created_at=asked,
    )
    return question, answer


def _message_id(conversation_id: str) -> str:
    """A message id. It begins with the conversation's id, which tells the shard that has the
    message.
    """
    return f"{conversation_id}-{random_id()}"
