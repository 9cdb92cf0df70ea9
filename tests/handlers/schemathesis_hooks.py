"""What no schema can say, for the conformance tests: schemathesis loads this as its hooks.

A request may be as the document has it and yet name a model, an answer or a cursor that there is
not: then it is refused for what it means. By these codes and no others; any other refusal of what
the document allows stays a failure.
"""

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

_MEANINGS = {
    "idempotency_key_reused": 422,
    "invalid_cursor": 400,
    "invalid_file": 400,
    "too_many_files": 413,
    "unknown_model": 400,
    "unknown_parent": 400,
    "unknown_tool_call": 400,
    "unsupported_content": 400,
    "unsupported_file_type": 400,
    "unsupported_parameter": 400,
}
# What fields mean only together. Parts of a question may be empty, and not all of them.
_TOGETHER = (
    "The question is empty.",
    # Of `useChat`'s messages.
    "Expected either `messages` or `message`.",
    "The last message has the role `system`.",
    "A file has no `url`. Send a data: URI or an https address.",
    "Expected an https address, not http; or send the content as a data: URI.",
    "Expected an address of at most 2,048 characters; or send the content as a data: URI.",
    "Expected an https address in ASCII, without a space or a password; or send the content as a "
    "data: URI.",
    "The last message asks nothing: it has to have text, files, or the results of all tools that "
    "its last step called.",
    "`tool_choice` and `parallel_tool_calls` need `tools`.",
    "`tool_choice` names none of the `tools`.",
    "Two `tools` have the same name.",
    "`tool_choice` needs `tools`.",
    "`input` has to end with a message of the user, or with the outputs of function calls.",
    "The query has to have `runId`, to join a run, or `threadId`, to get a thread.",
    "The last of the messages has to be a user's or a tool's, and not empty.",
)
# The same of the fields of one part, whose place in the question is at the end of the message.
_TOGETHER_IN_PART = (
    "Expected either `url` or `source` - at ",
    "Expected either `url`, perhaps with `name`, or `file` - at ",
)


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    if not isinstance(failure, RejectedPositiveData):
        return True
    if codes := response.headers.get("headrace-error"):  # whose message is the whole body
        [code], message = codes, response.text
    else:
        error = response.json()["error"]
        code, message = error["code"], error["message"]
    # AG-UI's messages and Responses' input items are objects of any form in the document.
    if message.endswith(", of `messages`.") or " - at `input[" in message:
        return False
    # Further fields of a chat completion go on to the provider, which may not know them.
    if code == "provider_bad_request" and case.path == "/v1/chat/completions":
        return False
    meant = _MEANINGS.get(code) == response.status_code
    return not (meant or message in _TOGETHER or message.startswith(_TOGETHER_IN_PART))
