r"""
Markup taken off a text: Markdown, HTML with its entities, LaTeX, and escapes.

Lines, marks of lists and the bars of tables stay, since they part what stands around them. Each step is one
pass of a pattern whose repeats are bounded.
"""

from __future__ import annotations

import html
import re

ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
"""An entity of HTML, with its semicolon."""

_MARKS = re.compile(r"[*_`~<&\\\[$]|^\s{0,3}>", re.MULTILINE)
_ESCAPED = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")

_UNSEEN = re.compile(r"(?is)<!--.{0,5000}?-->|<(script|style|template)\b[^<>]{0,500}>.{0,5000}?</\1\s*>")
_INLINE = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|nobr|q|ruby|s|samp|small|span|"
    "strike|strong|sub|sup|time|tt|u|var|wbr"
)
_CELL, _ITEM = "td|th", "li|dt|dd"
_BLOCK = (
    "address|article|aside|blockquote|body|br|button|caption|center|col|colgroup|details|div|dl|fieldset|figcaption|"
    "figure|footer|form|h[1-6]|head|header|hr|html|iframe|img|input|legend|main|nav|ol|option|p|pre|section|select|"
    "summary|table|tbody|tfoot|thead|title|tr|ul"
)
_ATTRIBUTES = r"""(?:\s+(?:[^<>"']|"[^"<>]{0,1000}"|'[^'<>]{0,1000}'){0,1000})?\s*/?>"""


def _tags(names: str) -> re.Pattern[str]:
    return re.compile(rf"(?i)</?(?:{names}){_ATTRIBUTES}")


_READING_AID = re.compile(r"(?is)<(r[tp])\b[^<>]{0,200}>[^<]{0,200}</\1\s*>")  # above the letters of <ruby>
_HTML = (
    (_UNSEEN, ""),
    (_READING_AID, ""),
    (_tags(_INLINE), ""),
    (re.compile(rf"(?i)<(?:{_CELL}){_ATTRIBUTES}"), " | "),
    (re.compile(rf"(?i)<(?:{_ITEM}){_ATTRIBUTES}"), "\n- "),
    (_tags(f"{_CELL}|{_ITEM}|{_BLOCK}"), "\n"),
)

# Commands whose last argument is read, after others that are not; and commands for a character.
_GROUP = r"\{([^{}\\]{0,2000})\}"
_LATEX = (
    (
        re.compile(
            r"\\(?:begin|end|label|ref|cite[tp]?|usepackage|documentclass|vspace|hspace|color)\*?(?:\[[^\]\n]{0,200}\])?\{[^{}\n]{0,200}\}"
        ),
        " ",
    ),
    (re.compile(r"\\(?:SI|qty)(?:\[[^\]\n]{0,200}\])?\{([^{}]{0,200})\}\{\\?([^{}]{0,200})\}"), r"\1 \2"),
    (re.compile(r"\\[dt]?frac\{([^{}\\]{0,200})\}\{([^{}\\]{0,200})\}"), r"\1/\2"),
    (re.compile(rf"\\(?:href|textcolor|colorbox|fontsize)\{{[^{{}}\n]{{0,1000}}\}}{_GROUP}"), r"\1"),
    (re.compile(rf"\\[A-Za-z]{{2,20}}\*?(?:\[[^\]\n]{{0,200}}\])?{_GROUP}"), r"\1"),
    (
        re.compile(
            r"\{\\(?:bf|it|em|rm|sc|sl|sf|tt|bfseries|itshape|scshape|ttfamily|[lL]arge|small)\b\s*"
            r"([^{}\\]{0,2000})\}"
        ),
        r"\1",
    ),
)
_LATEX_ROUNDS = 4  # of commands inside commands
_SIGNS = {
    "times": "\u00d7", "cdot": "·", "degree": "°", "textdegree": "°", "circ": "°", "percent": "%", "mu": "µ",
    "euro": "€", "texteuro": "€", "textdollar": "$", "pounds": "£", "yen": "¥", "pm": "±", "approx": "≈",
    "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "to": "→", "rightarrow": "→",
    "ldots": "…", "dots": "…", "textbackslash": "\\", "item": "- ", "par": "\n", "quad": " ", "qquad": " ",
    "newline": " ", "hline": " ", "left": "", "right": "", "displaystyle": "", "noindent": "",
    "centering": "", "bf": "", "it": "", "bfseries": "", "itshape": "",
}  # fmt: skip
# Commands that begin as an escape of white space does; of others that do, `\nNo`, the rest is a word.
_LIKE_ESCAPES = frozenset(
    re.findall(
        r"\w+",
        "nabla natural nearrow neg ni nleq not notin nu nwarrow rangle rceil rfloor rho rm root tan tanh tau "
        "text textbf textit texttt tfrac theta tilde times tiny title top triangle tt",
    )
)
_COMMAND = re.compile(r"\\([A-Za-z]{1,20})(?:\{\})?")
_LINE_ESCAPE = re.compile(r"[nrt]")
_MATH = re.compile(
    r"(?:(?<![A-Za-z0-9$\\])\$(?=[^\s$])|(?<=[A-Za-z])\$(?=[\^_]))([^$\n]{1,200}?)(?<=[^\s\\$])\$(?![0-9$])"
)
_FORMULA = re.compile(r"\\\(|\\\)|\$\$|\\\[(?=[^\]\n]{1,200}\\\])")
_SCRIPTS = re.compile(r"[{}^]|_(?=[{\w])")
_TIE = re.compile(r"(?<=[^\W\d_])~(?=\w)|(?<=[\d}])~(?=[^\W\d_]|[%\\$£¥€])")
_BACKSLASHED = re.compile(r"\\([!-/:-@\[-`{-~])")

_FENCE = re.compile(r"^[ \t>]{0,8}(?:`{3,}|~{3,})[^\n`]{0,60}$", re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]{0,3}(?:>[ \t]?){1,8}", re.MULTILINE)
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]{1,200}\]:[ \t]{1,4}\S{1,2000}[^\n]{0,300}$", re.MULTILINE)
_LINK = re.compile(
    r"!?\[((?:[^\[\]\n]|\[[^\[\]\n]{0,200}\]){0,1000})\]"
    r"(?:\((?:<[^<>\n]{0,2000}>|(?:[^()\s]|\([^()\s]{0,500}\)){0,2000})(?:\s{1,4}(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'))?\s?\)"
    r"|\[[^\[\]\n]{0,200}\])"
)
_NOTE = re.compile(
    r"\[\^[\w-]{1,40}\]|(?<=\w)\[\d{1,3}\]|\u3010[^\u3010\u3011\n]{1,60}\u2020[^\u3010\u3011\n]{0,60}\u3011"
)
# Emphasis by what is around a run of stars, as CommonMark has it, though not pair by pair: stars between
# digits, and a single one between letters of a script with spaces, are signs of multiplication.
_STARS = re.compile(r"\*{1,3}")
_LINES_BELOW = re.compile(r"(?<![^\W_])_{1,3}(?=[^\s_])|(?<=[^\s_])_{1,3}(?![\w])")


def read_plain(text: str) -> str:
    """Return the text that a reader sees; a text without markup as it is."""
    if not _MARKS.search(text):
        return text
    if "\\u" in text:
        text = _ESCAPED.sub(_read_escapes, text)
    for _ in range(2):  # an app may escape what is escaped
        if "&" in text:
            text = ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if "<" in text:
        for pattern, new in _HTML:
            text = pattern.sub(new, text)
    if "\\" in text or "$" in text or "~" in text:
        text = _read_latex(text)
    return _read_markdown(text)


def _read_escapes(match: re.Match[str]) -> str:
    r"""Read `\u9000`, two of which may be one character beyond the first plane."""
    units = bytes.fromhex(match[0].replace("\\u", ""))
    return units.decode("utf-16-be", errors="replace")


def _read_latex(text: str) -> str:
    text = text.replace("{,}", ",")
    text = text.replace("\\\\", " \n") if re.search(r"\\\\(?![A-Za-z])", text) else text.replace("\\\\", "\\")
    text = _FORMULA.sub("", text)
    text = re.sub(r"\\[,;: ]", " ", text)
    for _ in range(_LATEX_ROUNDS):
        before = text
        for pattern, new in _LATEX:
            text = pattern.sub(new, text)
        text = _COMMAND.sub(_read_command, text)
        if text == before:
            break
    text = _MATH.sub(lambda match: _SCRIPTS.sub("", match[1]), text)
    text = _TIE.sub(" ", text)
    return _BACKSLASHED.sub(r"\1", text)


def _read_command(match: re.Match[str]) -> str:
    r"""Read the sign of a command, or the white space of an escape in front of a word: `\nNo`."""
    name = match[1]
    if name in _SIGNS:
        return _SIGNS[name]
    following = match.string[match.end() : match.end() + 1]
    if _LINE_ESCAPE.match(name) and name not in _LIKE_ESCAPES and following not in {"{", "["}:
        return "\n" + name[1:]
    return match[0]


def _read_markdown(text: str) -> str:
    text = _FENCE.sub("", text)
    text = _QUOTED.sub("", text)
    if "[" in text or "\u3010" in text:
        text = _DEFINITION.sub("", text)
        text = _NOTE.sub("", _LINK.sub(r"\1", text))
    text = text.replace("`", "").replace("~~", "")
    if "*" in text:
        text = _STARS.sub(_read_stars, text)
    return _LINES_BELOW.sub("", text) if "_" in text else text


def _read_stars(match: re.Match[str]) -> str:
    text = match.string
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
    apart = (not before or before.isspace()) and (not after or after.isspace())
    product = before.isdigit() and after.isdigit()
    single = len(match[0]) == 1 and _is_latin(before) and _is_latin(after)
    return match[0] if apart or product or single else ""


def _is_latin(char: str) -> bool:
    return char.isalnum() and char < "\u0250"
