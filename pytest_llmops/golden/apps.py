"""
Apps that are no Python function: behind a URL, or a command in any language, as `app:` describes them.

Texts of HTTP may contain `{{ input }}`, `{{ session }}` and `${VARIABLE}` of the environment.
The shape is declared in `golden.schema.json`; here is what it means, and what else must hold.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from secrets import token_hex
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from pytest_llmops.detect.mask import mask_secrets
from pytest_llmops.detect.scanner import scan_secrets
from pytest_llmops.documents.values import Place, escaped
from pytest_llmops.errors import AnswerError, AppError, hint
from pytest_llmops.printable import excerpt, printable
from pytest_llmops.recorder.request_settings import is_credential

NAMES = ("input", "messages", "session")
"""What a template may name; `input.KEY` is a part of an input that is a mapping."""

TEXT = "text"
"""In place of a JSONPath: the body itself."""

OPTIONAL = "?"
"""The end of a JSONPath to what an answer may lack."""

_URL = re.compile(r"https?://", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
_HIDDEN = "***"
_SHORTEST_SECRET = 6  # characters; what is shorter may be in any answer
_MODEL = "model"  # the key of a body whose value services repeat in their answers
_AUTHORITY = re.compile(r"(?:https?://)?([^/?#]*)", re.IGNORECASE)
_PLACE = re.compile(r"(?:https?://)?[\w.:\[\]-]+/?", re.IGNORECASE)
_SHOWN = 60

Values = Mapping[str, Any]
Spelling = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The place where a service names its version: a URL, and a JSONPath in its answer, or `text`."""

    url: str
    at: str = TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpApp:
    """
    An app behind a URL.

    Attributes:
        url: May contain templates and variables, as may all texts of `headers` and `body`.
        body: A JSON value or text; None is the default of the method.
        answer: The JSONPath of the text, `text` for a plain body, or empty: read as what a function returns.
        passages: A JSONPath, as `tool_calls` and `tokens`; empty for none.
        session: The JSONPath of the session that a service opens at the first turn; empty if it takes ours.
        stream: How the answer comes in parts; `answer` is then the JSONPath of a part's text.
        ok: Lowest and highest status, for each range of those that are an answer.
        timeout_s: For a complete answer.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    answer: str = ""
    passages: str = ""
    tool_calls: str = ""
    tokens: str = ""
    session: str = ""
    stream: Literal["none", "sse", "jsonl"] = "none"
    ok: tuple[tuple[int, int], ...] = ((200, 299),)
    timeout_s: float = 30.0
    version: Version | None = None

    @property
    def sent(self) -> Any:
        """The body of a request; None for none."""
        if self.body is None and self.method not in {"GET", "DELETE"}:
            return {"input": "{{ input }}", "session": "{{ session }}"}
        return self.body

    @property
    def name(self) -> str:
        """The URL for people and stamps; its variables stay as they are written: a value may be a secret."""
        return show_url(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandApp:
    """
    An app that is a command.

    Attributes:
        command: The program and its arguments, as they are.
        protocol: `jsonl` keeps processes, which answer a line with a line; `argv` and `stdin` have one
            process a case, whose standard output is the answer.
    """

    command: tuple[str, ...]
    protocol: Literal["jsonl", "argv", "stdin"] = "jsonl"

    @property
    def name(self) -> str:
        return str(mask_secrets(printable(f"command: {shlex.join(self.command)} ({self.protocol})")))


AppSpec = str | HttpApp | CommandApp
"""An app as it is named: `module:attribute`, a URL or a command."""


def is_url(written: object) -> bool:
    """Return whether an app is named by the URL of a service alone."""
    return isinstance(written, str) and _URL.match(written) is not None


def read_app(written: str | Mapping[str, Any]) -> AppSpec:
    """Return an app as a golden file, the settings or a flag names it, in which there are no mistakes."""
    if isinstance(written, str):
        return HttpApp(url=written) if is_url(written) else written
    if "command" in written:
        return CommandApp(**{**written, "command": tuple(written["command"])})
    http = dict(written["http"])
    if "ok" in http:
        http["ok"] = read_statuses(http["ok"])
    if "timeout_s" in http:
        http["timeout_s"] = float(http["timeout_s"])
    if "version" in http:
        http["version"] = Version(**http["version"])
    return HttpApp(**http)


def name_app(written: str | Mapping[str, Any]) -> str:
    """Return an app's name for people and stamps: without secrets, and one that has mistakes as it is."""
    try:
        spec = read_app(written)
        return spec if isinstance(spec, str) else spec.name
    except (TypeError, ValueError, LookupError):
        return excerpt(json.dumps(written, default=str))


def read_statuses(written: object) -> tuple[tuple[int, int], ...]:
    """
    Read `200-299`, a status, or a list of these.

    Raises:
        ValueError: It is none of them; statuses go from 100 to 599.
    """
    ranges = []
    for part in written if isinstance(written, list | tuple) and written else [written]:
        match = re.fullmatch(r"\s*([1-5]\d\d)\s*(?:-\s*([1-5]\d\d)\s*)?", str(part))
        if match is None or isinstance(part, bool) or int(match[2] or match[1]) < int(match[1]):
            raise ValueError(part)
        ranges.append((int(match[1]), int(match[2] or match[1])))
    return tuple(ranges)


def show_url(url: str) -> str:
    """Return a URL for people and stamps: without user, password, values of its query and other secrets."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    except ValueError:
        return _HIDDEN
    query = "&".join(f"{name}={_HIDDEN}" for name in names)
    return printable(mask_secrets(urlunsplit((parts.scheme, host, parts.path, query, ""))))


# Mistakes.


def find_app_mistakes(written: Any, environment: Mapping[str, str] | None) -> Iterator[tuple[Place, str]]:
    """
    Yield the mistakes in an app of the right shape, each with its place from the app on.

    Args:
        environment: Whose variables must be set; None where nothing is called.
    """
    if is_url(written):
        written = {"http": {"url": written}}
    if not isinstance(written, Mapping):
        return
    http, command = written.get("http"), written.get("command")
    if "http" in written and "command" in written:
        yield (), "it has both http and command; one app is called: name one of them"
    elif "http" not in written and "command" not in written:
        yield (
            (),
            "it names nothing to call; write http: with a url, command: with a list, or module:attribute",
        )
    if "protocol" in written and "command" not in written:
        yield ("protocol",), "protocol is for a command; an app by http has stream"
    if isinstance(command, list | tuple) and not (command and command[0]):
        yield ("command",), "command is empty; it begins with the program, such as [node, bot.js]"
    if isinstance(http, Mapping):
        for place, mistake in _find_http_mistakes(http, environment):
            yield ("http", *place), mistake


def describe_mistake(place: Place, mistake: str) -> str:
    """Return a mistake with the keys that lead to it: `app: http: body: a template is not closed …`."""
    keys = [escaped(step) for step in place if isinstance(step, str)]
    if keys and mistake.startswith(f"{keys[-1]} "):
        keys.pop()
    return ": ".join([*keys, mistake])


def _find_http_mistakes(
    http: Mapping[str, Any], environment: Mapping[str, str] | None
) -> Iterator[tuple[Place, str]]:
    version = http.get("version")
    urls: list[tuple[Place, Any]] = [(("url",), http.get("url"))]
    if isinstance(version, Mapping):
        urls.append((("version", "url"), version.get("url")))
    for place, url in urls:
        if isinstance(url, str) and url:
            yield from ((place, mistake) for mistake in _find_url_mistakes(url, environment))
    if isinstance(headers := http.get("headers"), Mapping):
        for name, value in headers.items():
            for mistake in _find_header_mistakes(name, value, environment):
                yield ("headers", name), mistake
    body, method = http.get("body"), http.get("method", "POST")
    for place, text in _texts(body):
        yield from ((("body", *place), mistake) for mistake in _find_text_mistakes(text, environment))
    if method == "GET" and body is not None and not isinstance(body, Mapping):
        yield ("body",), "body of a GET must be a mapping, which is sent as the query of the URL"
    yield from _find_answer_mistakes(http, version)


def _find_answer_mistakes(http: Mapping[str, Any], version: Any) -> Iterator[tuple[Place, str]]:
    paths: dict[Place, Any] = {
        (key,): http.get(key) for key in ("answer", "passages", "tool_calls", "tokens", "session")
    }
    if isinstance(version, Mapping):
        paths["version", "at"] = version.get("at")
    for place, path in paths.items():
        if not isinstance(path, str) or not path or (path == TEXT and place[-1] in {"answer", "at"}):
            continue
        if not path.startswith("$"):
            yield place, f"{place[-1]} must be a JSONPath, which begins with $: {excerpt(f'$.{path}')}"
        elif mistake := _find_path_mistake(path):
            yield place, f"{place[-1]} is no JSONPath: {mistake}"
    streams = http.get("stream", "none") != "none"
    if streams and not http.get("answer"):
        yield ("stream",), "stream needs answer: the JSONPath of a part's text, or text where a part is text"
    elif http.get("session") and (streams or http.get("answer") == TEXT):
        remedy = "an answer in one piece; leave out stream" if streams else "JSON; answer: text has none"
        yield ("session",), f"session is read of {remedy}"
    if "ok" in http:
        try:
            read_statuses(http["ok"])
        except ValueError as error:
            shown = excerpt(str(error))
            yield ("ok",), f"ok must be a status or a range such as 200-299, or a list of these, not {shown}"


def _find_url_mistakes(url: str, environment: Mapping[str, str] | None) -> Iterator[str]:
    yield from _find_text_mistakes(url, environment)
    plain = _VARIABLE.sub("x", _TEMPLATE.sub("x", url))
    if not _URL.match(plain) and not url.startswith("${"):
        yield f"url must begin with http:// or https://, not {excerpt(mask_secrets(url))}"
        return
    try:
        parts = urlsplit(plain if _URL.match(plain) else f"http://{plain}")
        has_host, _ = bool(parts.hostname), parts.port
    except ValueError:
        has_host = False
    if not has_host:
        yield "url is no URL; it begins as http://127.0.0.1:8000/chat"
        return
    written = urlsplit(url if _URL.match(url) else f"http://{url}")
    user = written.netloc.rpartition("@")[0]
    pairs = parse_qsl(written.query, keep_blank_values=True)
    secret = next((name for name, value in pairs if is_credential(name, value) and _is_literal(value)), "")
    if (user and _is_literal(user)) or secret or scan_secrets(plain):
        where = f"the value of {printable(secret, _SHOWN)}" if secret else "user, password or key"
        yield (
            f"url contains a secret ({where}), and anybody reads golden files; write ${{NAME}} in its "
            "place, and set that variable of the environment"
        )


def _is_literal(value: str) -> bool:
    """Return whether a text contains more than variables, templates and signs between them."""
    return re.search(r"\w", _VARIABLE.sub("", _TEMPLATE.sub("", value))) is not None


def _find_header_mistakes(name: str, value: object, environment: Mapping[str, str] | None) -> Iterator[str]:
    if not _HEADER_NAME.fullmatch(name):
        yield "this is no name of a header"
    elif not isinstance(value, str):
        yield "it must be text; write the value in quotes"
    elif re.search(r"[\r\n\0]", value):
        yield "it has more than one line"
    else:
        yield from _find_text_mistakes(value, environment)
        literal = _VARIABLE.sub("", _TEMPLATE.sub("", value))
        bare = re.sub(r"^\s*(?:bearer|basic|token|digest)\b", "", literal, flags=re.IGNORECASE)
        is_secret = carries_secret(name, bare) and _is_literal(bare)
        if is_secret or scan_secrets(literal, label=f"{name}: "):
            yield (
                "the value is a secret, and anybody reads golden files; write ${NAME} in its place, and set "
                "that variable of the environment"
            )


def carries_secret(header: str, value: str | None = None) -> bool:
    """Return whether the value of a header is there to be a secret; see `is_credential`."""
    return header.lower() in _SECRET_HEADERS or is_credential(header, value)


def _find_text_mistakes(text: str, environment: Mapping[str, str] | None) -> Iterator[str]:
    for match in _TEMPLATE.finditer(text):
        name, _, _ = match[1].partition(".")
        if name not in NAMES or (match[1] != name and name != "input"):
            known = ", ".join(f"{{{{ {known} }}}}" for known in NAMES)
            near = hint(match[1], NAMES)
            yield f"no template is named {excerpt(match[1])}.{near} Known: {known}, {{{{ input.KEY }}}}"
    if text.count("{{") != len(_TEMPLATE.findall(text)):
        yield f"a template is not closed in {excerpt(text)}; write {{{{ input }}}}"
    for name in _VARIABLE.findall(text):
        if not _VARIABLE_NAME.fullmatch(name):
            yield f"{excerpt(name)} is no name of an environment variable; write ${{NAME}}"
        elif environment is not None and name not in environment:
            yield f"the environment variable {name} is not set.{hint(name, environment)}"


def _texts(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Yield the texts of a JSON value, its keys too, with their places."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from ((place, text) for _, text in _texts(key))
            yield from _texts(part, (*place, key))
    elif isinstance(value, list | tuple):
        for at, part in enumerate(value):
            yield from _texts(part, (*place, at))


# JSONPaths.


def _find_path_mistake(path: str) -> str:
    """Describe what is wrong in a JSONPath; nothing where the library that reads it is not installed."""
    try:
        parse_path(path)
    except AppError as error:
        return str(error)
    except ImportError:
        return ""
    return ""


@lru_cache(maxsize=256)
def parse_path(path: str) -> Any:
    """
    Parse a JSONPath, which may end in `?`.

    Raises:
        AppError: It is none.
        ImportError: `jsonpath-ng` is not installed.
    """
    from jsonpath_ng.exceptions import JSONPathError
    from jsonpath_ng.ext import parse

    try:
        return parse(path.removesuffix(OPTIONAL))
    except JSONPathError as error:
        raise AppError(f"{excerpt(path)}: {printable(str(error), 120)}") from None
    except Exception:  # noqa: BLE001 - of a library that reads texts of users
        raise AppError(f"{excerpt(path)} cannot be read") from None


# Filling.


def expand(text: str, environment: Mapping[str, str]) -> str:
    """
    Put variables of the environment into a text.

    Raises:
        AnswerError: A variable is not set.
    """

    def find(match: re.Match[str]) -> str:
        value = environment.get(match[1])
        if value is None:
            raise AnswerError(f"the environment variable {match[1]} is not set any more")
        return value

    return _VARIABLE.sub(find, text)


def list_values(question: Any, session: str) -> Values:
    """
    Return what templates stand for.

    Args:
        question: The input of a case; or the messages of a conversation, whose last one is then the input.
        session: Of the conversation; empty for a new one.
    """
    is_conversation = isinstance(question, list) and bool(question) and all(map(_is_message, question))
    return {
        "input": question[-1]["content"] if is_conversation and session else question,
        "messages": question if is_conversation else [{"role": "user", "content": question}],
        "session": session or token_hex(16),
    }


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and {"role", "content"} <= value.keys()


def list_templates(spec: HttpApp) -> set[str]:
    """Return the names of the templates in the requests to an app."""
    texts = [spec.url, *(text for part in (spec.headers, spec.sent) for _, text in _texts(part))]
    return {match.partition(".")[0] for text in texts for match in _TEMPLATE.findall(text)}


def fill(value: Any, values: Values, environment: Mapping[str, str], spelling: Spelling = str) -> Any:
    """
    Return a JSON value with its templates and variables filled.

    A text that is one template alone becomes the value, of whatever type. In a longer text a value that is
    no text is written as JSON. Templates and variables in what is filled in are left as they are.

    Args:
        spelling: Escapes a value for a longer text.

    Raises:
        AnswerError: A variable is not set, or the input has no such part.
    """
    if isinstance(value, Mapping):
        return {
            str(fill(key, values, environment)): fill(part, values, environment, spelling)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [fill(part, values, environment, spelling) for part in value]
    if not isinstance(value, str):
        return value
    if (match := _TEMPLATE.fullmatch(value)) and value.count("{{") == 1:
        return _look_up(match[1], values)
    parts, at = [], 0
    for match in _TEMPLATE.finditer(value):
        found = _look_up(match[1], values)
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        parts += [expand(value[at : match.start()], environment), spelling(text)]
        at = match.end()
    return "".join([*parts, expand(value[at:], environment)])


def fill_url(url: str, values: Values, environment: Mapping[str, str]) -> str:
    """Return a URL with templates and variables filled; values of templates are escaped."""
    filled = fill(f"{url} ", values, environment, lambda text: quote(text, safe=""))  # never a template alone
    return str(filled).strip()


def _look_up(name: str, values: Values) -> Any:
    first, *steps = name.split(".")
    found = values[first]
    for step in steps:
        if not isinstance(found, Mapping):
            raise AnswerError(f"{{{{ {name} }}}}: the case's input is no mapping, so it has no {step!r}")
        if step not in found:
            raise AnswerError(
                f"{{{{ {name} }}}}: the case's input has no {printable(step, _SHOWN)!r}."
                f"{hint(step, map(str, found))}"
            )
        found = found[step]
    return found


def find_secrets(spec: HttpApp, environment: Mapping[str, str]) -> dict[str, str]:
    """
    Return the variables that requests to an app send, with their values, the longest first.

    Values that are short, that only say where the service is, or that name its model are none that are
    secret.
    """
    names: set[str] = set()
    for url in (spec.url, spec.version.url if spec.version else ""):
        found = _AUTHORITY.match(url)
        host = found[1].rpartition("@")[2] if found else ""
        places = {
            name for name in _VARIABLE.findall(host) if _PLACE.fullmatch(environment.get(name, "").strip())
        }
        names.update(_VARIABLE.findall(url.replace(host, "", 1)), set(_VARIABLE.findall(host)) - places)
    texts = [text for _, text in _texts(spec.headers)]
    texts += [text for place, text in _texts(spec.sent) if place[-1:] != (_MODEL,)]
    names.update(name for text in texts for name in _VARIABLE.findall(text))
    values = {name: environment.get(name, "").strip() for name in names}
    secrets = {name: value for name, value in values.items() if len(value) >= _SHORTEST_SECRET}
    return dict(sorted(secrets.items(), key=lambda pair: (-len(pair[1]), pair[0])))


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """Return a text with the names of secrets in place of their values, however these are escaped."""
    for name, value in secrets.items():
        for spelt in _spellings(value):
            text = text.replace(spelt, f"${{{name}}}")
    return text


def find_secret(value: Any, secrets: Mapping[str, str]) -> str:
    """Return the name of a secret whose value is in a text of a JSON value, or is a number there."""
    texts = [text for _, text in _texts(value)]
    numbers = set(_numbers(value))
    return next(
        (
            name
            for name, secret in secrets.items()
            if secret in numbers or any(spelt in text for spelt in _spellings(secret) for text in texts)
        ),
        "",
    )


def _spellings(value: str) -> list[str]:
    """Return a text as it is, and as URLs and JSON escape it."""
    return list(dict.fromkeys((value, quote(value), quote(value, safe=""), json.dumps(value)[1:-1])))


def _numbers(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(part)
    elif isinstance(value, int | float):
        yield str(value)
