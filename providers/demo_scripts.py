"""What the demo answers: scripts that show what an answer can have in it, chosen by the question.

Their texts are Markdown files in `demo_answers/`, by topic and language. In them `{said}` stands
for what was asked, returned or attached.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

_FOLDER: Final = Path(__file__).resolve().parent / "demo_answers"

# One such character decides: a question in English contains none.
_CHINESE: Final = re.compile(r"[\u3400-\u9fff]")

# The first topic of which a word is in the question, and a text in its language, is answered.
_TOPICS: Final = {
    "sky": re.compile(r"\bsky\b|天空|蓝天", re.IGNORECASE),
    "backpressure": re.compile(r"\bbackpressure\b|背压", re.IGNORECASE),
    "dujiangyan": re.compile(r"都江堰"),
    "prime": re.compile(r"\b2027\b|\bprime\b|质数|素数", re.IGNORECASE),
    "weather": re.compile(r"\bweather\b|天气", re.IGNORECASE),
    "code": re.compile(r"\btoken bucket\b|\bcode\b|\bpython\b|令牌桶|代码", re.IGNORECASE),
    "table": re.compile(r"\btable\b|\bcompare\b|表格|比较", re.IGNORECASE),
}

# Characters that are quoted: a long question would hide the rest of the answer.
_QUOTED_CHARS: Final = 60


class DemoFunction(msgspec.Struct):
    """A function that the model may call."""

    name: str
    parameters: dict[str, Any] = {}


class DemoTool(msgspec.Struct):
    """A tool, of which chat completions have one type."""

    function: DemoFunction


class DemoPart(msgspec.Struct):
    """A part of a message: its text, or the content of an image or a file."""

    type: str
    text: str = ""
    image_url: dict[str, str] = {}
    file: dict[str, str] = {}


class DemoMessage(msgspec.Struct):
    """A message of the history, or the question, which is the last one."""

    role: str
    content: str | list[DemoPart] | None = None

    @property
    def text(self) -> str:
        """What it says."""
        if isinstance(self.content, list):
            return "\n\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""

    @property
    def attachments(self) -> list[str]:
        """The names of its files, and the addresses of its images."""
        parts = self.content if isinstance(self.content, list) else []
        found = [part.file.get("filename") or part.image_url.get("url") for part in parts]
        return [each for each in found if each]


class DemoRequest(msgspec.Struct):
    """A request for a chat completion, as far as the demo reads one: it has nothing to sample."""

    messages: list[DemoMessage]
    model: str = "demo"
    max_tokens: int | None = None
    stop: list[str] = []
    reasoning_effort: str | None = None
    tools: list[DemoTool] = []
    tool_choice: str | dict[str, Any] = "auto"


class DemoCall(NamedTuple):
    """A tool call."""

    name: str
    arguments: str  # JSON


class Script(NamedTuple):
    """An answer: reasoning, then text, then a tool call, as far as it has each."""

    text: str
    reasoning: str = ""
    call: DemoCall | None = None


class Scripts:
    """The scripts, read once."""

    def __init__(self) -> None:
        self._texts = {path.stem: path.read_text("utf-8").strip() for path in _FOLDER.glob("*.md")}

    def answer(self, request: DemoRequest) -> Script:
        """Return the answer to the last message of `request`."""
        last = request.messages[-1] if request.messages else DemoMessage("user")
        asked = next((each for each in reversed(request.messages) if each.role == "user"), last)
        language = "zh" if _CHINESE.search(asked.text) else "en"
        if last.role == "tool":
            return self._filled("result", language, _quoted(last.text))
        if last.attachments:
            return self._filled("attachment", language, _listed(last.attachments, language))
        topic = self._topic_of(last.text, language)
        call = _call(request, topic, "杭州" if language == "zh" else "Hangzhou")
        if call is not None:
            return Script(self._closed("weather", language), call=call)
        if topic is None:
            return self._filled("hello", language, _quoted(last.text))
        reasons = request.reasoning_effort != "none"
        return Script(
            self._closed(topic, language),
            self._texts.get(f"{topic}.{language}.reasoning", "") if reasons else "",
        )

    def _topic_of(self, question: str, language: str) -> str | None:
        return next(
            (
                topic
                for topic, words in _TOPICS.items()
                if f"{topic}.{language}" in self._texts and words.search(question)
            ),
            None,
        )

    def _filled(self, topic: str, language: str, said: str) -> Script:
        return Script(self._closed(topic, language).replace("{said}", said))

    def _closed(self, topic: str, language: str) -> str:
        """Return the text of a topic, and that it is a script."""
        return f"{self._texts[f'{topic}.{language}']}\n\n{self._texts[f'closing.{language}']}"


def _call(request: DemoRequest, topic: str | None, city: str) -> DemoCall | None:
    """The tool call that answers `request`: of a tool that it brings, if it brings any."""
    choice = request.tool_choice
    wants_call = topic == "weather" or choice == "required" or isinstance(choice, dict)
    if not wants_call or choice == "none":
        return None
    if not request.tools:
        return DemoCall("weather", msgspec.json.encode({"city": city}).decode())
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    functions = [tool.function for tool in request.tools]
    function = next((each for each in functions if each.name == named), functions[0])
    properties: dict[str, dict[str, Any]] = function.parameters.get("properties", {})
    arguments = {name: _argument(schema, city) for name, schema in properties.items()}
    return DemoCall(function.name, msgspec.json.encode(arguments).decode())


# What the demo passes for an argument of a type; of others it passes null.
_ARGUMENTS: Final[dict[str, Callable[[str], Any]]] = {
    "string": lambda city: city,
    "integer": lambda _: 1,
    "number": lambda _: 1.5,
    "boolean": lambda _: True,
    "array": lambda _: [],
    "object": lambda _: {},
}


def _argument(schema: dict[str, Any], city: str) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    argument = _ARGUMENTS.get(str(schema.get("type")))
    return None if argument is None else argument(city)


def _quoted(said: str) -> str:
    said = " ".join(said.split())
    return said if len(said) <= _QUOTED_CHARS else said[:_QUOTED_CHARS] + "…"


def _listed(attachments: list[str], language: str) -> str:
    """`attachments` by their names, or by the type in the address of their content."""
    names = [_quoted(re.sub(r"^data:([^;,]*).*", r"\1", each)) for each in attachments]
    return ("、" if language == "zh" else ", ").join(names)
