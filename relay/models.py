"""Which models there are, and whose: `<provider>/<model the provider knows>`."""

from collections.abc import Mapping

from providers.provider import Provider
from relay.errors import UnknownModel


class Models:
    """The configured providers by name, and the model that is asked when none is named."""

    def __init__(self, providers: Mapping[str, Provider], default: str) -> None:
        self.default = default
        self._providers = dict(providers)

    def resolve(self, name: str) -> tuple[Provider, str]:
        """The provider that `name` names, and the model as that provider knows it.

        Any model of a configured provider will do: providers add models faster than operators edit
        settings. Raises UnknownModel.
        """
        provider_name, _, model = name.partition("/")
        provider = self._providers.get(provider_name)
        if provider is None or not model:
            raise UnknownModel
        return provider, model

    def names(self) -> list[str]:
        """The models to choose from, the default first."""
        listed = [f"{name}/{model}" for name, p in self._providers.items() for model in p.models]
        return list(dict.fromkeys([self.default, *listed]))

    async def close(self) -> None:
        """Close the providers."""
        for provider in self._providers.values():
            await provider.close()
