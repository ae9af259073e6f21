"""Tools for what a question brings along: a page of the shop that it links, and a file that was uploaded."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from reference_app.guardrails.injection import scan
from reference_app.safety import RefusedError
from reference_app.settings import MASKED, open_redact
from reference_app.tools.registry import Tool
from reference_app.tracing import trace_guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_app.guardrails.redaction import Redact
    from reference_app.settings import Settings

PAGE, FILE = "product_page", "customer_file"
MAX_TEXT_CHARACTERS = 8000
KINDS = ("text/html", "text/plain")
FOUND = 200
HIDDEN = frozenset({"script", "style", "template", "noscript"})
INLINE = frozenset({"a", "b", "code", "em", "i", "small", "span", "strong", "sub", "sup"})


def attachment_tools(settings: Settings) -> list[Tool]:
    """`product_page` and `customer_file`; a text that gives orders to the model is not handed on."""
    redact = open_redact(settings)

    def screened(read: Callable[[str], str]) -> Callable[[str], dict[str, Any]]:
        def run(name: str) -> dict[str, Any]:
            try:
                text = read(name)[:MAX_TEXT_CHARACTERS].strip()
            except RefusedError as error:
                return {"error": "refused", "reason": str(error)}
            if not text:
                return {"error": "empty"}
            return _screen(text, redact, screening="input" in settings.guards)

        return run

    def read_page(url: str) -> str:
        from reference_app.safety.fetching import fetch

        page = fetch(url, settings.pages)
        kind = page.kind.partition(";")[0].strip().lower()
        if page.status != FOUND or kind not in KINDS:
            raise RefusedError(f"The page is refused: it has the status {page.status}, or is no text.")
        text = page.body.decode("utf-8", "replace")
        return _read_html(text) if kind == KINDS[0] else text

    def read_upload(name: str) -> str:
        from reference_app.safety.files import read_file

        if settings.uploads is None:
            raise RefusedError("The file is refused: there is no folder of uploads.")
        return read_file(settings.uploads, name)

    page, upload = screened(read_page), screened(read_upload)
    return [
        Tool(
            name=PAGE,
            description="The text of a page of the shop.",
            parameters=_describe("url", 2048),
            run=lambda arguments: page(arguments["url"]),
        ),
        Tool(
            name=FILE,
            description="The text of a file that a customer uploaded.",
            parameters=_describe("name", 500),
            run=lambda arguments: upload(arguments["name"]),
        ),
    ]


def cut_text(text: str, question: str, length: int) -> str:
    """The first line, which names columns or a product, and those that share most with the question."""
    from reference_app.documents.words import split_words

    head, *lines = text.splitlines() or [""]
    asked = set(split_words(question))
    shared = [-len(asked & set(split_words(line))) for line in lines]
    kept, left = [], length - len(head)
    for place in sorted(range(len(lines)), key=shared.__getitem__):
        left -= len(lines[place])
        if left < 0:
            break
        kept.append(place)
    return "\n".join([head, *(lines[place] for place in sorted(kept))])


def _screen(text: str, redact: Redact, *, screening: bool) -> dict[str, Any]:
    if screening and (suspicion := scan(text)).flagged:
        trace_guard("input", suspicion.reason, text=text)
        return {"error": "suspicious"}
    if (redacted := redact(text)) != text:
        trace_guard("redaction", MASKED, decision="masked")
    return {"text": redacted}


def _describe(argument: str, length: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {argument: {"type": "string", "minLength": 1, "maxLength": length}},
        "required": [argument],
        "additionalProperties": False,
    }


def _read_html(source: str) -> str:
    """The text a reader sees, one block a line."""
    parser = _Text()
    parser.feed(source)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return "\n".join(filter(None, lines))


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - as called
        self._hidden += tag in HIDDEN
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in HIDDEN))
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data.replace("\n", " "))

    def _break(self, tag: str) -> None:
        if tag not in INLINE:
            self.parts.append("\n")
