"""`GET /models`: the models to choose from."""

from handlers.base import BaseHandler
from handlers.response_bodies import List, ModelEntry


class ModelsHandler(BaseHandler):
    """`GET /models`: the models that the operator lists and the credentials permit."""

    def get(self) -> None:
        """Write the models, the default first."""
        models = self.services.models
        entries: list[ModelEntry] = []
        for name in models.names(self.allowed):
            source, model = models.resolve(name, self.allowed)
            kinds = sorted(source.input_kinds(model))
            entries.append(ModelEntry(name, not entries, tuple(kinds), source.options))
        self.write_json(List(entries, None))


routes = [(r"/api/v1/models", ModelsHandler)]
