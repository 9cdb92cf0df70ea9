"""The handler of every path below `/v1/` that no route matches."""

from handlers.not_found import NotFoundHandler
from handlers.openai.base import OpenAIHandler


class OpenAINotFoundHandler(OpenAIHandler, NotFoundHandler):
    """Refuses what OpenAI's API has and this server has not, such as embeddings."""


routes = [(r"/v1/.*", OpenAINotFoundHandler)]
