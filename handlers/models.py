"""Which models there are to choose."""

from handlers.base import BaseHandler
from handlers.views import List, ModelEntry


class ModelsHandler(BaseHandler):
    """The models that the operator lists."""

    def get(self) -> None:
        """List them, the default first."""
        models = self.services.models
        entries = [ModelEntry(name, default=name == models.default) for name in models.names()]
        self.write_json(List(entries, None))


routes = [(r"/api/v1/models", ModelsHandler)]
