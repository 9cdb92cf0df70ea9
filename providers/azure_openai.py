"""OpenAI's chat completions at Azure: other paths, another header for the key.

Read in the code of openai 3.54.0 (`AzureOpenAI`). `base_url` is what Azure calls the endpoint, such
as `https://NAME.openai.azure.com`: requests go to the deployment that has the model's name, with
the API's version in the query. An address that ends in `/openai/v1` is that of the newer API, whose
paths are OpenAI's.
"""

from typing import Final
from urllib.parse import quote, urlsplit

from model.prompt import Prompt
from presets import USUAL, Switches
from providers.dialect import OutgoingRequest
from providers.openai import OpenAI

# The last version that Azure has released without "preview" in its name. It is the first of those
# to know `stream_options` and `max_completion_tokens`.
_API_VERSION: Final = "2024-10-21"


class AzureOpenAI(OpenAI):
    """Chat completions of a resource at Azure; the model is the name of a deployment."""

    def __init__(
        self, base_url: str, switches: Switches = USUAL, api_version: str | None = None
    ) -> None:
        super().__init__(base_url, switches, server="azure-openai")
        self._is_v1 = urlsplit(base_url).path.endswith("/v1")
        # Only the newer API knows the field that turns the padding off.
        self._server = self._server._replace(pads_tokens=self._is_v1)
        version = api_version or (None if self._is_v1 else _API_VERSION)
        self._query = f"?api-version={version}" if version else ""
        self._root = f"{base_url.removesuffix('/openai')}/openai/deployments"

    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build OpenAI's request, and address it to the deployment."""
        request = super().request(prompt, None)
        headers = {**request.headers, "api-key": credential} if credential else request.headers
        url = request.url
        if not self._is_v1:
            url = f"{self._root}/{quote(prompt.model, safe='')}/chat/completions"
        return OutgoingRequest(url + self._query, headers, request.body)
