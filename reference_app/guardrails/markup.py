"""What in a Markdown text leads elsewhere: links, images and HTML, each with where it leads."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from reference_app.guardrails.disguises import clean
from reference_app.safety import RefusedError
from reference_app.safety.urls import is_listed, parse_url

Kind = Literal["link", "image", "html", "code"]

_FENCE = re.compile(
    r"^(?P<fence>```+|~~~+)[^\n]*\n.*?(?:^(?P=fence)[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_SPAN = re.compile(r"(?<!`)(?P<ticks>`+)(?!`)(?:(?!(?P=ticks)).|\n){1,2000}?(?P=ticks)(?!`)")
_INLINE = re.compile(
    r"(?P<image>!?)\[(?:[^\[\]]|\[[^\]]{0,200}\]){0,500}\]\(\s*(?:<(?P<angled>[^>\n]{0,2000})>|(?P<plain>[^)\s]{0,2000}))"
)
_IMAGE = re.compile(r"!\[[^\]]{0,500}\]\([^)]{0,2000}\)")
_DEFINITION = re.compile(
    r"^[ >]{0,6}\[(?P<label>[^\]^][^\]]{0,100})\]:\s*<?(?P<url>\S{0,2000}?)>?(?=\s|$)", re.MULTILINE
)
_IMAGE_LABEL = re.compile(r"!\[(?P<text>[^\]]{0,200})\](?:\[(?P<label>[^\]]{0,100})\])?")
_TAG = re.compile(r"<(?P<closing>/?)(?P<name>[a-zA-Z!?][\w:-]*)(?P<rest>[^<>]*)>?")
_URL = re.compile(
    r"(?<![\w.+-])(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}:/{1,}|(?:javascript|vbscript|blob)\s*:(?=\S)|data:\w+[/;,]|www\.(?=\w))[^\s<>\"'`\])}]*",
    re.IGNORECASE,
)
_BARE_HOST = re.compile(
    r"(?<![\w/:.@-])(?:[\w-]+\.)+(?:com|net|org|io|info|biz|co|dev|app|ru|cn|xyz|top|link|ly|me|site|online|shop|test|example)"
    r"(?::\d+)?[/?][^\s<>\"'`\])}]+",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    r"(?:\b(?:src|href|style|action|formaction|srcset|data|poster|background|ping|xlink:href|http-equiv)|\bon\w+)\s*=",
    re.IGNORECASE,
)
_HREF = re.compile(r"\bhref\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))", re.IGNORECASE)
_RUNNING = frozenset(["script", "iframe", "frame", "frameset", "embed", "applet", "style", "svg"])
_LOADING = frozenset(  # with an attribute; without, as in `click <link>`, they do nothing
    [
        "img",
        "image",
        "object",
        "link",
        "meta",
        "base",
        "form",
        "input",
        "button",
        "textarea",
        "select",
        "video",
        "audio",
        "source",
        "track",
        "picture",
        "body",
        "html",
        "head",
        "template",
        "portal",
        "marquee",
        "isindex",
        "bgsound",
        "math",
        "area",
    ]
)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_LOADS = re.compile(r"url\s*\(|@import", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """
    One place that leads elsewhere.

    Attributes:
        kind: `image` is loaded without a click; `html` runs or loads something; `code` is shown as it is.
        url: Where it leads; empty for HTML.
    """

    kind: Kind
    url: str


def find_markup_fault(text: str, *, link_hosts: Sequence[str], image_hosts: Sequence[str] = ()) -> str:
    """
    Why the text may not be shown as Markdown; empty if it may.

    Relative links and inert tags are fine, as is a URL in code that carries no data.

    Args:
        link_hosts: May be linked; `*.example.org` or `.example.org` stands for all below.
        image_hosts: Images may come from here.
    """
    plain = clean(text)
    for reading in dict.fromkeys((plain, html.unescape(plain))):
        for reference in find_references(reading):
            if reference.kind == "html":
                return "the text contains HTML that loads or runs something"
            if reference.kind == "image" and not _is_allowed(reference.url, image_hosts, images=True):
                return "the text loads an image from a host that is not listed"
            if reference.kind == "link" and not _is_allowed(reference.url, link_hosts):
                return "the text links to a host that is not listed"
            if reference.kind == "code" and _carries_data(reference.url, link_hosts):
                return "the text has a URL with data to a host that is not listed"
    return ""


def find_references(text: str) -> Iterator[Reference]:
    """Everything in the text that leads elsewhere; code is read apart, since nothing in it is followed."""
    prose = text
    for code in reversed(_find_code(text)):
        yield from (Reference(kind="code", url=found[0]) for found in _URL.finditer(code[0]))
        prose = f"{prose[: code.start()]} \n{prose[code.end() :]}"
    images = {(one["label"] or one["text"]).casefold() for one in _IMAGE_LABEL.finditer(prose)}
    for found in _INLINE.finditer(prose):
        url = found["angled"] if found["angled"] is not None else found["plain"]
        yield Reference(kind="image" if found["image"] else "link", url=url)
    for found in _DEFINITION.finditer(prose):
        image = found["label"].casefold() in images
        yield Reference(kind="image" if image else "link", url=found["url"])
    yield from _find_tags(prose)
    for pattern in (_URL, _BARE_HOST):
        for found in pattern.finditer(prose):
            yield Reference(kind="link", url=found[0].rstrip(".,;:!?*_~"))


def remove_references(text: str, *, link_hosts: Sequence[str], removed: str) -> str:
    """The text with `removed` in place of each image, active tag and target that is refused."""
    parts, last = [], 0
    for code in _find_code(text):
        parts += [
            _clean_prose(text[last : code.start()], link_hosts, removed),
            _clean_code(code[0], link_hosts, removed),
        ]
        last = code.end()
    return "".join((*parts, _clean_prose(text[last:], link_hosts, removed)))


def _find_code(text: str) -> list[re.Match[str]]:
    """Fenced blocks, and spans outside them, in order."""
    fences = list(_FENCE.finditer(text))
    inside = [(one.start(), one.end()) for one in fences]
    spans = [
        one
        for one in _SPAN.finditer(text)
        if not any(start < one.end() and one.start() < end for start, end in inside)
    ]
    return sorted((*fences, *spans), key=lambda one: one.start())


def _clean_prose(text: str, hosts: Sequence[str], removed: str) -> str:
    text = _IMAGE.sub(removed, text)
    text = _TAG.sub(
        lambda tag: removed if any(not _passes(one, hosts) for one in _find_tags(tag[0])) else tag[0], text
    )

    def check(link: re.Match[str]) -> str:
        url = link["angled"] if link["angled"] is not None else link["plain"]
        return (
            link[0] if _is_allowed(url, hosts) else link[0][: len(link[0].rpartition("](")[0]) + 2] + removed
        )

    return _INLINE.sub(check, text)


def _clean_code(text: str, hosts: Sequence[str], removed: str) -> str:
    return _URL.sub(lambda url: removed if _carries_data(url[0], hosts) else url[0], text)


def _passes(reference: Reference, hosts: Sequence[str]) -> bool:
    return reference.kind == "link" and _is_allowed(reference.url, hosts)


def _find_tags(text: str) -> Iterator[Reference]:
    for tag in _TAG.finditer(text):
        name, rest = tag["name"].lower(), tag["rest"]
        if _SCHEME.match(name + rest) and not rest.startswith((" ", "\t", "\n")):
            continue  # an autolink such as <https://…>, found as a URL
        if name == "a" and not tag["closing"]:
            yield from (
                Reference(kind="link", url=one[1] or one[2] or one[3] or "") for one in _HREF.finditer(rest)
            )
            if _ATTRIBUTE.search(_HREF.sub("", rest)):
                yield Reference(kind="html", url="")
        elif name in _RUNNING or (name in _LOADING and "=" in rest) or _ATTRIBUTE.search(rest):
            yield Reference(kind="html", url="")
    if _LOADS.search(text) and re.search(r"<\s*style|style\s*=", text, re.IGNORECASE):
        yield Reference(kind="html", url="")


def _is_allowed(url: str, hosts: Sequence[str], *, images: bool = False) -> bool:
    url = url.strip()
    if not url:
        return True
    if url.lower().startswith(("mailto:", "tel:")):
        return "?" not in url and not images
    if url.lower().startswith("www.") or re.match(r"(?:[\w-]+\.)+[a-zA-Z]{2,}(?::\d+)?[/?]", url):
        url = f"https://{url}"
    plain = re.sub(r"[\t\r\n]", "", unquote(url))
    if not _SCHEME.match(plain) and not re.match(r"[/\\]{2}", plain):
        return not images or bool(hosts)  # relative: a page or an image of the site itself
    try:
        target = parse_url(url)
    except RefusedError:
        return False
    listed = [host.lower().removeprefix("*") for host in hosts]
    return is_listed(target.host, listed) and not _leads_on(target.path, listed)


def _leads_on(path: str, listed: Sequence[str]) -> bool:
    """Whether the URL of a listed host sends on to one that is not."""
    for onward in re.findall(r"(?:=|/)((?:https?:)?//[^&;\s]+)", unquote(unquote(path))):
        try:
            if not is_listed(parse_url(onward if onward[0] != "/" else f"https:{onward}").host, listed):
                return True
        except RefusedError:
            return True
    return False


def _carries_data(url: str, hosts: Sequence[str]) -> bool:
    """Whether a URL that is only shown would hand something over if somebody copied it."""
    if _is_allowed(url, hosts):
        return False
    return bool(re.search(r"[?@#]|[A-Za-z0-9+/_=-]{32,}", url.partition("//")[2]))
