"""Secrets without a shape, by the label before them: `api_key=…`, `DB_PASSWORD=…`, `{"password": "…"}`."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Sequence

_SEPARATOR = r"[\"'`\]]{0,2}\s{0,3}(?:=>|:=|[:=]|>)\s{0,3}(?:[rbf]?[\"'`]{1,3})?"
_STRONG = (
    r"api[ _-]?key|secret(?:[ _-]?(?:access[ _-]?)?key)?|authorization"
    r"|(?:access|refresh|auth|bearer|private|bot)[ _-]?token"
)
_WEAK = (
    r"(?<!page)(?<!page[ _-])(?<!next[ _-])(?<!continuation[ _-])token"
    r"|(?:access|account|auth|signing|encryption|master|service|private|license|storage|function|host|session"
    r"|subscription)[ _-]?key|credentials?|auth|cookie|jwt"
)
_KEY = re.compile(
    rf"(?i)(?:(?P<strong>{_STRONG})|(?P<weak>{_WEAK}))"
    rf"(?:{_SEPARATOR}(?:(?:bearer|token)\s{{1,3}})?[\"']?|\s(?:is\s|bearer\s)?)"
    r"(?P<value>[\w./+~!@#$%^*?-]{16,4000}=*)"
)
_BEARER = re.compile(r"(?i)\bbearer[\"']?(?:\s{0,3}[:=]\s{0,3}|\s{1,3})[\"']?(?P<value>[\w./+~-]{16,4000}=*)")
_BASIC = re.compile(r"(?i)\bbasic\s{1,3}(?P<value>[A-Za-z0-9+/]{8,400}={0,2})(?![A-Za-z0-9+/=])")
_PASSWORD = re.compile(
    rf"(?i)(?P<label>(?<![A-Za-z])(?:[A-Z0-9]{{1,20}}[_-]){{0,4}}"
    r"(?:password|passwd|passphrase|passwort|kennwort|contraseña|mot de passe|wachtwoord|senha|lösenord"
    r"|hasło|pwd|(?<=[_-])pass))"
    rf"(?:{_SEPARATOR}|\s(?:is|was|ist|es|est)\s[\"'`]?|(?<=--password)\s)"
    r"(?P<value>[^\s\"'`<>,;&]{6,200})"
)
_LABELS = (
    "key", "secret", "token", "authorization", "auth", "bearer", "credential", "session", "cookie", "jwt",
)  # fmt: skip
_PASSWORD_LABELS = (
    "passw", "passphrase", "kennwort", "contraseña", "mot de passe", "wachtwoord", "senha", "lösenord",
    "hasło", "pwd", "_pass", "-pass",
)  # fmt: skip

_PLACEHOLDER = re.compile(
    r"(?i)<.*|\$[{(].*|(?-i:\$[A-Z_]{2}[A-Z0-9_]*)|\{.*|\[.*|\(.*|%\(.*|%\w+%|.*(?:x{4}|\*{3}|\.{3}|\$\{|\{\{|<[a-z]).*"
    r"|.*(?:change.?(?:me|it|this)|replace.?(?:me|this|with)|place.?holder|insert|dummy|example"
    r"|redacted\b(?!-)|your[-_ ]?(?:own|api|secret|key|token|pass)).*"
    r"|(?:my|the|a|an|some|your|new|old|current|wrong|invalid|bad|weak|strong|default|test|fake)?[-_ ]?"
    r"(?:password|passwd|secret|passphrase|key|token|credential)s?[-_]?(?:here|value|hash|field)?"
    r"|none|null|nil|true|false|undefined|string|text|required|optional|hidden|masked|empty|value|values|missing"
    r"|invalid|incorrect|expired|disabled|enabled|reset|changed|updated|protected|encrypted|todo|unknown|n/a"
)
_NAME = r"_{0,2}[A-Za-z]+\d{0,2}(?:_+[A-Za-z0-9]+)*"
_EXPRESSION = re.compile(
    rf"(?:{_NAME}(?:\.|::|->))+{_NAME}(?:[(\[].*)?"
    r"|.*\w\(.*|[A-Za-z_]\w*\[.*"
    r"|(?:https?|file|s3|gs|vault|arn|op):.*|/\w.*"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}.*")
_WORD = r"(?:(?:[a-z]+|[A-Z]+|[A-Z][a-z]+)\d{0,4}|v?\d{1,12})"
_WORDS = re.compile(rf"{_WORD}(?:[-_./:+ ]{_WORD})*")
_CAMEL = re.compile(r"[A-Z]*[a-z]*(?:[A-Z][a-z]+)*")
_UUID = re.compile(r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_JSON = "eyJ"  # how a JSON object begins in base64: a token without a signature, too
_LOOK = 200  # characters of a value that are looked at
_FEWEST_CHARS = 3  # of which it is made
_SHORTEST = 6  # characters of a password
_FEWEST_OF_A_WORD = 8  # letters of a password without anything else; a word only of an environment variable
_MOST_PARTS = 2  # of a password that is words; `at-least-8-characters` is none


def find_labelled_secrets(text: str) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of what a label says is secret and what is no placeholder, expression or name."""
    lower = text.lower()
    for kind, labels, pattern, fits in _RULES:
        if any(map(lower.__contains__, labels)):
            for match in pattern.finditer(text):
                value = match["value"].rstrip(".,;)]}")
                if fits(match, value):
                    yield kind, match.start("value"), match.start("value") + len(value)


def is_placeholder(value: str) -> bool:
    """What stands in documentation where a secret would: `<your-key>`, `changeme`, `${VAR}`, `xxxx`."""
    return bool(_PLACEHOLDER.fullmatch(value)) or len(set(value)) < _FEWEST_CHARS


def is_random(value: str) -> bool:
    """Letters and digits that are no words, no path and no expression."""
    start = value[:_LOOK].strip("_-")
    if is_placeholder(start) or _WORDS.fullmatch(start) or _EXPRESSION.fullmatch(start):
        return False
    letters = any(char.isalpha() for char in value)
    if any(char.isdigit() for char in value):
        return letters
    return not _CAMEL.fullmatch(start)


def _is_key(match: re.Match[str], value: str) -> bool:
    """A UUID is a key only where the label leaves no doubt: sessions and requests have them as tokens."""
    return is_random(value) and not (match["strong"] is None and _UUID.fullmatch(value))


def _is_bearer(_match: re.Match[str], value: str) -> bool:
    return is_random(value) or value.startswith(_JSON)


def _is_password(match: re.Match[str], value: str) -> bool:
    if len(value) < _SHORTEST or any(each.fullmatch(value) for each in (_PLACEHOLDER, _EXPRESSION, _DATE)):
        return False
    if value.isalpha():
        word = bool(_CAMEL.fullmatch(value))
        return len(value) >= _FEWEST_OF_A_WORD and (not word or match["label"].isupper())
    parts = re.split(r"[-_./]", value)
    return len(parts) <= _MOST_PARTS or not _WORDS.fullmatch(value)


def _is_user_and_password(_match: re.Match[str], value: str) -> bool:
    try:
        decoded = b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
    except (Base64Error, UnicodeDecodeError):
        return False
    user, colon, password = decoded.partition(":")
    return bool(user and colon and password and decoded.isprintable())


_Rule = tuple[str, Sequence[str], re.Pattern[str], Callable[[re.Match[str], str], bool]]
_RULES: tuple[_Rule, ...] = (
    ("API_KEY", _LABELS, _KEY, _is_key),
    ("API_KEY", ("bearer",), _BEARER, _is_bearer),
    ("PASSWORD", ("basic",), _BASIC, _is_user_and_password),
    ("PASSWORD", _PASSWORD_LABELS, _PASSWORD, _is_password),
)
"""Kind, what must stand in a text, the pattern, and what its value must be."""
