"""`GET /models`: the models to choose from."""

from handlers.base import BaseHandler
from handlers.response_bodies import List, ModelEntry


class ModelsHandler(BaseHandler):
    """`GET /models`: the models that the operator lists and the credentials permit."""

    def get(self) -> None:
        """Write the models, the default first."""
        names = self.services.models.names(self.allowed)
        entries = [ModelEntry(name, default=name == names[0]) for name in names]
        self.write_json(List(entries, None))


routes = [(r"/api/v1/models", ModelsHandler)]
