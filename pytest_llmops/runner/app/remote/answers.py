"""Reads the parts of a service's answer by their JSONPaths, and what a line of a command says."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from pytest_llmops.errors import AnswerError, hint
from pytest_llmops.golden.apps import OPTIONAL, HttpApp, parse_path
from pytest_llmops.printable import excerpt, name_some, printable
from pytest_llmops.runner.app.returned import translate

_TEXTS = ("text", "output", "answer", "reply", "response", "message", "content", "final_output")
_FURTHER = ("passages", "tool_calls", "usage", "model")
_IDS = ("id", "source", "document_id", "doc_id", "url", "title", "name")
_PASSAGE_TEXTS = ("text", "content", "page_content", "snippet", "chunk")
_ARGUMENTS = ("arguments", "args", "input", "parameters")
_READ = ("prompt_tokens", "input_tokens")
_WROTE = ("completion_tokens", "output_tokens")
_NAMED = 6
_SHOWN = 60
_RESULTS = ("result", "output")
_TAKEN = object()
"""In place of what a path takes out of an answer."""

Answer = dict[str, Any]
"""As a function may return it: `text`, and where known `passages`, `tool_calls`, `usage` and `model`."""


def parse_json(text: str | bytes) -> Any:
    """
    Parse JSON.

    Raises:
        ValueError: It is none, or contains a number that is none.
    """

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_parts(spec: HttpApp, data: Any) -> Answer:
    """
    Read the answer of a service, a JSON value, by the JSONPaths of its app.

    Raises:
        AnswerError: There is nothing at a path, or something else.
    """
    answer = read_any(data) if not spec.answer else {}
    if spec.passages:
        answer["passages"] = [_passage(found) for found in find(spec.passages, data, "passages")]
    if spec.tool_calls:
        answer["tool_calls"] = [_tool_call(found) for found in find(spec.tool_calls, data, "tool_calls")]
    if spec.tokens and (found := find(spec.tokens, data, "tokens")):
        answer["usage"] = _usage(found[-1])
    if spec.answer:
        answer["text"] = join_texts(find(spec.answer, data, "answer"), calls=bool(answer.get("tool_calls")))
    return answer


def read_any(data: Any) -> Answer:
    """
    Read an answer whose place is not described: what a function may return, or one text by its usual name.

    Raises:
        AnswerError: It is something else.
    """
    if isinstance(data, str):
        return {"text": data}
    if not isinstance(data, Mapping):
        raise AnswerError(f"the answer is {excerpt(data)}; write answer: with the JSONPath of its text")
    further = {name: data[name] for name in _FURTHER if data.get(name) is not None}
    if isinstance(usage := further.get("usage"), Mapping):
        further["usage"] = {"calls": 0, **usage}
    for name in ("text", "output"):
        if isinstance(data.get(name), str):
            return {"text": data[name], **further}
    known = translate(data)
    if isinstance(known, str):
        return {"text": known}
    if known is not data and isinstance(known, Mapping):
        return dict(known)
    texts = [name for name in _TEXTS if isinstance(data.get(name), str)]
    if len(texts) == 1:
        return {"text": data[texts[0]], **further}
    names = _names(data)
    raise AnswerError(
        f"the answer has no text of a known name; it has: {names}. Write answer: with its JSONPath"
    )


def join_texts(found: Sequence[Any], *, calls: bool = False) -> str:
    """
    Return the text of an answer, or of a part of a stream; values that are no text as JSON.

    Args:
        calls: It calls tools, so that it may have no text.
    """
    if found == [None] or not found:
        if calls:
            return ""
        raise AnswerError("the text of the answer is null")
    return "".join(
        part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)
        for part in found
        if part is not None
    )


def find(path: str, data: Any, key: str) -> list[Any]:
    """
    Return what is at a JSONPath.

    An empty list has no items, and null none either. A message of OpenAI's that calls no tool says so by
    leaving them out.

    Raises:
        AnswerError: There is nothing, and the path does not end in `?`.
    """
    parsed = parse_path(path)
    if found := [match.value for match in parsed.find(data)]:
        return found
    if path.endswith(OPTIONAL):
        return []
    holder = parsed
    if _kind(parsed) == "Child" and _kind(parsed.right) in {"Slice", "Filter"}:
        holder = parsed.left
        holders = [match.value for match in holder.find(data)]
        if holders and all(value is None or isinstance(value, list) for value in holders):
            return []
    if key == "tool_calls" and _kind(holder) == "Child":
        messages = [match.value for match in holder.left.find(data)]
        if messages and all(isinstance(message, Mapping) and "role" in message for message in messages):
            return []
    raise AnswerError(f"the answer has nothing at {path} ({key}){_describe_nearest(parsed, data)}")


def read_session(path: str, data: Any) -> str | float | None:
    """
    Return the session that a service opened, a text or number as it is; None where the path may lack it.

    Raises:
        AnswerError: There is none, or it is something else.
    """
    found = [value for value in find(path, data, "session") if value is not None and value != ""]
    if not found and path.endswith(OPTIONAL):
        return None
    if not found:
        raise AnswerError(f"the session of the answer, at {path}, is null or empty")
    session = found[0]
    if isinstance(session, bool) or not isinstance(session, str | int | float):
        raise AnswerError(f"the session at {path} must be a text or a number, not {excerpt(session)}")
    return session


def _kind(parsed: Any) -> str:
    return type(parsed).__name__


def _describe_nearest(parsed: Any, data: Any) -> str:
    """Describe what is at the longest part of a JSONPath at which there is something."""
    step = parsed
    while _kind(step) == "Child":
        wanted, step = step.right, step.left
        if found := [match.value for match in step.find(data)]:
            if not isinstance(found[0], Mapping):
                return f"; {step} is {excerpt(found[0])}"
            near = next((hint(str(name), map(str, found[0])) for name in getattr(wanted, "fields", ())), "")
            return f".{near} It has: {_names(found[0])}" if near else f"; it has: {_names(found[0])}"
    return ""


def _names(mapping: Mapping[Any, Any]) -> str:
    return name_some([printable(str(name), _SHOWN) for name in mapping], _NAMED) or "nothing"


def find_rest(spec: HttpApp, data: Any) -> Any:
    """
    Return what is not read of an answer; None where that is nothing.

    Of the objects at `passages`, `tool_calls` and `tokens` their further fields stay.
    """
    rest = copy.deepcopy(data)
    takes: list[tuple[str, Callable[[dict[str, Any]], None] | None]] = [
        (spec.answer, None),
        (spec.session, None),
        (spec.passages, _take_passage),
        (spec.tool_calls, _take_tool_call),
        (spec.tokens, _take_usage),
    ]
    matches = [(match, take) for path, take in takes if path for match in parse_path(path).find(rest)]
    for match, take in matches:
        if take is not None and isinstance(match.value, dict):
            take(match.value)
        elif match.context is None:
            return None
        else:
            _take_out(match)
    if not spec.answer and isinstance(rest, dict):
        read = next((name for name in ("text", "output") if isinstance(rest.get(name), str)), None)
        rest.pop(read, None)
    rest = _prune(rest)
    return rest if rest not in ({}, [], None, "") and isinstance(rest, dict | list) else None


def _take_out(match: Any) -> None:
    """Mark the place of a value; one that a path computes has none, and is in the rest."""
    holder, path = match.context.value, match.path
    steps = getattr(path, "fields", None) or getattr(path, "indices", None) or (getattr(path, "index", None),)
    step: Any = steps[0]
    known = range(-len(holder), len(holder)) if isinstance(holder, list) else holder
    if isinstance(holder, dict | list) and step in known:
        holder[step] = _TAKEN


def _prune(value: Any) -> Any:
    """Return a value without what was taken out, and without objects and lists of which nothing is left."""
    if isinstance(value, dict):
        parts = {name: _prune(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part is not _TAKEN} or _TAKEN
    if isinstance(value, list):
        return [part for part in map(_prune, value) if part is not _TAKEN] or _TAKEN
    return value


def _named(value: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the first of some names under which there is something."""
    return next((name for name in names if value.get(name) is not None), None)


def _take(value: dict[Any, Any], *names: str | None) -> None:
    for name in names:
        value.pop(name, None)


def _take_passage(value: dict[str, Any]) -> None:
    """Leave what `_passage` does not read."""
    named, metadata = _named(value, _IDS), value.get("metadata")
    if named is None and isinstance(metadata, dict):
        _take(metadata, _named(metadata, _IDS))
    _take(value, named, _named(value, _PASSAGE_TEXTS), "score")


def _take_tool_call(value: dict[str, Any]) -> None:
    """Leave what `_tool_call` does not read."""
    function = value.get("function")
    result = _named(value, _RESULTS)
    call = function if isinstance(function, dict) else value
    _take(call, "name", _named(call, _ARGUMENTS))
    _take(value, "decision", result)


def _take_usage(value: dict[str, Any]) -> None:
    """Leave what `_usage` does not read."""
    _take(value, _named(value, _READ), _named(value, _WROTE), "cost_usd", "calls")


def _first(value: Mapping[str, Any], names: Sequence[str]) -> Any:
    name = _named(value, names)
    return None if name is None else value[name]


def _passage(value: Any) -> Any:
    """Read a text, or an object with an id and a text under one of their usual names."""
    if not isinstance(value, Mapping):
        return value
    metadata = value.get("metadata")
    id_ = _first(value, _IDS)
    if id_ is None and isinstance(metadata, Mapping):
        id_ = _first(metadata, _IDS)
    text = _first(value, _PASSAGE_TEXTS)
    if id_ is None and text is None:
        raise AnswerError(f"a passage has neither an id nor a text; it has: {_names(value)}")
    return {"id": text if id_ is None else id_, "text": text or "", "score": value.get("score")}


def _tool_call(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    function = value.get("function")
    call = function if isinstance(function, Mapping) else value
    if "name" not in call:
        return call  # which is refused by its names
    return {
        "name": call["name"],
        "arguments": _first(call, _ARGUMENTS),
        "decision": value.get("decision"),
        "result": _first(value, _RESULTS),
    }


def _usage(value: Any) -> dict[str, Any]:
    """Read the tokens under the names of OpenAI or Anthropic."""
    if not isinstance(value, Mapping):
        raise AnswerError(
            f"tokens must be an object with prompt_tokens and completion_tokens, not {excerpt(value)}"
        )
    read, wrote = _first(value, _READ), _first(value, _WROTE)
    if read is None or wrote is None:
        raise AnswerError(f"tokens have no prompt_tokens and completion_tokens; they have: {_names(value)}")
    further = {name: value[name] for name in ("cost_usd", "calls") if value.get(name) is not None}
    # No number of calls is made up: nobody here saw any.
    return {"calls": 0, "prompt_tokens": read, "completion_tokens": wrote, **further}


class Parts:
    """
    The answer of a service that comes in parts.

    Attributes:
        text: Of the parts so far.
        rest: What no path takes out of them.
    """

    def __init__(self, spec: HttpApp) -> None:
        """Begin without a part."""
        self._spec = spec
        self._texts: list[str] = []
        self._found: dict[str, list[Any]] = {}
        self._wanted = {"passages": spec.passages, "tool_calls": spec.tool_calls, "tokens": spec.tokens}
        self._last: Any = None
        self._ends: bool | None = None
        self.rest: list[Any] = []

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def add_text(self, text: str) -> None:
        """Add a part that is text."""
        self._texts.append(text)

    def add(self, data: Any) -> None:
        """
        Add a part that is a JSON value.

        Raises:
            AnswerError: It reports an error, or its text is no text.
        """
        found = find(f"{self._spec.answer.removesuffix(OPTIONAL)}{OPTIONAL}", data, "answer")
        texts = [part for part in found if part is not None]
        if isinstance(data, Mapping) and data.get("error") and not texts:
            raise AnswerError(f"the stream reports an error: {printable(data['error'], 200)}")
        if wrong := [part for part in texts if not isinstance(part, str)]:
            raise AnswerError(f"a part has no text at {self._spec.answer}, but {excerpt(wrong[0])}")
        self._texts += texts
        for key, path in self._wanted.items():
            if path and (parts := [value for value in _optional(path, data) if value is not None]):
                before = self._found.get(key, []) if key != "tokens" else []
                if key == "passages":  # of which a service may repeat those of the parts before
                    parts = [value for value in parts if value not in before]
                self._found[key] = [*before, *parts]
        if isinstance(data, Mapping) and data.get("object") == "chat.completion.chunk":
            choices = data.get("choices")
            ends = [choice.get("finish_reason") for choice in choices or () if isinstance(choice, Mapping)]
            self._ends = bool(self._ends or any(ends))
        self._last = data
        if (rest := find_rest(self._spec, data)) is not None and rest not in self.rest[-3:]:
            self.rest.append(rest)

    def finish(self, *, marked: bool, describe: Callable[[], str]) -> Answer:
        """
        Return the answer once the stream has ended.

        Args:
            marked: It ended by `[DONE]`.
            describe: Returns its last part, for messages.

        Raises:
            AnswerError: It ended early, or what a path wants came in no part.
        """
        if self._ends is False and not marked:
            raise AnswerError(
                f"the stream ended early: no part has a finish_reason; the last one: {describe()}"
            )
        if not self._texts and "tool_calls" not in self._found:
            raise AnswerError(
                f"no part of the stream has a text at {self._spec.answer}; the last one: {describe()}"
            )
        answer: Answer = {"text": self.text}
        for key, path in self._wanted.items():
            if path and key not in self._found and not path.endswith(OPTIONAL):
                if key == "tool_calls" and self._ends is not None:
                    continue  # of OpenAI's, which leave out what there is none of
                self._found[key] = find(path, self._last, key)  # raises, or is an empty list
        if "passages" in self._found:
            answer["passages"] = [_passage(value) for value in self._found["passages"]]
        if "tool_calls" in self._found:
            answer["tool_calls"] = [_tool_call(value) for value in self._found["tool_calls"]]
        if self._found.get("tokens"):
            answer["usage"] = _usage(self._found["tokens"][-1])
        return answer


def _optional(path: str, data: Any) -> Iterator[Any]:
    return (match.value for match in parse_path(path).find(data))
