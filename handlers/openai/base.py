"""The base of the handlers of OpenAI's API: errors and limits as its clients read them."""

from collections.abc import Mapping
from http import HTTPStatus

from handlers.base import BaseHandler
from handlers.errors import ErrorResponse
from handlers.openai.error_body import ErrorBody, error_body, should_retry
from relay.errors import UnknownModel

# How the relay names a field that goes on to the provider as it is.
_EXTRA = "extra."

# The words for questions and for tokens in the names of headers.
_KINDS = ("requests", "tokens")


class OpenAIHandler(BaseHandler):
    """A handler whose errors have OpenAI's form.

    `option_names` are the names in the body of options that the relay calls otherwise.
    """

    option_names: Mapping[str, str] = {}

    def set_limits(self) -> None:
        """Set the headers that tell what is left of the user's limits."""
        if self.principal is None:
            return
        for kind, state in zip(_KINDS, self.services.relay.quotas(self.user), strict=True):
            if state is not None:
                self.set_header(f"x-ratelimit-limit-{kind}", str(state.limit))
                self.set_header(f"x-ratelimit-remaining-{kind}", str(state.remaining))
                self.set_header(f"x-ratelimit-reset-{kind}", f"{state.seconds_left}s")

    def write_refusal(self, error: ErrorResponse) -> None:
        """Write the response that refuses the request."""
        if error.code == UnknownModel.code:  # by which SDKs choose the exception that they raise
            error = error._replace(status=HTTPStatus.NOT_FOUND)
        super().write_refusal(error)

    def refusal(self, error: ErrorResponse) -> ErrorBody:
        """The body of a response that refuses the request."""
        if error.param is not None and error.param.startswith(_EXTRA):
            # The client sent it as a field of the body.
            error = error._replace(
                param=error.param.removeprefix(_EXTRA), message=error.message.replace(_EXTRA, "", 1)
            )
        elif (name := self.option_names.get(error.param or "")) is not None:
            message = error.message.replace(f"`{error.param}`", f"`{name}`", 1)
            error = error._replace(param=name, message=message)
        self.set_limits()
        retry = should_retry(error)
        if retry is not None:
            self.set_header("x-should-retry", "true" if retry else "false")
        return error_body(error, self.request_id)
