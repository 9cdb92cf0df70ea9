"""`/v1/models`: the models that a client of OpenAI's API may choose from."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.errors import ApiError
from handlers.openai.base import OpenAIHandler
from relay.errors import UnknownModel


class OpenAIModel(msgspec.Struct, frozen=True):
    """A model that may be asked."""

    id: Annotated[
        str, Meta(description="The model, as `<provider>/<model>`.", examples=["openai/gpt-4o"])
    ]
    object: Annotated[str, Meta(description="Always `model`.")]
    created: Annotated[int, Meta(description="Always 0: it is not known.")]
    owned_by: Annotated[str, Meta(description="The provider.", examples=["openai"])]

    @classmethod
    def of(cls, name: str) -> "OpenAIModel":
        """The entry of a model."""
        return cls(name, "model", 0, name.partition("/")[0])


class OpenAIModels(msgspec.Struct, frozen=True):
    """All models."""

    object: Annotated[str, Meta(description="Always `list`.")]
    data: Annotated[list[OpenAIModel], Meta(description="The models, the default first.")]


class ModelListHandler(OpenAIHandler):
    """`GET /v1/models`: the models that the operator lists and the credentials permit."""

    def get(self) -> None:
        """Write the models, the default first."""
        names = self.services.models.names(self.allowed)
        self.write_json(OpenAIModels("list", [OpenAIModel.of(name) for name in names]))


class ModelHandler(OpenAIHandler):
    """`GET /v1/models/{id}`: one model, which need not be listed."""

    def get(self, name: str) -> None:
        """Write the model, if it may be asked."""
        try:
            self.services.models.resolve(name, self.allowed)
        except UnknownModel as error:
            raise ApiError(HTTPStatus.NOT_FOUND, error.code, str(error), param="model") from None
        self.write_json(OpenAIModel.of(name))


routes = [
    (r"/v1/models", ModelListHandler),
    # The names of models have slashes in them, which some clients encode and some do not.
    (r"/v1/models/(.+)", ModelHandler),
]
