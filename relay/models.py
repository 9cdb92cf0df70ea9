"""The configured models: `<provider>/<the provider's own name of the model>`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from model.prompt import Prompt
from providers.sink import Sink
from relay.errors import ModelNotAllowed, UnknownModel
from relay.model_access import AllowedModels, allowed_choices, is_allowed


class Source(Protocol):
    """Where answers come from: a provider, or something that chooses among several."""

    name: str
    models: tuple[str, ...]
    options: tuple[str, ...]  # the options of a prompt that it can express
    # The kinds of blocks that its answers may have, besides those of the first version.
    output_kinds: frozenset[str]
    # Whether fields of OpenAI's chat completions that this server does not know may go on to it.
    takes_chat_fields: bool
    # Where in its `extra` go the fields of OpenAI's own that it has, by their paths in Responses.
    openai_fields: Mapping[str, str]

    def check(self, prompt: Prompt) -> None:
        """Raises UnsupportedOption or UnsupportedPart if it cannot express what `prompt` asks."""

    def input_kinds(self, model: str) -> frozenset[str]:
        """What questions to a model may carry besides text, by `model.blocks.input_kind`."""

    async def answer(
        self, prompt: Prompt, *, may_send: Awaitable[None], on_sent: Callable[[], None], sink: Sink
    ) -> None:
        """Ask, pass the answer to `sink`, and return when it is finished. See `Provider`."""

    async def close(self) -> None:
        """Stop its background work."""


class Models:
    """The configured sources by name, and the default model."""

    def __init__(self, sources: Mapping[str, Source], default: str) -> None:
        self._default = default
        self._sources = dict(sources)

    def resolve(self, name: str, allowed: AllowedModels = None) -> tuple[Source, str]:
        """The source that `name` begins with, and the source's own name of the model.

        Any model of a configured provider will do: providers add models faster than operators edit
        settings. Raises UnknownModel, and ModelNotAllowed unless it is `allowed`.
        """
        if not is_allowed(name, allowed):
            raise ModelNotAllowed
        source_name, _, model = name.partition("/")
        source = self._sources.get(source_name)
        if source is None or not model:
            raise UnknownModel
        return source, model

    def default_for(self, allowed: AllowedModels) -> str:
        """The model of questions that name none: the default, else the first that is permitted.

        Raises ModelNotAllowed if none is.
        """
        names = self.names(allowed)
        if not names:
            raise ModelNotAllowed
        return names[0]

    def names(self, allowed: AllowedModels = None) -> list[str]:
        """The listed models, the default first."""
        listed = [f"{name}/{model}" for name, s in self._sources.items() for model in s.models]
        chosen = allowed_choices(dict.fromkeys([self._default, *listed]), allowed)
        return [name for name in chosen if name.partition("/")[0] in self._sources]

    async def close(self) -> None:
        """Close the sources."""
        for source in self._sources.values():
            await source.close()
