"""What in a Markdown text leads elsewhere: links, images and HTML, each with where it leads."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Literal
from urllib.parse import unquote

from reference_app.guardrails.calls.values import list_words
from reference_app.guardrails.disguises import clean
from reference_app.safety import RefusedError
from reference_app.safety.urls import is_listed, parse_url

Reference = tuple[Literal["link", "image", "html", "code"], str]
"""An image is loaded without a click, HTML runs or loads something, code is shown as it is; and the URL."""

_ENDS = r"[^\s<>\"'`\])}]"
_TOP = r"(?:com|net|org|io|info|biz|co|dev|app|ru|cn|xyz|top|link|ly|me|site|online|shop|test|example)"
URL = re.compile(
    rf"(?<![\w.+-])(?:[a-zA-Z][a-zA-Z0-9+.-]{{1,20}}:/+|(?:javascript|vbscript|blob)\s*:(?=\S)|data:\w+[/;,]"
    rf"|www\.(?=\w)|(?<![/:])//(?=\w)){_ENDS}*|(?<![\w/:.@-])(?:[\w-]+\.)+{_TOP}(?::\d+)?[/?]{_ENDS}+",
    re.IGNORECASE,
)
_SHOWN = re.compile(
    rf"{URL.pattern}|(?<![\w/:.@-])(?:[\w-]+\.)+(?:[a-zA-Z]{{2,24}}(?=[/?:]\w)"
    rf"|(?!test\b|example\b){_TOP}\b(?!\.\w)){_ENDS}*",
    re.IGNORECASE,
)
TAG = re.compile(r"<(?P<closing>/?)(?P<name>[a-zA-Z!?][\w:-]*)(?P<rest>[^<>]*)>?")
_CODE = re.compile(r"(```.*?```|~~~.*?~~~|`[^`\n]+`)", re.DOTALL)
_IMAGE = re.compile(r"!\[[^\]]{0,500}\](?:\([^)]{0,2000}\)?|\[[^\]]{0,100}\])?")
_LINK = re.compile(r"\[(?P<label>[^\]]{0,500})\](?:\([^)]{0,2000}\)?|:\s*\S{1,2000})")
_ATTRIBUTE = re.compile(
    r"(?:\b(?:src|href|style|action|formaction|srcset|data|poster|background|ping|xlink:href|http-equiv)|\bon\w+)\s*=",
    re.IGNORECASE,
)
_HREF = re.compile(r"\bhref\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))", re.IGNORECASE)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


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
        for kind, url in find_references(reading):
            if kind == "html":
                return "the text contains HTML that loads or runs something"
            if kind == "image" and not _is_allowed(url, image_hosts, images=True):
                return "the text loads an image from a host that is not listed"
            if kind == "link" and not _is_allowed(url, link_hosts):
                return "the text links to a host that is not listed"
            if kind == "code" and _carries_data(url, link_hosts):
                return "the text has a URL with data to a host that is not listed"
    return ""


def find_references(text: str) -> Iterator[Reference]:
    """Everything in the text that leads elsewhere; code is read apart, since nothing in it is followed."""
    from markdown_it import MarkdownIt

    known: dict[str, dict[str, dict[str, str]]] = {}
    blocks = MarkdownIt("commonmark").parse(text, known)
    for token in (part for block in blocks for part in (block, *(block.children or ()))):
        if token.type == "image":
            yield "image", str(token.attrs["src"])
        elif token.type == "link_open":
            yield "link", str(token.attrs["href"])
        elif token.type in ("fence", "code_block", "code_inline"):
            yield from (("code", match[0]) for match in URL.finditer(token.content))
        elif token.type in ("text", "html_inline", "html_block"):
            yield from find_tags(token.content)
            yield from (("link", match[0].rstrip(".,;:!?*_~")) for match in URL.finditer(token.content))
    yield from (("link", definition["href"]) for definition in known.get("references", {}).values())


def find_tags(text: str) -> Iterator[Reference]:
    """Links and active parts of HTML."""
    for tag in TAG.finditer(text):
        name, rest = tag["name"].lower(), tag["rest"]
        if _SCHEME.match(name + rest) and not rest.startswith((" ", "\t", "\n")):
            continue  # an autolink such as <https://…>, found as a URL
        if name == "a" and not tag["closing"]:
            yield from (("link", href[1] or href[2] or href[3] or "") for href in _HREF.finditer(rest))
            rest = _HREF.sub("", rest)
        if (
            name in list_words("running")
            or (name in list_words("loading") and "=" in rest)
            or _ATTRIBUTE.search(rest)
        ):
            yield "html", ""


def remove_references(text: str, *, link_hosts: Sequence[str], removed: str) -> str:
    """The text with `removed` in place of each image, active tag and link target that is refused."""
    parts = _CODE.split(text)
    for place, part in enumerate(parts):
        clean_part = _clean_code if place % 2 else _clean_prose
        parts[place] = clean_part(part, link_hosts, removed)
    return "".join(parts)


def _clean_code(text: str, hosts: Sequence[str], removed: str) -> str:
    return URL.sub(lambda url: removed if _carries_data(url[0], hosts) else url[0], text)


def _clean_prose(text: str, hosts: Sequence[str], removed: str) -> str:
    def clean_link(link: re.Match[str]) -> str:
        return f"{link['label']} {removed}" if find_markup_fault(link[0], link_hosts=hosts) else link[0]

    def clean_url(match: re.Match[str]) -> str:
        url = match[0].rstrip(".,;:!?")
        plain = url if _SCHEME.match(url) and "/" in url else f"https://{url.lstrip('/')}"
        return match[0] if _is_allowed(plain, hosts) else removed + match[0][len(url) :]

    text = TAG.sub(lambda tag: removed if _is_refused(find_tags(tag[0]), hosts) else tag[0], text)
    return _SHOWN.sub(clean_url, _LINK.sub(clean_link, _IMAGE.sub(removed, text)))


def _is_refused(references: Iterator[Reference], hosts: Sequence[str]) -> bool:
    return any(kind != "link" or not _is_allowed(url, hosts) for kind, url in references)


def _is_allowed(url: str, hosts: Sequence[str], *, images: bool = False) -> bool:
    url = url.strip()
    if not url:
        return True
    if url.lower().startswith(("mailto:", "tel:")):
        return "?" not in url and not images
    if url.lower().startswith("www.") or re.match(r"(?:[\w-]+\.)+[a-zA-Z]{2,}(?::\d+)?[/?]", url):
        url = f"https://{url}"
    plain = re.sub(r"[\t\r\n]", "", unquote(url))
    if not _SCHEME.match(plain) and not re.match(r"[/\\]{2}|\\", plain):
        return not images or bool(hosts)  # relative: a page or an image of the site itself
    listed = [host.lower().removeprefix("*") for host in hosts]
    try:
        target = parse_url(url)
        # A listed host may send on to one that is not.
        onward = re.findall(r"(?:=|/)((?:https?:)?//[^&;\s]+)", unquote(unquote(target.path)))
        ends = [target, *(parse_url(link if link[0] != "/" else f"https:{link}") for link in onward)]
    except RefusedError:
        return False
    return all(is_listed(end.host, listed) for end in ends)


def _carries_data(url: str, hosts: Sequence[str]) -> bool:
    """Whether a URL that is only shown would hand something over if somebody copied it."""
    if _is_allowed(url, hosts):
        return False
    return bool(re.search(r"[?@#]|[A-Za-z0-9+/_=-]{32,}", url.partition("//")[2]))
