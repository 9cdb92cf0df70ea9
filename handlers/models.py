"""Which models there are to choose."""

from handlers.base import BaseHandler
from handlers.response_bodies import List, ModelEntry


class ModelsHandler(BaseHandler):
    """The models that the operator lists, as far as they are for who asks."""

    def get(self) -> None:
        """List them, the default first."""
        names = self.services.models.names(self.allowed)
        entries = [ModelEntry(name, default=name == names[0]) for name in names]
        self.write_json(List(entries, None))


routes = [(r"/api/v1/models", ModelsHandler)]
