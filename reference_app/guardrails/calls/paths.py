"""Whether a path stays in its folder, in every spelling that some system reads as a way out."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

MAX_PATH_CHARACTERS = 1000
MAX_ENCODINGS = 4  # one inside the other

_SLASHES = str.maketrans(dict.fromkeys("\\\u2044\u2215\u29f8\uff0f\uff3c\u2216\u29f5\u29f9", "/"))
_DOTS = str.maketrans({"\u2024": ".", "\u2025": "..", "\uff0e": ".", "\u3002": ".", "\ufe52": "."})
_PERCENT_U = re.compile(r"%u([0-9a-fA-F]{4})")
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_ELSEWHERE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/|[a-zA-Z]:|//")
_HOME = re.compile(r"~(?:$|\w*/)")
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:[.: ].*)?", re.IGNORECASE
)
_VARIABLE = re.compile(r"\$[A-Za-z_{(]|%[A-Za-z_]\w*%|`")
_PRIVATE = re.compile(
    r"(?:^|/)(?:\.ssh|\.aws|\.gnupg|\.kube|\.docker|\.git|\.env[\w.-]*|\.netrc|\.npmrc|\.pgpass|id_(?:rsa|ed25519|ecdsa|dsa)"
    r"|shadow|passwd|sudoers)(?:/|$)"
)


def find_path_fault(path: str, *, root: str | None = None, suffixes: Sequence[str] = ()) -> str:
    """
    Why the path may not be opened; empty if it may.

    A `..` that stays inside is fine, as are names with dots. What is encoded is decoded first, since
    whoever opens the file may do so too.

    Args:
        root: The folder that the path must stay in; an absolute path below it is fine. None forbids
            absolute paths.
        suffixes: How names must end, such as `.md`; empty allows all.
    """
    if not 0 < len(path) <= MAX_PATH_CHARACTERS:
        return "the path is empty or too long"
    decoded = _decode(path)
    if decoded is None:
        return "the path is encoded in a way that hides what it names"
    for spelling in dict.fromkeys((path, decoded)):
        if fault := _find_fault(spelling, root):
            return fault
    if suffixes and not decoded.lower().endswith(tuple(suffix.lower() for suffix in suffixes)):
        return "the path does not end as the policy wants"
    return ""


def _decode(path: str) -> str | None:
    """The path with no encoding left; None if what is encoded is no text or encoded too often."""
    for _ in range(MAX_ENCODINGS):
        text = _PERCENT_U.sub(lambda code: chr(int(code[1], 16)), html.unescape(path))
        text = _ESCAPE.sub(lambda code: chr(int(code[1] or code[2], 16)), text)
        if _PERCENT.search(text):
            try:
                text = unquote_to_bytes(text).decode()
            except UnicodeError:
                return None
        text = unicodedata.normalize("NFKC", text.translate(_DOTS))
        if text == path:
            return text
        path = text
    return None


def _find_fault(path: str, root: str | None) -> str:  # noqa: C901, PLR0911 - a rule a line
    plain = path.translate(_SLASHES)
    if any(unicodedata.category(one) in ("Cc", "Cf", "Cs") for one in path):
        return "the path contains control or invisible characters"
    if _ELSEWHERE.match(plain):
        return "the path names a drive, a server or a scheme"
    if _VARIABLE.search(plain) or _HOME.match(plain):
        return "the path names a variable or a home folder"
    if _PRIVATE.search(plain.lower()):
        return "the path names a file of secrets"
    if plain.startswith("/"):
        base = (root or "").rstrip("/") + "/"
        if root is None or not plain.startswith(base):
            return "the path is absolute" if root is None else "the path leaves the folder"
        plain = plain[len(base) :]
    depth = 0
    for part in (part.split(";")[0].strip() for part in plain.split("/")):
        if part in ("", "."):
            continue
        if (set(part) == {"."} and part != "..") or _DEVICE.fullmatch(part):
            return "the path names a device, or has a name of dots alone"
        depth += -1 if part == ".." else 1
        if depth < 0:
            return "the path leaves the folder"
    return ""
